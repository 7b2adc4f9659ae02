"""Rich Text Format to plain text, and its compressed form in Outlook's mails (MS-OXRTFCP).

Only what text needs is read: paragraphs, tabs, characters. Pictures, fonts, fields' instructions and
everything a program does not have to know (groups that begin with a star) are left out. One pass, no
recursion, never more output than `most` characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from veildesk.mail.charset import decode_bytes

__all__ = ["decompress_rtf", "rtf_to_text"]

# MS-OXRTFCP § 2.1.2.1: what the dictionary holds before the first byte.
_INITIAL = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW = 4096
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9A-Fa-f]{2})|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+", re.DOTALL
)
_BREAKS = {"par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "tab": "\t", "cell": "\t"}
_SIGNS = {
    "emdash": "—",
    "endash": "–",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
}
_HIDDEN = frozenset(
    {
        "fonttbl",
        "colortbl",
        "stylesheet",
        "info",
        "pict",
        "fldinst",
        "object",
        "header",
        "footer",
        "listtable",
    }
)
_MAX_DEPTH = 200


def decompress_rtf(data: bytes, most: int) -> bytes | None:
    """The RTF in a PR_RTF_COMPRESSED value, at most `most` bytes; None if it is not one."""
    kind = data[8:12]
    if kind == _PLAIN:
        return data[16 : 16 + most]
    if kind != _COMPRESSED:
        return None
    window = bytearray(_INITIAL.ljust(_WINDOW, b"\0"))
    write = len(_INITIAL)
    out = bytearray()
    pos = 16
    while pos < len(data) and len(out) < most:
        control = data[pos]
        pos += 1
        for bit in range(8):
            if control >> bit & 1:
                if pos + 2 > len(data):
                    return bytes(out)
                reference = int.from_bytes(data[pos : pos + 2], "big")
                pos += 2
                offset, length = reference >> 4, (reference & 0xF) + 2
                if offset == write:
                    return bytes(out)
                piece = [window[(offset + n) % _WINDOW] for n in range(length)]
                for n in range(length):
                    # A reference may reach into what it writes itself.
                    piece[n] = window[(offset + n) % _WINDOW]
                    window[write] = piece[n]
                    write = (write + 1) % _WINDOW
                out += bytes(piece)
            elif pos < len(data):
                out.append(data[pos])
                window[write] = data[pos]
                write = (write + 1) % _WINDOW
                pos += 1
    return bytes(out[:most])


@dataclass(slots=True)
class _Group:
    """What holds within one pair of braces."""

    hidden: bool = False
    skip: int = 1


class _Text:
    """Collects text; bytes wait until it is known where the next character begins."""

    def __init__(self, most: int) -> None:
        self.charset = "windows-1252"
        self._most = most
        self._size = 0
        self._out: list[str] = []
        self._bytes = bytearray()

    @property
    def full(self) -> bool:
        return self._size >= self._most

    def raw(self, data: bytes) -> None:
        self._bytes += data
        self._size += len(data)

    def add(self, text: str) -> None:
        self._flush()
        self._out.append(text)
        self._size += len(text)

    def _flush(self) -> None:
        if self._bytes:
            self._out.append(decode_bytes(bytes(self._bytes), self.charset))
            self._bytes.clear()

    def result(self) -> str:
        self._flush()
        joined = "".join(self._out)
        # Characters beyond the first plane come as two halves.
        return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def rtf_to_text(data: bytes, most: int = 2 * 1024 * 1024) -> str:
    """Plain text of an RTF document, LF line ends; "" for bytes that are none."""
    if not data.lstrip().startswith(b"{\\rtf"):
        return ""
    text = _Text(most)
    groups = [_Group()]
    pending = 0
    for match in _TOKEN.finditer(data):
        if text.full:
            break
        word, number, octet, symbol, brace, plain = match.groups()
        group = groups[-1]
        if brace == b"{":
            groups.append(_Group(group.hidden or len(groups) > _MAX_DEPTH, group.skip))
        elif brace == b"}":
            if len(groups) > 1:
                groups.pop()
        elif word is not None:
            pending = _word(word.decode("ascii"), number, group, text, pending)
        elif symbol == b"*":
            group.hidden = True
        elif not group.hidden:
            pending = _characters(octet, symbol, plain, text, pending)
    return text.result()


def _word(word: str, number: bytes | None, group: _Group, text: _Text, pending: int) -> int:
    """One control word; returns how many characters stand in for a Unicode one and are to be skipped."""
    value = int(number) if number is not None else 0
    if word in _HIDDEN:
        group.hidden = True
    elif word == "ansicpg":
        text.charset = f"cp{value}"
    elif word == "uc":
        group.skip = min(max(value, 0), 8)
    elif group.hidden:
        return pending
    elif word == "u":
        text.add(chr(value & 0xFFFF))
        return group.skip
    elif word in _BREAKS:
        text.add(_BREAKS[word])
    elif word in _SIGNS:
        text.add(_SIGNS[word])
    return 0


def _characters(
    octet: bytes | None, symbol: bytes | None, plain: bytes | None, text: _Text, pending: int
) -> int:
    """Characters by number, by symbol or as they are."""
    if octet is not None:
        if pending:
            return pending - 1
        text.raw(bytes((int(octet, 16),)))
    elif symbol is not None:
        if symbol in b"\\{}":
            text.raw(symbol)
        elif symbol == b"~":
            text.add(" ")
        elif symbol in b"\r\n":
            text.add("\n")
    elif plain is not None:
        text.raw(plain[pending:])
        return max(0, pending - len(plain))
    return 0
