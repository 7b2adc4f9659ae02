"""Armor and packet headers: any bytes give a structure or one of our errors, never a crash."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.openpgp_lab import literal, packet
from veildesk.core.errors import NotSoundCiphertext, Unparsable, VeildeskError
from veildesk.openpgp.armor import crc24, find_blocks, outside, single_block
from veildesk.openpgp.content import literal_data, uncompressed
from veildesk.openpgp.packets import Kind, classify, read_certificate, signature_packets, split_packets


def armored(data: bytes, label: str = "MESSAGE", headers: str = "", crc: bytes | None = None) -> bytes:
    encoded = base64.encodebytes(data)
    check = b"" if crc is None else b"=" + base64.b64encode(crc) + b"\n"
    return (
        f"-----BEGIN PGP {label}-----\n{headers}\n".encode()
        + encoded
        + check
        + f"-----END PGP {label}-----\n".encode()
    )


CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----\n%s\n" + armored(b"", "SIGNATURE")


def test_checksum_is_the_standards() -> None:
    assert crc24(b"") == 0xB704CE
    assert crc24(b"123456789") == 0x21CF02


@pytest.mark.parametrize("crc", [None, crc24(b"data").to_bytes(3, "big"), b"\x00\x00\x00"])
def test_checksum_never_decides(crc: bytes | None) -> None:
    block = single_block(armored(b"data", crc=crc))
    assert block is not None
    assert block.data == b"data"


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN PGP MESSAGE-----\nZGF0\nYQ==\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\r\n\r\nVersion: X 2\r\n\r\nZGF0YQ==\r\n-----END PGP MESSAGE-----\r\n",
        b"-----BEGIN PGP MESSAGE-----\n\nVersion: X\n\n\n\nZGF0\n\nYQ==\n\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\nComment: by -\n Thunderbird\n\nZGF0YQ==\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\nVersion:X\nComment:\n\nZGF0YQ==\n-----END PGP MESSAGE-----\n",
        b"  -----BEGIN PGP MESSAGE-----\n  Version: X\n\n  ZGF0\n  YQ==\n  -----END PGP MESSAGE-----\n",
    ],
)
def test_traces_of_webmail_and_relays_change_nothing(text: bytes) -> None:
    block = single_block(text)
    assert block is not None
    assert block.data == b"data"


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n",
        b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        b"-----BEGIN PGP MESSAGE-----\nA: b\n" + b" c\n" * 300 + b"\nAAAA\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\n\n> AAAA\n> -----END PGP MESSAGE-----\n",
        b" " + CLEAR % b"" + b"-----BEGIN PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\n\nA*AA\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\n\nAAA\n-----END PGP MESSAGE-----\n",
        b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE----- more\n",
        b"-----BEGIN PGP MESSAGE-----\n\n-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n",
        CLEAR % b"Hash: SHA512\n\n-unescaped",
        CLEAR % b"Hash: SHA512\n\nform\x0cfeed",
        CLEAR % b"NotDashEscaped: x\n\ntext",
        CLEAR % b"Hash: SHA512\nforged text\n\ntext",
    ],
)  # fmt: skip
def test_malformed_armor_is_refused(text: bytes) -> None:
    with pytest.raises(Unparsable):
        find_blocks(text)
    assert single_block(text) is None


def test_several_blocks_and_what_is_around() -> None:
    text = (
        b"before\n" + armored(b"one") + b"between\r\n" + armored(b"two", headers="Version: x\n") + b"after\n"
    )
    blocks = find_blocks(text)
    assert [one.data for one in blocks] == [b"one", b"two"]
    assert outside(text, blocks) == b"before\nbetween\r\nafter\n"


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_blocks_come_back_from_any_surroundings(data: bytes, around: bytes) -> None:
    clean = around.replace(b"-", b"_")
    block = armored(data)
    found = find_blocks(clean + b"\n" + block + clean)
    assert [one.data for one in found] == [data]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_walked_without_a_crash(data: bytes) -> None:
    for step in (classify, read_certificate, find_blocks, lambda one: uncompressed(one, 1000), literal_data):
        try:
            step(data)
        except VeildeskError:
            continue
    assert isinstance(signature_packets(data), tuple)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([2, 10, 13, 60]), st.binary(max_size=300)), max_size=6))
def test_packets_come_back(items: list[tuple[int, bytes]]) -> None:
    data = b"".join(packet(tag, body) for tag, body in items)
    assert [(one.tag, one.body) for one in split_packets(data)] == items


def test_partial_lengths_are_put_together() -> None:
    body = literal(b"x" * 700)[6:]
    split = b"\xcb\xe9" + body[:512] + bytes((len(body) - 512 - 192 >> 8) + 192 for _ in range(0))
    rest = body[512:]
    split += bytes((192 + ((len(rest) - 192) >> 8), (len(rest) - 192) & 0xFF)) + rest
    assert classify(split).kind is Kind.LITERAL
    assert literal_data(split) == b"x" * 700


@pytest.mark.parametrize(
    "raw", [b"\xcb\xe9abc", b"\xcb\xff\x00\x00", b"\xc2\xe1ab\x00", b"\xcb", b"\xab", b"\x00", b"\xc0\x00"]
)
def test_bad_lengths_are_refused(raw: bytes) -> None:
    with pytest.raises(VeildeskError):
        classify(raw)


def test_unprotected_ciphertext_is_not_sound_wherever_it_stands() -> None:
    pkesk = packet(1, b"\x03" + bytes(8) + b"\x12" + bytes(40))
    for data in (packet(9, b"x"), pkesk + packet(9, b"x"), pkesk + packet(9, b"x") + packet(18, b"\x01x")):
        with pytest.raises(NotSoundCiphertext):
            classify(data)
