"""Spare codes: made from bytes, read as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.spare_code import BYTES, from_bytes, grouped, read


@given(st.binary(min_size=BYTES, max_size=BYTES))
def test_what_is_shown_is_read_again(data: bytes) -> None:
    code = from_bytes(data)
    assert len(code) == 20
    for typed in (grouped(code), grouped(code).lower(), f" {grouped(code).replace('-', ' – ')}\n"):
        assert read(typed) == code


@given(st.text())
def test_anything_typed_is_read_or_refused(text: str) -> None:
    code = read(text)
    assert code is None or (len(code) == 20 and read(grouped(code)) == code)


def test_letters_that_look_like_digits_do_not_matter() -> None:
    assert read("oOiI-lLAA-AAAA-AAAA-AAAA") == "001111AAAAAAAAAAAAAA"


def test_codes_differ_in_every_bit_that_counts() -> None:
    base = from_bytes(bytes(BYTES))
    for bit in range(100):
        assert from_bytes((1 << (103 - bit)).to_bytes(BYTES, "big")) != base


@pytest.mark.parametrize("typed", ["", "ABCD-EFGH", "U" * 20, "A" * 21, "Ä" * 20])
def test_what_cannot_be_a_code_is_refused(typed: str) -> None:
    assert read(typed) is None
