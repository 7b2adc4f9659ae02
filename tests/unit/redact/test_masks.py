"""Masks: reserved grammar, numbers per ticket, nothing derived from values, nothing changed twice."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.redact.samples import every, named
from veildesk.core.errors import ConfigInvalid
from veildesk.core.finding import MaskNumbering
from veildesk.redact import masks, numbering
from veildesk.redact.apply import apply, redact_text, settled
from veildesk.redact.engine import find

KEY = b"k" * 32


def test_same_value_same_mask_across_messages_and_disguises() -> None:
    numbers = MaskNumbering(KEY)
    first = redact_text("I am anna@mail.example and not bert@mail.example", numbers)
    again = MaskNumbering(KEY, dict(numbers.seen))
    second = redact_text("bert=40mail.example, ANNA@mail.example, anna (at) mail (dot) example", again)
    assert first.text == "I am [email-1] and not [email-2]"
    assert second.text == "[email-2], [email-1], [email-1]"


def test_masks_do_not_depend_on_the_value_or_the_key() -> None:
    texts = {
        redact_text(f"from {ip}", MaskNumbering(key)).text
        for ip in ("10.9.8.7", "45.6.7.8")
        for key in (b"a", b"b")
    }
    assert texts == {"from [ip-1]"}


def test_numbering_holds_no_value_and_survives_encoding() -> None:
    numbers = MaskNumbering(KEY)
    redact_text("mail anna@mail.example, tel. +49 151 23456789", numbers)
    data = numbering.encode(numbers)
    assert b"anna" not in data
    assert b"23456789" not in data
    assert numbering.decode(data) == numbers


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"v":2}', b'{"v":1,"key":"zz","seen":{}}', b"\xff"])
def test_broken_numbering_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigInvalid):
        numbering.decode(data)


def test_every_mask_word_is_in_the_grammar() -> None:
    for word in {*masks.WORDS.values(), masks.mask_word("CUSTOMER")}:
        assert masks.MASK.fullmatch(f"[{word}-12]")
    assert not masks.MASK.search("[email-0] [email] [other-1] [email-1x]")


def test_masks_in_the_text_are_left_alone_and_hide_nothing() -> None:
    text = "password: [password-3], but password: [password-1]Sommer2024 and key [key-1] from 10.1.2.3"
    masked = redact_text(text, MaskNumbering(KEY)).text
    assert "[password-3]" in masked
    assert "Sommer2024" not in masked
    assert "10.1.2.3" not in masked


def test_a_value_split_by_a_typed_mask_does_not_come_out() -> None:
    sample = next(s for s in every(1) if s.type == "PEM")
    broken = sample.value.replace("\n", "\n[email-1]\n", 3)
    masked = redact_text(broken, MaskNumbering(KEY)).text
    assert not re.search(r"[A-Za-z0-9+/]{40}", masked)


_PIECES = st.one_of(
    st.sampled_from([sample.text for seed in range(3) for sample in [*every(seed), *named(seed)]]),
    st.sampled_from(
        ["[email-1]", "[key-2]", "password: ", "token=", "Backup codes: ", "\n> ", " (at) ", "=40", "@", "::"]
    ),
    st.text(max_size=12),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(_PIECES, max_size=8).map(" ".join))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact_text(text, MaskNumbering(KEY)).text
    assert redact_text(once, MaskNumbering(KEY)).text == once
    assert find(once) == ()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(_PIECES, max_size=6).map("".join))
def test_findings_are_ordered_inside_the_text_and_apart(text: str) -> None:
    findings = settled(text)
    edges = [edge for item in findings for edge in (item.start, item.end)]
    assert edges == sorted(edges)
    assert all(0 <= item.start < item.end <= len(text) for item in findings)
    rest = "".join(text[a:b] for a, b in zip([0, *edges[1::2]], [*edges[::2], len(text)], strict=True))
    assert len(apply(text, findings, MaskNumbering(KEY)).text) >= len(rest)


def test_kept_values_stay_unless_secret() -> None:
    text = "from 45.6.7.8 with password: Sommer2024"
    findings = find(text, kept=["45.6.7.8", "Sommer2024"])
    assert [item.type for item in findings] == ["PASSWORD"]


def test_own_words_in_any_case_and_script_but_whole() -> None:
    text = "Annalena met ANNA and anna\u200b; 王小明说。"
    hidden = [
        text[item.start : item.end]
        for item in find(text, own_words=["anna", "王小明", ""])
        if item.type == "OWN"
    ]
    assert hidden == ["ANNA", "anna", "王小明"]


def test_counts_by_type() -> None:
    rng = random.Random(1)
    text = f"a{rng.randrange(9)}@b.example c@d.example 45.6.7.8"
    assert redact_text(text, MaskNumbering(KEY)).counts == {"EMAIL": 2, "IPV4": 1}
