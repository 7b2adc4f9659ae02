from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import Unparsable
from veildesk.core.finding import MaskNumbering, in_order
from veildesk.core.portal_entry import (
    decode_numbering,
    decode_portal_entry,
    encode_numbering,
    encode_portal_entry,
)
from veildesk.core.submission import PortalEntry
from veildesk.core.thread_entry import ThreadEntry, ThreadFile, decode_thread_entry, encode_thread_entry

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
NUMBERING = MaskNumbering(b"k" * 32, {"email": in_order(["aa", "bb"])})


@given(TEXT, st.lists(TEXT), st.binary())
def test_portal_entry_comes_back(text: str, kept: list[str], content: bytes) -> None:
    entry = PortalEntry(
        text,
        "payment",
        "ru",
        tuple(kept),
        {"EMAIL": 2},
        encode_numbering(NUMBERING),
        (("a.txt", "text/plain", content),),
    )
    assert decode_portal_entry(encode_portal_entry(entry)) == entry


def test_numbering_comes_back() -> None:
    assert decode_numbering(json.loads(json.dumps(encode_numbering(NUMBERING)))) == NUMBERING


@given(TEXT, TEXT)
def test_thread_entry_comes_back(text: str, signed: str) -> None:
    for entry in (
        ThreadEntry(
            "user", "2026-11-22", text, "ab", (ThreadFile("a", "b/c", 3, "d"),), encode_numbering(NUMBERING)
        ),
        ThreadEntry("support", "2026-11-22", text, signed=signed),
    ):
        assert decode_thread_entry(encode_thread_entry(entry)) == entry


def test_thread_entry_as_documented() -> None:
    value = {"v": 1, "from": "support", "day": "2026-11-22", "text": "t", "attachments": [], "signed": "s"}
    entry = decode_thread_entry(json.dumps(value).encode())
    assert entry == ThreadEntry("support", "2026-11-22", "t", signed="s")


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b"null", b"\xff", b'{"v":2}', b'{"v":1,"text":1,"kept":7}']
)
def test_other_bytes_are_refused(payload: bytes) -> None:
    for decode in (decode_portal_entry, decode_thread_entry):
        with pytest.raises(Unparsable) as caught:
            decode(payload)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, {}, {"key": "!", "seen": {}}, {"key": "", "seen": []}])
def test_other_numberings_are_refused(value: object) -> None:
    with pytest.raises(Unparsable):
        decode_numbering(value)


def test_nothing_private_in_representations() -> None:
    entry = PortalEntry("private", kept=("private",), attachments=(("a", "b", b"private"),))
    assert "private" not in repr(entry)
    assert "private" not in repr(ThreadEntry("user", "2026-11-22", "private", signed="private"))
