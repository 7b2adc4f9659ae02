"""Transfer encodings and boundary lines, beside the plain patterns that say what they are."""

from __future__ import annotations

import base64
import binascii
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from veildesk.mail.parse import parse_mail
from veildesk.mail.transfer import decode_transfer

_SOME = st.lists(st.sampled_from([b"A", b"QUJD", b"=", b"==", b"\r\n", b" ", b"-", b"\x0b", b"\xff", b"Zg"]))


def by_patterns(body: bytes) -> bytes:
    first = re.search(rb"=+", body)
    if first is not None and not re.fullmatch(rb"[A-Za-z0-9+/=\s]*", body[first.end() :]):
        body = body[: first.end()]
    out = b""
    for chunk in re.split(rb"=+", re.sub(rb"[^A-Za-z0-9+/=]+", b"", body)):
        whole = chunk[:-1] if len(chunk) % 4 == 1 else chunk
        out += binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))
    return out


@given(st.one_of(st.binary(max_size=80), _SOME.map(b"".join)))
@example(b"QUJD\r\nQUI=\r\nQUJD\r\n-- \r\na list")
def test_base64_is_read_as_its_patterns_say(body: bytes) -> None:
    assert decode_transfer(body, "base64") == by_patterns(body)


@given(st.binary(max_size=400))
def test_what_was_encoded_comes_back(content: bytes) -> None:
    wrapped = base64.encodebytes(content).replace(b"\n", b"\r\n")
    assert decode_transfer(wrapped, "base64") == content


ARMOR = b"-----BEGIN PGP MESSAGE-----\n\nwV4DAAAA\nQQ==\n=3DaB\n-----END PGP MESSAGE-----\n"


@pytest.mark.parametrize("body", [ARMOR, ARMOR.replace(b"=3DaB\n", b""), ARMOR.replace(b"\n", b"\r\n")])
def test_armor_that_is_called_quoted_printable_and_is_not(body: bytes) -> None:
    text = b"caf=C3=A9\n\n"
    assert decode_transfer(text + body, "quoted-printable") == "café\n\n".encode() + body


def test_armor_that_is_quoted_printable() -> None:
    assert decode_transfer(ARMOR.replace(b"=", b"=3D"), "quoted-printable") == ARMOR


_LINES = st.lists(
    st.sampled_from([b"--", b"--b", b"--b--", b"-", b"b", b"\n", b"\r\n", b"\r", b" ", b"\n--b\n", b"\n\nx"])
)


@given(_LINES.map(b"".join))
@example(b"--b\n--b--\n--")
@example(b"\r--b\r\n--b\r--b")
def test_boundaries_are_the_lines_that_begin_so(body: bytes) -> None:
    """Parts begin and end where a pattern over lines finds the boundary, up to the closing one."""
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    mail = head + body
    places = []
    for found in re.finditer(rb"^--([^\r\n]*)", mail, re.MULTILINE):
        word = found.group(1).rstrip(b" \t")
        if found.start() < len(head) or word not in (b"b", b"b--"):
            continue
        if places and found.start() < places[-1]:
            continue
        if word == b"b--":
            break
        after = found.end() + (2 if mail.startswith(b"\r\n", found.end()) else 1)
        places.append(min(after, len(mail)))
    read = parse_mail(mail)
    # What stands in a part's own header cannot be told from here, so only its begin is compared.
    begun = [part.start for part in read.children]
    assert set(begun) <= set(places)
    assert begun[:1] == places[:1]


@pytest.mark.parametrize("line", [b"--", b"-" * 76, b"--b"])
def test_many_lines_of_hyphens_are_read_in_one_pass(line: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"
    assert parse_mail(head + (line + b"\r\n") * 200_000).children == ()
