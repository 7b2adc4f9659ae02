"""The bounded MIME parser: what it finds, what it refuses, and that nothing makes it slow or crash."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veildesk.core.errors import LimitExceeded, Unparsable
from veildesk.core.limits import Limits
from veildesk.mail.parse import Part, parse_mail

MIXED = (
    b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=one\r\n\r\npreamble\r\n"
    b"--one\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--one \t\r\nContent-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
    b"--one--\r\nepilogue\r\n--one\r\n\r\nnot a part\r\n"
)


def test_finds_parts_between_boundaries() -> None:
    root = parse_mail(MIXED)
    assert [child.media_type for child in root.children] == ["text/plain", "image/png"]
    assert root.children[0].content == b"first"
    assert root.children[1].content == b"\x00\x01\x02"
    assert root.children[1].filename == "x.png"


def test_positions_are_the_exact_signed_bytes() -> None:
    first = parse_mail(MIXED).children[0]
    assert MIXED[first.start : first.end] == b"Content-Type: text/plain\r\n\r\nfirst"
    assert MIXED[first.body_start : first.end] == b"first"


def test_outer_boundary_ends_an_unclosed_inner_multipart() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=out\n\n--out\n"
        b"Content-Type: multipart/alternative; boundary=in\n\n--in\n\ninner\n--out\n\nnext\n--out--\n"
    )
    root = parse_mail(raw)
    assert [child.media_type for child in root.children] == ["multipart/alternative", "text/plain"]
    assert root.children[0].children[0].content == b"inner"
    assert root.children[1].content == b"next"


def test_boundary_that_begins_like_another_is_another() -> None:
    body = b"text\n--bb\nstill text\n--b--more\nand more"
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + body + b"\n--b--\n"
    assert parse_mail(raw).children[0].content == body


def test_same_boundary_inside_is_not_opened_twice() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\n\none\n--b\n\ntwo\n--b--\n"
    )
    assert [child.content for child in parse_mail(raw).children] == [b"", b"one", b"two"]


def test_missing_closing_boundary_keeps_the_last_part() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"
    root = parse_mail(raw)
    assert [child.content for child in root.children] == [b"one", b"two\n"]
    assert "no-closing-boundary" in root.defects


def test_attached_messages_stay_closed() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhidden\n--x--\n"
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        + inner
        + b"\n--b--\n"
    )
    part = parse_mail(raw).children[0]
    assert part.media_type == "message/rfc822"
    assert part.children == ()
    assert part.content == inner


def test_digest_parts_are_messages_by_default() -> None:
    raw = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: x@example.org\n\nhi\n--b--\n"
    assert parse_mail(raw).children[0].media_type == "message/rfc822"


def test_line_without_colon_ends_the_header() -> None:
    root = parse_mail(b"Subject: x\nthis is text\nFrom: late@example.org\n")
    assert [item.name for item in root.headers] == ["Subject"]
    assert root.content == b"this is text\nFrom: late@example.org\n"
    assert "no-header-end" in root.defects


def test_part_header_ends_at_a_boundary() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n--b\n\ntwo\n--b--\n"
    assert [child.content for child in parse_mail(raw).children] == [b"", b"two"]


def test_bare_carriage_returns_end_lines_where_there_is_no_other() -> None:
    root = parse_mail(b"Subject: x\rFrom: a@example.org\r\rtext\r")
    assert [item.name for item in root.headers] == ["Subject", "From"]


def test_invalid_media_type_is_data_not_text() -> None:
    assert (
        parse_mail(b"Content-Type: application-x-gzip; name=a.gz\n\nx").media_type
        == "application/octet-stream"
    )
    assert parse_mail(b"Content-Type: text\n\nx").media_type == "text/plain"


@pytest.mark.parametrize("raw", [b"", b"\r\n \r\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_what_is_no_mail_is_unparsable(raw: bytes) -> None:
    with pytest.raises(Unparsable):
        parse_mail(raw)


def nested(depth: int) -> bytes:
    out = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return out + b"\ntext\n"


def test_nesting_up_to_the_limit_is_read() -> None:
    part = parse_mail(nested(20))
    for _ in range(20):
        part = part.children[0]
    assert part.content == b"text\n"


ATTACKS = {
    "deep-nesting": nested(2000),
    "many-parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 50_000,
    "many-addresses": b"To: " + b"a@example.org,\n " * 16_000 + b"\n\nx",
    "many-encoded-words": b"Subject: " + b"=?utf-8?q?a?=\n " * 16_000 + b"\n\nx",
    "huge-header": b"Subject: " + b"x" * 300_000 + b"\n\nx",
    "many-fields": b"X: y\n" * 2000 + b"\nx",
    "huge-mail": b"Subject: x\n\n" + b"x" * (37 * 1024 * 1024),
}


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_bombs_are_refused_at_once(name: str) -> None:
    raw = ATTACKS[name]
    start = time.process_time()
    with pytest.raises(LimitExceeded):
        parse_mail(raw)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: x/y" + b";" * 200_000 + b"=",
        b"Content-Type: x/y" + b';a="\\"' * 30_000,
        b"Content-Type: x/y" + b"; a*0*=x" * 20_000,
        b"Subject: x\n\n" + b"--" * 2_000_000,
        b"Subject: x\n\n" + b"--\n" * 1_000_000,
        b"Content-Transfer-Encoding: quoted-printable\n\n" + b" " * 3_000_000 + b"x\n \n",
        b"Content-Transfer-Encoding: base64\n\n" + b"=" * 3_000_000,
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b--\n" * 500_000,
    ],
    ids=["semicolons", "quotes", "continuations", "dashes", "dash-lines", "blanks", "padding", "closings"],
)
def test_hostile_input_costs_linear_time(raw: bytes) -> None:
    start = time.process_time()
    parse_mail(raw)
    assert time.process_time() - start < 5


def check_spans(part: Part, size: int) -> None:
    assert 0 <= part.start <= part.end <= size
    assert part.body_start <= max(part.end, part.start) or not part.children
    for child in part.children:
        assert part.start <= child.start
        assert child.end <= part.end
        check_spans(child, size)


LINES = st.lists(
    st.sampled_from(
        [
            *(
                b"Content-Type: multipart/mixed; boundary=b",
                b"Content-Type: multipart/alternative; boundary=c",
            ),
            *(
                b"Content-Type: message/rfc822",
                b"Content-Transfer-Encoding: base64",
                b"--b",
                b"--c",
                b"--b--",
            ),
            *(b"--c--", b"", b"text", b" folded", b"Subject: =?utf-8?b?w6Q=?=", b"\xff\0", b"AAAA=="),
        ]
    ),
    max_size=40,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=300)
def test_any_order_of_mime_lines_gives_a_sound_tree(lines: list[bytes], end: bytes) -> None:
    raw = end.join(lines)
    try:
        root = parse_mail(raw)
    except Unparsable:
        return
    check_spans(root, len(raw))


@given(st.binary(max_size=2000))
@settings(max_examples=300)
def test_any_bytes_are_a_tree_or_refused(raw: bytes) -> None:
    try:
        check_spans(parse_mail(raw, Limits(mime_depth=3, mime_parts=5)), len(raw))
    except (LimitExceeded, Unparsable):
        return
