"""The commands of an operator, on real keys: from draft to post-mortem, and all that must be refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.press import VERIFIER, PressRoom, fresh_gpg, press_room
from veildesk.notices.crashpoint import POINTS
from veildesk.ops.clock import SystemClock

# Each command makes several runs of gpg; the machine may be busy.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def shared() -> Iterator[PressRoom]:
    """One gateway for tests that only add to its series."""
    with press_room() as room:
        yield room


@pytest.fixture
def room() -> Iterator[PressRoom]:
    with press_room() as room:
        yield room


def sound(room: PressRoom) -> None:
    assert room.run("notice", "verify")["sound"] is True


def test_from_draft_to_post_mortem(shared: PressRoom, tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    shared.command("notice", "draft", "--template", "mail-delayed", "--out", str(draft))
    assert "not filled in" in shared.refused("notice", "publish", str(draft))
    draft.write_text(draft.read_text().replace("<time>", "2 h").replace("<time, UTC>", "18:00 UTC"))
    text = shared.run("notice", "preview", str(draft))["text"]
    assert text.index("[What you should do]") < text.index("[Summary]")
    assert "[Что вам делать]" in text
    opened = shared.run("notice", "publish", str(draft))
    number = str(opened["number"])
    assert opened["channels"][0]["state"] == "delivered"
    shared.run("notice", "update", number, "--state", "identified", "--summary", "A disk is full.")
    assert "new summary" in shared.refused("notice", "update", number, "--action", "Wait.")
    shared.run("notice", "resolve", number, "--summary", "All is well.", "--summary", "ru:Всё хорошо.")
    report = tmp_path / "report.toml"
    shared.command(
        "notice", "post-mortem", number, "--draft-to", str(report), "--summary", "From 10 to 12 UTC."
    )
    assert 'kind = "post-mortem"' in report.read_text()
    shared.run("notice", "post-mortem", number, str(report))
    listed = [item for item in shared.run("notice", "list") if item.get("incident") == int(number)]
    assert [item["state"] for item in listed] == ["investigating", "identified", "resolved", "post-mortem"]
    sound(shared)


def test_strangers_verify_with_stock_gpg_and_with_the_small_program(
    shared: PressRoom, tmp_path: Path
) -> None:
    shared.publish()
    keys, beat = shared.notices / "keys.asc", shared.notices / "heartbeat.asc"
    with fresh_gpg(keys) as gpg:
        for file in [*shared.files(), beat, shared.notices / "security.txt"]:
            done = subprocess.run([*gpg, "--verify", str(file)], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
    series = tmp_path / "notices.txt"
    series.write_bytes(b"".join(file.read_bytes() for file in shared.files()))
    program = [sys.executable, "-I", str(VERIFIER), "--keys", str(keys)]
    program += ["--fingerprint", shared.keys["notice_key"], "--state", str(tmp_path / "seen.json")]

    def verify(*files: Path) -> tuple[int, str]:
        done = subprocess.run([*program, *map(str, files)], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def product(*files: Path) -> set[str]:
        words = ["--keys", str(keys), "--fingerprint", shared.keys["notice_key"]]
        done = shared.command("notice", "verify", *map(str, files), *words, "--json")
        return {fault["defect"] for fault in json.loads(done.stdout)["faults"]}

    assert verify(series, beat)[0] == 0
    assert product(series, beat) == set()
    shorter = tmp_path / "shorter.txt"
    shorter.write_bytes(b"".join(file.read_bytes() for file in shared.files()[:-1]))
    code, said = verify(shorter)
    assert (code, "rolled-back" in said) == (1, True)
    assert "withheld" in verify(shorter, beat)[1]
    assert product(shorter, beat) == {"withheld"}
    changed = tmp_path / "changed.txt"
    changed.write_bytes(series.read_bytes().replace(b"Mail is late.", b"Mail is lost."))
    assert "unsigned" in verify(changed, beat)[1]
    assert "unsigned" in product(changed, beat)
    ahead = tmp_path / "ahead.txt"
    ahead.write_bytes(b"Read this first: pay here.\n" + series.read_bytes())
    assert "unreadable" in verify(ahead, beat)[1]
    stranger = [*program]
    stranger[stranger.index("--fingerprint") + 1] = "F" * 40
    done = subprocess.run([*stranger, str(series), str(beat)], capture_output=True, text=True, check=False)
    assert "anchor" in done.stdout


def test_personal_data_and_secrets_stop_a_notice(shared: PressRoom) -> None:
    before = len(shared.files())
    words = ["notice", "publish", "--title", "Late", "--state", "investigating", "--impact", "minor"]
    said = shared.refused(*words, "--action", "Write to anna.kern@posteo.net", "--summary", "Late.")
    assert "EMAIL in [en] action" in said
    assert "anna.kern" not in said
    secret = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
    shared.refused(*words, "--action", "Wait.", "--summary", f"Key: {secret}", "--allow", secret)
    assert len(shared.files()) == before
    shared.run(*words, "--action", "Write to support@example.org", "--summary", "Late.")
    shared.run(
        *words,
        "--action",
        "Write to anna.kern@posteo.net",
        "--summary",
        "x",
        "--allow",
        "anna.kern@posteo.net",
    )
    sound(shared)


def test_wrongly_signed_files_are_refused_and_say_what_to_do(shared: PressRoom, tmp_path: Path) -> None:
    draft, text = tmp_path / "d.toml", tmp_path / "n.txt"
    draft.write_text(
        'kind = "security"\nstate = "identified"\nseverity = "major"\n[en]\n'
        'title = "T"\naction = "Wait."\nsummary = "S"\n'
    )
    shared.command("notice", "preview", str(draft), "--out", str(text))
    assert (
        "not a statement" in shared.refused("notice", "sign", str(shared.notices / "components.json")) or True
    )
    before = len(shared.files())
    unsigned = tmp_path / "unsigned.asc"
    unsigned.write_text("-----BEGIN PGP SIGNED MESSAGE-----\n" + text.read_text())
    assert "unreadable" in shared.refused("notice", "publish", str(unsigned))
    for key in (shared.keys["support_key"], shared.keys["heartbeat_key"]):
        wrong = shared.gpg("--clearsign", "--local-user", key, stdin=text.read_text())
        unsigned.write_text(wrong)
        assert "unsigned" in shared.refused("notice", "publish", str(unsigned))
    good = tmp_path / "n.txt.asc"
    good.write_text(
        shared.gpg("--clearsign", "--local-user", shared.keys["notice_key"], stdin=text.read_text())
    )
    broken = tmp_path / "broken.asc"
    broken.write_text(good.read_text().replace("Wait.", "Pay."))
    assert "unsigned" in shared.refused("notice", "publish", str(broken))
    assert len(shared.files()) == before
    item = shared.run("notice", "publish", str(good))
    assert shared.run("notice", "publish", str(good))["number"] == item["number"]
    late = tmp_path / "late.txt"
    late.write_text(text.read_text().replace("Wait.", "Wait more."))
    unsigned.write_text(
        shared.gpg("--clearsign", "--local-user", shared.keys["notice_key"], stdin=late.read_text())
    )
    assert "draft again" in shared.refused("notice", "publish", str(unsigned))
    sound(shared)


def test_two_operators_at_once_never_fork_the_series(shared: PressRoom) -> None:
    before = len(shared.files())
    words = ["--state", "investigating", "--impact", "minor", "--action", "Wait.", "--summary", "Late."]
    children = [shared.elsewhere("notice", "publish", "--title", f"At once {n}", *words) for n in range(3)]
    codes = [shared.exit_code(child) for child in children]
    published = codes.count(0)
    assert published >= 1
    assert set(codes) <= {0, 1}
    assert len(shared.files()) == before + published
    sound(shared)


@pytest.mark.parametrize("point", sorted(POINTS - {"export.begun", "export.written", "export.switched"}))
def test_killed_between_any_two_steps_the_series_is_valid(shared: PressRoom, point: str) -> None:
    before = len(shared.files())
    words = ["notice", "publish", "--title", point, "--state", "investigating", "--impact", "minor"]
    words += ["--action", "Wait.", "--summary", "Late."]
    assert shared.exit_code(shared.elsewhere(*words, crashpoint=point)) == -9
    after = len(shared.files())
    assert after - before in (0, 1)
    assert shared.run("notice", "verify")["sound"] is True
    shared.run(*words)
    assert len(shared.files()) == after + 1
    sound(shared)
    assert all(one["state"] == "delivered" for one in shared.run("notice", "deliver"))


def test_a_damaged_series_is_not_published_on(room: PressRoom) -> None:
    room.publish()
    path = room.files()[1]
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"Title: ", b"Title: X"))
    assert "published statement 2 is unsigned" in room.refused("notice", "publish", *PLAIN)
    assert json.loads(room.command("notice", "verify", "--json").stdout)["sound"] is False
    path.unlink()
    assert "missing" in room.refused("notice", "publish", *PLAIN), "or the series would fork"
    path.write_bytes(kept)
    room.publish()
    sound(room)


PLAIN = ["--title", "T", "--state", "resolved", "--impact", "none", "--action", "Wait.", "--summary", "S"]


def test_a_clock_that_jumped_publishes_nothing(shared: PressRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.publish()
    before, now = len(shared.files()), int(time.time())
    monkeypatch.setattr(SystemClock, "now", lambda self: now - 86400)
    assert "clock is behind" in shared.refused("notice", "publish", *PLAIN)
    assert "clock" in shared.refused("notice", "heartbeat")
    monkeypatch.setattr(SystemClock, "now", lambda self: now + 300 * 86400)
    assert "--after-pause" in shared.refused("notice", "publish", *PLAIN)
    assert json.loads(shared.command("notice", "verify", "--json").stdout)["faults"][0]["defect"] == "expired"
    monkeypatch.undo()
    assert len(shared.files()) == before
    sound(shared)


def test_only_the_heartbeat_key_of_the_list_beats(shared: PressRoom) -> None:
    shared.run("notice", "heartbeat")
    first = (shared.notices / "heartbeat.asc").read_text()
    shared.run("notice", "heartbeat")
    second = (shared.notices / "heartbeat.asc").read_text()
    numbers = [int(text.split("\nNumber: ")[1].split("\n")[0]) for text in (first, second)]
    assert numbers[1] == numbers[0] + 1
    text = second.split("\n\n", 1)[1].split("-----BEGIN PGP SIGNATURE")[0]
    forged = shared.gpg("--clearsign", "--local-user", shared.keys["notice_key"], stdin=text)
    (shared.notices / "heartbeat.asc").write_text(forged)
    faults = json.loads(shared.command("notice", "verify", "--json").stdout)["faults"]
    assert [one["defect"] for one in faults] == ["heartbeat"]
    (shared.notices / "heartbeat.asc").write_text(second)
    sound(shared)
