"""ASCII armor read to binary packets (RFC 9580 § 6 and § 7), so that gpg only ever sees those.

Finds every block of a text with its exact span and says what lies outside. Works on bytes, in one
pass, without recursion. It does not judge packets and it never repairs base64. Clear-signed text is read
strictly, for its form decides what is signed. Around base64 webmail and relays leave their traces (blank
lines, indentation, folded comments, no separator), which change nothing of what is inside and are let pass.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from veildesk.core.errors import Unparsable

__all__ = ["Block", "crc24", "find_blocks", "outside", "single_block"]

_BEGIN = re.compile(
    rb"^(?:|[ \t]{1,20}(?=-----BEGIN PGP (?:MESSAGE|PUBLIC KEY BLOCK)-))"
    rb"-----BEGIN PGP ([A-Z][A-Z0-9 ,/]{2,40})-----[ \t\r]*$",
    re.MULTILINE,
)
_SIGNATURE = re.compile(rb"-----BEGIN PGP SIGNATURE-----[ \t]*\Z")
_CONTROL = re.compile(rb"[\x00\x0b\x0c\r]")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}:(?: .*)?$")
_LOOSE_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}:")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]+")
_CRC = re.compile(rb"=[A-Za-z0-9+/]{4}\Z")
# Some mail programs turn the empty separator line into one with a no-break space.
_BLANK = b" \t\r\xc2\xa0"
_SIGNED = "SIGNED MESSAGE"
_MAX_BLOCKS = 64
_MAX_HEADERS = 32
_MAX_LINES_ABOVE = 200


@dataclass(frozen=True, slots=True)
class Block:
    """One armor block: `label` as in its first line, `start` and `end` its span in the given bytes.

    `data` are the decoded packets; for "SIGNED MESSAGE" those of its signature, `source` is the
    whole block with LF line ends and `lines` its dash-escaped text. The checksum is never looked at: a
    missing or wrong one must be no reason to refuse (RFC 9580 § 6.1); the integrity that counts is inside.
    """

    label: str
    data: bytes = field(repr=False)
    start: int
    end: int
    headers: tuple[tuple[str, str], ...] = ()
    source: bytes = field(default=b"", repr=False)
    lines: tuple[bytes, ...] = field(default=(), repr=False)


def crc24(data: bytes) -> int:
    """The checksum of RFC 9580 § 6.1.1."""
    crc = 0xB704CE
    for octet in data:
        crc = ((crc << 8) & 0xFFFFFF) ^ _CRC_TABLE[(crc >> 16) ^ octet]
    return crc


def _crc_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index << 16
        for _ in range(8):
            value = (value << 1) ^ (0x1864CFB if value & 0x800000 else 0)
        table.append(value & 0xFFFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def find_blocks(text: bytes) -> tuple[Block, ...]:
    """Every armor block in order. Raises `Unparsable` when one is begun but not well formed."""
    blocks: list[Block] = []
    position = 0
    while (match := _BEGIN.search(text, position)) is not None:
        if len(blocks) >= _MAX_BLOCKS:
            raise Unparsable("armor-too-many-blocks")
        blocks.append(_block(text, match))
        position = blocks[-1].end
    return tuple(blocks)


def single_block(text: bytes) -> Block | None:
    """The block if the text is exactly one and nothing but white space around; else None."""
    try:
        blocks = find_blocks(text)
    except Unparsable:
        return None
    if len(blocks) != 1 or outside(text, blocks).strip():
        return None
    return blocks[0]


def outside(text: bytes, blocks: tuple[Block, ...]) -> bytes:
    """What of the text lies in no block."""
    kept: list[bytes] = []
    position = 0
    for block in blocks:
        kept.append(text[position : block.start])
        position = block.end
    kept.append(text[position:])
    return b"".join(kept)


def _line_at(text: bytes, position: int) -> tuple[bytes, int]:
    """The line without its end (LF, perhaps after CR) and where the next one starts."""
    if position >= len(text):
        raise Unparsable("armor-not-ended")
    found = text.find(b"\n", position)
    following = len(text) if found < 0 else found + 1
    return text[position:following].rstrip(b"\r\n"), following


def _block(text: bytes, begin: re.Match[bytes]) -> Block:
    label, start = begin[1].decode("ascii"), begin.start()
    first = _line_at(text, start)[1]
    if label != _SIGNED:
        headers, position = _loose_headers(text, first, indented=text[start : start + 1] != b"-")
        data, end = _body(text, position, label)
        return Block(label, data, start, end, headers)
    headers, position = _headers(text, first)
    if any(name != "Hash" for name, _ in headers):
        raise Unparsable("cleartext-header")
    lines, position = _clear_lines(text, position)
    _, position = _loose_headers(text, position, indented=False)
    data, end = _body(text, position, "SIGNATURE")
    source = [b"-----BEGIN PGP SIGNED MESSAGE-----"]
    source += [f"{name}: {value}".encode("ascii", "replace") for name, value in headers]
    source += [b"", *lines, b"-----BEGIN PGP SIGNATURE-----", b"", *_wrapped(data)]
    source += [b"-----END PGP SIGNATURE-----", b""]
    return Block(label, data, start, end, headers, b"\n".join(source), tuple(lines))


def _headers(text: bytes, position: int) -> tuple[tuple[tuple[str, str], ...], int]:
    headers: list[tuple[str, str]] = []
    line, position = _line_at(text, position)
    while line.strip(_BLANK):
        if not _HEADER.match(line) or len(headers) >= _MAX_HEADERS:
            raise Unparsable("armor-header")
        name, _, value = line.decode("utf-8", "replace").partition(":")
        headers.append((name, value.strip()))
        line, position = _line_at(text, position)
    return tuple(headers), position


def _loose_headers(text: bytes, position: int, *, indented: bool) -> tuple[tuple[tuple[str, str], ...], int]:
    """Headers above base64 and where that begins: no line of base64 holds a colon, so none is taken for one.

    A line that begins with a blank goes on with the header above it, unless the whole block is indented.
    """
    headers: list[tuple[str, str]] = []
    separated = False
    for _ in range(_MAX_LINES_ABOVE):
        begin = position
        line, position = _line_at(text, position)
        stripped = line.strip(_BLANK)
        if not stripped:
            separated = True
        elif _LOOSE_HEADER.match(stripped) and len(headers) < _MAX_HEADERS:
            name, _, value = stripped.decode("utf-8", "replace").partition(":")
            headers.append((name, value.strip()))
        elif headers and not separated and not indented and line[:1] in b" \t":
            continue
        elif _BASE64.fullmatch(stripped) or stripped.startswith(b"-----END PGP "):
            return tuple(headers), begin
        else:
            break
    raise Unparsable("armor-header")


def _body(text: bytes, position: int, label: str) -> tuple[bytes, int]:
    """Decoded base64 and where the block ends. A checksum line is let pass, see `Block`."""
    stop = text.find(f"-----END PGP {label}-----".encode(), position)
    if stop < 0 or text.find(b"-----BEGIN PGP ", position, stop) >= 0:
        raise Unparsable("armor-not-ended")
    line, end = _line_at(text, stop)
    above = text[text.rfind(b"\n", 0, stop) + 1 : stop]
    if above.strip(b" \t") or line.strip() != f"-----END PGP {label}-----".encode():
        raise Unparsable("armor-end")
    words = text[position:stop].split()
    if words and _CRC.match(words[-1]):
        words.pop()
    try:
        return base64.b64decode(b"".join(words), validate=True), end
    except binascii.Error as error:
        raise Unparsable("armor-base64") from error


def _clear_lines(text: bytes, position: int) -> tuple[list[bytes], int]:
    """Dash-escaped text up to the signature's first line (RFC 9580 § 7.2).

    A line that begins with a dash and is not escaped would let two readers see two texts; so would
    control characters that some take for line ends.
    """
    kept: list[bytes] = []
    while True:
        line, position = _line_at(text, position)
        if _SIGNATURE.match(line):
            return kept, position
        if line.startswith(b"-") and not line.startswith(b"- "):
            raise Unparsable("cleartext-dash")
        if _CONTROL.search(line):
            raise Unparsable("cleartext-control")
        kept.append(line)


def _wrapped(data: bytes) -> list[bytes]:
    encoded = base64.b64encode(data)
    rows = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return [*rows, b"=" + base64.b64encode(crc24(data).to_bytes(3, "big"))]
