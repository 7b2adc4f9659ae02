"""Both verifiers on series that were tampered with: every class that docs/notices.md calls detectable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.notice_series import HOUR, START, Forge, standalone
from veildesk.notices.series import Defect, Head, Judgement, judge_series

CHECKER = standalone()
DAY = 86400


def judged(
    forge: Forge,
    files: Sequence[bytes],
    beat: bytes | None = None,
    *,
    anchor: str = "A",
    now: int | None = None,
    remembered: Head | None = None,
) -> Judgement:
    """The judgement of the product, after asking the stand-alone verifier whether it agrees."""
    at = START + 4 * HOUR * (len(files) + 1) if now is None else now
    key = forge.key(anchor)
    beat_signed = forge.signed(beat) if beat else None
    ours = judge_series(
        [forge.signed(raw) for raw in files], key, at, heartbeat=beat_signed, remembered=remembered
    )
    memory = None
    if remembered is not None:
        memory = {"number": remembered.number, "sha256": remembered.sha256, "heartbeat": remembered.heartbeat}
    faults, _head = CHECKER.verify([*files, *([beat] if beat else [])], forge, key, at, memory)
    assert bool(faults) == bool(ours.faults), (faults, ours.faults)
    assert {word for word, _, _ in faults} == {one.defect.value for one in ours.faults}
    return ours


def defects(judgement: Judgement) -> set[Defect]:
    return {one.defect for one in judgement.faults}


@settings(deadline=None)
@given(length=st.integers(1, 9), signers=st.integers(1, 3), data=st.data())
def test_sound_series_are_sound(length: int, signers: int, data: st.DataObject) -> None:
    forge = Forge()
    threshold = data.draw(st.integers(1, signers))
    series = forge.series(length, "ABC"[:signers], threshold)
    beat = forge.heartbeat(series)
    judgement = judged(forge, series, beat, remembered=Head(length, forge.table[series[-1]].sha256, 1))
    assert judgement.faults == ()
    assert judgement.head == Head(length, forge.table[series[-1]].sha256, 1)
    assert len(judgement.statements) == length


# ------------------------------------------------------------------ mutations


def drop(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    files.pop(draw.draw(st.integers(0, len(files) - 1), label="drop"))


def cut(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    del files[draw.draw(st.integers(0, len(files) - 1), label="cut") :]


def swap(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    a, b = sorted(draw.draw(st.lists(st.integers(0, len(files) - 1), min_size=2, max_size=2, unique=True)))
    files[a], files[b] = files[b], files[a]


def repeat(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    files.insert(draw.draw(st.integers(0, len(files))), files[draw.draw(st.integers(0, len(files) - 1))])


def flip(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(files) - 1))
    place = draw.draw(st.integers(0, len(files[at]) - 1))
    files[at] = files[at][:place] + bytes([files[at][place] ^ 1]) + files[at][place + 1 :]


def forge_by_stranger(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(files) - 1))
    files[at] = forge.append(files[:at], keys="F", title="Send your keys to us")


def forge_by_heartbeat_key(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    files.append(forge.append(files, keys="E", title="All is well"))


def fork(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    """By the real key: only what came after, the heartbeat or a memory can tell."""
    at = draw.draw(st.integers(1, len(files) - 1))
    files[at:] = [forge.append(files[:at], title="Another story")]


def take_over(forge: Forge, files: list[bytes], draw: st.DataObject) -> None:
    """A new list that the keys before it did not sign."""
    files.append(forge.append(files, keys="F", content=forge.identity("F")))


MUTATIONS: list[Callable[[Forge, list[bytes], st.DataObject], None]] = [
    drop,
    cut,
    swap,
    repeat,
    flip,
    forge_by_stranger,
    forge_by_heartbeat_key,
    fork,
    take_over,
]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(length=st.integers(2, 8), rounds=st.integers(1, 3), data=st.data())
def test_no_mutation_goes_undetected(length: int, rounds: int, data: st.DataObject) -> None:
    forge = Forge()
    original = forge.series(length)
    beat = forge.heartbeat(original)
    head = Head(length, forge.table[original[-1]].sha256, 1)
    files = list(original)
    for _ in range(rounds):
        mutation = data.draw(st.sampled_from(MUTATIONS), label="mutation")
        if len(files) >= 2 and all(raw in forge.table for raw in files):
            mutation(forge, files, data)
    mine = {forge.key("A")}
    if files[:length] == original and all({n for n, _ in forge.signed(raw).signers} == mine for raw in files):
        ours = judge_series([forge.signed(raw) for raw in files], forge.key("A"), START + 99 * HOUR)
        if not ours.faults:
            # The team itself went on: no mutation.
            return
    at = START + 4 * HOUR * (length + 1)
    remember = data.draw(st.booleans(), label="remember")
    beating = not remember or data.draw(st.booleans(), label="beat")
    judgement = judged(forge, files, beat if beating else None, now=at, remembered=head if remember else None)
    assert judgement.faults, "a changed series was called sound"


# ------------------------------------------------------------------ one by one


def test_each_class_has_its_name() -> None:
    forge = Forge()
    series = forge.series(5)
    beat = forge.heartbeat(series)
    head = Head(5, forge.table[series[-1]].sha256, 1)
    assert Defect.DROPPED in defects(judged(forge, series[:2] + series[3:], beat))
    assert defects(judged(forge, [*series[:1], series[2], series[1], *series[3:]], beat)) == {
        Defect.REORDERED
    }
    assert Defect.REPLAYED in defects(judged(forge, [*series, series[3]], beat))
    assert defects(judged(forge, series[:4], beat)) == {Defect.WITHHELD}
    old = forge.heartbeat(series[:4], number=1)
    seen = Head(5, head.sha256, 2)
    assert defects(judged(forge, series[:4], old, remembered=seen)) == {Defect.ROLLED_BACK}
    other = [*series[:4], forge.append(series[:4], title="Other")]
    assert defects(judged(forge, other, beat)) == {Defect.FORKED}
    assert defects(judged(forge, other, remembered=head)) == {Defect.FORKED}
    assert defects(judged(forge, series, beat, anchor="B")) == {Defect.ANCHOR}
    assert defects(judged(forge, [], beat)) >= {Defect.DROPPED}


def test_a_withheld_end_shows_when_its_time_is_over() -> None:
    forge = Forge()
    series = forge.series(4)
    last = START + 4 * 4 * HOUR
    assert judged(forge, series[:3], now=last).faults == ()
    assert defects(judged(forge, series[:3], now=last + 31 * DAY)) == {Defect.EXPIRED}
    beat = forge.heartbeat(series, issued=last + 31 * DAY)
    assert judged(forge, series, beat, now=last + 32 * DAY).faults == ()
    assert defects(judged(forge, series, beat, now=last + 34 * DAY)) == {Defect.EXPIRED}


def test_a_heartbeat_is_good_for_nothing_else_and_not_for_ever() -> None:
    forge = Forge()
    series = forge.series(3)
    statement = forge.append(series, keys="E")
    assert defects(judged(forge, [*series, statement])) == {Defect.UNSIGNED}
    assert defects(judged(forge, series, forge.heartbeat(series, key="A"))) == {Defect.HEARTBEAT}
    far = START + 179 * DAY
    assert Defect.HEARTBEAT in defects(
        judged(forge, series, forge.heartbeat(series, issued=far, hours=480), now=far)
    )


def test_wrong_clocks_show() -> None:
    forge = Forge()
    series = forge.series(3)
    assert Defect.FUTURE in defects(judged(forge, series, now=START - DAY))
    back = forge.append(series, issued=START)
    assert Defect.BACKDATED in defects(judged(forge, [*series, back]))
    text = forge.table[series[2]].text
    late = forge.sign(text or "", "A", START + 90 * DAY)
    assert defects(judged(forge, [*series[:2], late])) == {Defect.BACKDATED}


def test_two_of_three_must_sign() -> None:
    forge = Forge()
    series = forge.series(3, "ABC", 2)
    assert judged(forge, [*series, forge.append(series, keys="BC")]).faults == ()
    assert defects(judged(forge, [*series, forge.append(series, keys="B")])) == {Defect.UNSIGNED}
    assert defects(judged(forge, [*series, forge.append(series, keys="BF")])) == {Defect.UNSIGNED}


def test_rotation_needs_the_old_and_the_new_key() -> None:
    forge = Forge()
    series = forge.series(3)
    new = forge.identity("B")
    rotated = [*series, forge.append(series, keys="AB", content=new)]
    after = [*rotated, forge.append(rotated, keys="B")]
    assert judged(forge, after).faults == ()
    assert judged(forge, after, anchor="B").faults == ()
    assert defects(judged(forge, [*rotated, forge.append(rotated, keys="A")])) == {Defect.UNSIGNED}
    for keys in ("A", "B"):
        assert Defect.UNSIGNED in defects(
            judged(forge, [*series, forge.append(series, keys=keys, content=new)])
        )


def test_a_revoked_key_counts_only_under_a_later_good_list() -> None:
    forge = Forge()
    series = forge.series(2)
    rotated = [*series, forge.append(series, keys="AB", content=forge.identity("B"))]
    for raw in rotated:
        signed = forge.table[raw]
        names = tuple(one for one in signed.signers if one[0] != forge.key("A"))
        forge.table[raw] = type(signed)(raw, signed.text, names, frozenset({forge.key("A")}))
    assert judged(forge, rotated, anchor="B").faults == ()
    assert Defect.ANCHOR in defects(judged(forge, rotated, anchor="A"))
    assert Defect.UNSIGNED in defects(judged(forge, rotated[:2], anchor="A"))


@pytest.mark.parametrize("threshold", [0, 3])
def test_a_list_with_an_impossible_threshold_is_refused(threshold: int) -> None:
    forge = Forge()
    raw = forge.series(1)[0]
    text = (forge.table[raw].text or "").replace("Signatures needed: 1", f"Signatures needed: {threshold}")
    assert judged_only_sound(forge, forge.sign(text, "A", START + 4 * HOUR)) is False


def judged_only_sound(forge: Forge, raw: bytes) -> bool:
    ours = judge_series([forge.signed(raw)], forge.key("A"), START + 5 * HOUR)
    faults, _ = CHECKER.verify([raw], forge, forge.key("A"), START + 5 * HOUR)
    assert bool(faults) == bool(ours.faults)
    return not faults
