"""Strict reading of address fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.mail.address import Mailbox, parse_mailboxes, single_address, valid_address


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        (b"a@Example.ORG", [("", "a@example.org")]),
        (b"Alice <a@example.org>", [("Alice", "a@example.org")]),
        (b'"Doe, J." <j@example.org>', [("Doe, J.", "j@example.org")]),
        (b'"bob@bank.example" <eve@evil.example>', [("bob@bank.example", "eve@evil.example")]),
        (b"bob@bank.example <eve@evil.example>", [("bob@bank.example", "eve@evil.example")]),
        (b"(bob@bank.example) eve@evil.example (x (y))", [("", "eve@evil.example")]),
        (
            b"=?utf-8?q?A_=3Cbob@bank.example=3E?= <eve@evil.example>",
            [("A <bob@bank.example>", "eve@evil.example")],
        ),
        (b"=?utf-8?Q?Doe,_J.:_x?= <j@example.org>", [("Doe, J.: x", "j@example.org")]),
        (b"a@example.org, b@example.org", [("", "a@example.org"), ("", "b@example.org")]),
        (b"team: a@example.org, b@example.org;", [("", "a@example.org"), ("", "b@example.org")]),
        (b"undisclosed-recipients:;", []),
        (b'"a b"@example.org', [("", '"a b"@example.org')]),
    ],
)
def test_lists_of_mailboxes(value: bytes, boxes: list[tuple[str, str]]) -> None:
    assert parse_mailboxes(value) == tuple(Mailbox(*box) for box in boxes)


@pytest.mark.parametrize(
    "value",
    [
        *(b"a@b@example.org", b"<a@example.org> <b@example.org>", b"<a@example.org> b@example.org", b"a"),
        *(
            b'"open <a@example.org>',
            b"a@example.org (open",
            b"<a@example.org",
            b"a@example.org>",
            b"Alice <>",
        ),
        *(b"<@route:a@example.org>", b"a@-example.org", b"a@example..org", b"a b@example.org", b"a;b@x.org"),
        b"=?utf-8?q?a=40example.org?=",
        b"a\r\n@example.org",
    ],
)
def test_unclear_fields_name_nobody(value: bytes) -> None:
    assert single_address((value,)) is None


def test_several_fields_or_addresses_name_nobody() -> None:
    assert single_address((b"a@example.org", b"a@example.org")) is None
    assert single_address((b"a@example.org, b@example.org",)) is None
    assert single_address(()) is None
    assert single_address((b"a@example.org",)) == "a@example.org"


@given(st.binary(max_size=200))
def test_what_is_read_is_fit_for_an_envelope(value: bytes) -> None:
    for box in parse_mailboxes(value) or ():
        assert valid_address(box.address)
        assert not any(char in box.address for char in "\r\n\0<>")
        assert not any(char in box.name for char in "\r\n\0")
