"""winmail.dat and Rich Text: text and files come out, and hostile ones cost little."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.tnef_files import attribute, compressed_rtf, file_attributes, property_list, tnef
from veildesk.mail.normalise import normalise
from veildesk.mail.rtf import decompress_rtf, rtf_to_text
from veildesk.mail.tnef import TnefFile, read_tnef

BODY = attribute(1, 0x2800C, "Grüße\r\nzweite Zeile\0".encode("cp1252"))


def test_text_and_files_come_out() -> None:
    content = read_tnef(
        tnef(
            BODY,
            file_attributes("A~1.TXT", b"one", long_name="Über uns.txt"),
            file_attributes("b.txt", b"two"),
        )
    )
    assert content is not None
    assert content.sound
    assert content.text == "Grüße\nzweite Zeile"
    assert content.files == (TnefFile("Über uns.txt", "", b"one"), TnefFile("b.txt", "", b"two"))


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([(0x1000, 0x1F, "Zażółć\0".encode("utf-16-le"))], "Zażółć"),
        ([(0x1013, 0x102, b"<p>Hello <b>there</b></p>")], "Hello there"),
        ([(0x1009, 0x102, compressed_rtf(rb"{\rtf1\ansi Hello\par there}"))], "Hello\nthere"),
        ([(0x1009, 0x102, struct.pack("<II4sI", 0, 0, b"MELA", 0) + rb"{\rtf1 plain}")], "plain"),
    ],
)
def test_text_in_every_form(items: list[tuple[int, int, bytes]], text: str) -> None:
    content = read_tnef(tnef(attribute(1, 0x69003, property_list(*items))))
    assert content is not None
    assert content.text == text


def test_embedded_messages_are_opened_a_few_deep() -> None:
    inner = tnef(attribute(1, 0x2800C, b"innermost\0"), file_attributes("deep.txt", b"deep"))
    for _ in range(3):
        value = property_list((0x3701, 0x0D, bytes(16) + inner))
        inner = tnef(attribute(2, 0x69002, bytes(14)) + attribute(2, 0x69005, value))
    content = read_tnef(inner)
    assert content is not None
    assert content.text == "innermost"
    assert [one.name for one in content.files] == ["deep.txt"]
    value = property_list((0x3701, 0x0D, bytes(16) + inner))
    deeper = read_tnef(tnef(attribute(2, 0x69002, bytes(14)) + attribute(2, 0x69005, value)))
    assert deeper is not None
    assert deeper.text == ""
    assert len(deeper.files) == 1


def mail(attached: bytes, text: str = "") -> bytes:
    encoded = base64.encodebytes(attached).replace(b"\n", b"\r\n")
    parts = [b"Content-Type: text/plain\r\n\r\n" + text.encode()] if text else []
    parts.append(
        b'Content-Type: application/ms-tnef; name="winmail.dat"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded
    )
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def test_a_mail_shows_what_is_in_it() -> None:
    message = normalise(mail(tnef(BODY, file_attributes("a.txt", b"one"))))
    assert message.text == "Grüße\nzweite Zeile"
    assert [(one.name, one.content) for one in message.attachments] == [("a.txt", b"one")]
    assert "tnef-opened" in message.notes


def test_text_beside_it_is_not_doubled() -> None:
    message = normalise(mail(tnef(BODY, file_attributes("a.txt", b"one")), "Same in plain"))
    assert message.text == "Same in plain"
    assert [one.name for one in message.attachments] == ["a.txt"]


def test_a_damaged_one_is_kept_besides_what_came_out() -> None:
    whole = tnef(BODY, file_attributes("a.txt", b"one"), file_attributes("b.txt", b"two" * 100))
    message = normalise(mail(whole[:-50]))
    assert [one.name for one in message.attachments] == ["a.txt", "winmail.dat"]
    assert "tnef-damaged" in message.notes
    assert [one.name for one in normalise(mail(whole[:10])).attachments] == ["winmail.dat"]


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1\ansi\ansicpg1251 \'cf\'f0\'e8\'e2\'e5\'f2}", "Привет"),
        (rb"{\rtf1\uc1 \u8364?uro \u-10179?\u-8704?}", "€uro 😀"),
        (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator X;}a\tab b\line c\~d\{e\}}", "a\tb\nc d{e}"),
        (rb"{\rtf1 {\field{\*\fldinst HYPERLINK x}{\fldrslt link}} {\pict 0102}end}", "link end"),
        (b"no rtf", ""),
    ],
)
def test_rich_text(rtf: bytes, text: str) -> None:
    assert rtf_to_text(rtf) == text


def test_references_of_compressed_rich_text() -> None:
    # A reference may reach into what it writes itself.
    crossing = struct.pack("<II4sI", 0, 0, b"LZFu", 0) + b"\x08abc" + struct.pack(">H", (207 << 4) | 10)
    assert (decompress_rtf(crossing, 100) or b"")[:15] == b"abcabcabcabcabc"


def test_output_is_bounded() -> None:
    flood = struct.pack("<II4sI", 0, 0, b"LZFu", 0) + b"\xff" + b"\x00\x1f" * 8
    assert len(decompress_rtf(flood * 2000, 1000) or b"") <= 1000
    assert len(rtf_to_text(rb"{\rtf1 " + b"a" * 5000 + b"}", 100)) <= 5000
    assert read_tnef(tnef(attribute(1, 0x69003, struct.pack("<I", 0xFFFFFFFF) + b"\xff" * 64))) is not None
    many = tnef(*(file_attributes("a", b"x") for _ in range(400)))
    content = read_tnef(many)
    assert content is not None
    assert len(content.files) == 200
    assert not content.sound


@given(st.binary(max_size=300))
@example(b"")
def test_any_bytes_behind_the_signature_end(data: bytes) -> None:
    content = read_tnef(b"\x78\x9f\x3e\x22\x01\x00" + data)
    assert content is not None
    content = read_tnef(
        tnef(attribute(1, 0x69003, data), attribute(2, 0x69002, b""), attribute(2, 0x69005, data))
    )
    assert content is not None
    decompress_rtf(b"\0" * 8 + b"LZFu" + data, 10_000)


@given(
    st.lists(
        st.sampled_from([b"{", b"}", b"\\", b"\\'", b"a", b"\\u1", b"\\uc9", b"\\*", b"\\par", b" ", b"9"])
    )
)
def test_any_rich_text_ends(tokens: list[bytes]) -> None:
    assert isinstance(rtf_to_text(b"{\\rtf1 " + b"".join(tokens)), str)
