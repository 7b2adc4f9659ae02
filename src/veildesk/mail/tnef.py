"""Outlook's winmail.dat taken apart (MS-OXTNEF): text and files, in one pass, within limits.

Nothing is trusted: lengths are checked against what is there, checksums are ignored (real mails have
wrong ones), what is not known is passed over. Embedded messages are opened three deep at most. Names,
times and addresses in it are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from veildesk.mail.charset import decode_bytes
from veildesk.mail.html import html_to_text
from veildesk.mail.rtf import decompress_rtf, rtf_to_text

__all__ = ["TnefContent", "TnefFile", "is_tnef", "read_tnef"]

_SIGNATURE = b"\x78\x9f\x3e\x22"
_HEAD = struct.Struct("<BII")
_BODY, _TITLE, _DATA = 0x800C, 0x8010, 0x800F
_START, _ATTACHMENT, _PROPERTIES, _CODEPAGE = 0x9002, 0x9005, 0x9003, 0x9007
_PR_BODY, _PR_HTML, _PR_RTF = 0x1000, 0x1013, 0x1009
_PR_DATA, _PR_NAME, _PR_LONG_NAME, _PR_TYPE = 0x3701, 0x3704, 0x3707, 0x370E
_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_MAX_ATTRIBUTES = 2000
_MAX_PROPERTIES = 2000
_MAX_FILES = 200
_MAX_DEPTH = 3
_INTERFACE = 16


@dataclass(frozen=True, slots=True)
class TnefFile:
    """One file: name as written, declared media type or "", bytes."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TnefContent:
    """Text with LF line ends, "" for none, and the files. `sound` is false when something was cut off."""

    text: str = field(repr=False)
    files: tuple[TnefFile, ...]
    sound: bool = True


@dataclass(slots=True)
class _File:
    name: str = ""
    long_name: str = ""
    media_type: str = ""
    content: bytes | None = None
    embedded: bytes | None = None


@dataclass(slots=True)
class _Message:
    charset: str = "windows-1252"
    plain: str = ""
    html: str = ""
    rtf: bytes = b""
    files: list[_File] = field(default_factory=list)
    sound: bool = True


def is_tnef(data: bytes) -> bool:
    """Whether bytes begin as a winmail.dat does."""
    return data.startswith(_SIGNATURE)


def read_tnef(data: bytes, most: int = 2 * 1024 * 1024) -> TnefContent | None:
    """Take one apart; None for bytes that are none. `most` bounds the text in bytes."""
    return _read(data, most, 0) if is_tnef(data) else None


def _read(data: bytes, most: int, depth: int) -> TnefContent:
    message = _Message()
    for level, name, value in _attributes(data, message):
        if level == 1:
            _of_message(name, value, message, most)
        else:
            _of_file(name, value, message)
    texts, sound = [_text(message, most)], message.sound
    files: list[TnefFile] = []
    for one in message.files:
        if one.embedded is not None and is_tnef(one.embedded) and depth < _MAX_DEPTH:
            inner = _read(one.embedded, most, depth + 1)
            texts.append(inner.text)
            files += inner.files
            sound = sound and inner.sound
        elif one.content is not None or one.embedded is not None:
            content = one.content if one.content is not None else one.embedded or b""
            files.append(TnefFile(one.long_name or one.name, one.media_type, content))
    joined = "\n\n".join(text.strip("\n") for text in texts if text.strip())
    return TnefContent(joined, tuple(files[:_MAX_FILES]), sound and len(files) <= _MAX_FILES)


def _attributes(data: bytes, message: _Message) -> Iterator[tuple[int, int, bytes]]:
    """Level (1 message, 2 file), name and value of each attribute."""
    pos = len(_SIGNATURE) + 2
    for _ in range(_MAX_ATTRIBUTES):
        if pos == len(data):
            return
        if pos + _HEAD.size > len(data):
            break
        level, name, length = _HEAD.unpack_from(data, pos)
        pos += _HEAD.size
        if level not in (1, 2) or length > len(data) - pos:
            break
        yield level, name & 0xFFFF, data[pos : pos + length]
        pos += length + 2
    message.sound = False


def _of_message(name: int, value: bytes, message: _Message, most: int) -> None:
    if name == _CODEPAGE and len(value) >= 4:
        message.charset = f"cp{int.from_bytes(value[:4], 'little')}"
    elif name == _BODY:
        message.plain = _string(value[:most], message.charset)
    elif name == _PROPERTIES:
        for number, kind, content in _properties(value):
            if number == _PR_BODY:
                message.plain = _value(kind, content[:most], message.charset)
            elif number == _PR_HTML:
                message.html = _value(kind, content[:most], "utf-8" if kind == _BINARY else message.charset)
            elif number == _PR_RTF and kind == _BINARY:
                message.rtf = content


def _of_file(name: int, value: bytes, message: _Message) -> None:
    if name == _START:
        message.files.append(_File())
    if not message.files or len(message.files) > _MAX_FILES:
        message.sound = message.sound and bool(message.files) and len(message.files) <= _MAX_FILES
        return
    current = message.files[-1]
    if name == _TITLE:
        current.name = _string(value, message.charset)
    elif name == _DATA:
        current.content = value
    elif name == _ATTACHMENT:
        for number, kind, content in _properties(value):
            if number == _PR_LONG_NAME:
                current.long_name = _value(kind, content, message.charset)
            elif number == _PR_NAME and not current.name:
                current.name = _value(kind, content, message.charset)
            elif number == _PR_TYPE:
                current.media_type = _value(kind, content, message.charset).lower()
            elif number == _PR_DATA and kind == _OBJECT:
                current.embedded = content[_INTERFACE:]
            elif number == _PR_DATA and kind == _BINARY:
                current.content = content


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and first value of each MAPI property (MS-OXTNEF § 2.1.3.4)."""
    count, pos = int.from_bytes(data[:4], "little"), 4
    for _ in range(min(count, _MAX_PROPERTIES)):
        if pos + 4 > len(data):
            return
        kind, number = struct.unpack_from("<HH", data, pos)
        pos += 4
        if number >= 0x8000:
            pos = _after_name(data, pos)
        several, kind = bool(kind & 0x1000), kind & 0xEFFF
        value, pos = _first_value(data, pos, kind, several=several)
        if value is None:
            return
        yield number, kind, value


def _after_name(data: bytes, pos: int) -> int:
    """Behind the GUID and the name or number of a named property."""
    named = int.from_bytes(data[pos + 16 : pos + 20], "little")
    pos += 20
    if named == 0:
        return pos + 4
    return pos + 4 + _padded(int.from_bytes(data[pos : pos + 4], "little"))


def _first_value(data: bytes, pos: int, kind: int, *, several: bool) -> tuple[bytes | None, int]:
    variable = kind in (_STRING8, _UNICODE, _OBJECT, _BINARY)
    if not variable and kind not in _FIXED:
        return None, pos
    count = 1
    if variable or several:
        count, pos = int.from_bytes(data[pos : pos + 4], "little"), pos + 4
    first: bytes | None = None if count else b""
    for _ in range(count):
        size = _FIXED.get(kind, 0)
        if variable:
            size, pos = int.from_bytes(data[pos : pos + 4], "little"), pos + 4
        if pos + size > len(data):
            return None, pos
        first = data[pos : pos + size] if first is None else first
        pos += _padded(size)
    return first, pos


def _padded(size: int) -> int:
    return size + (-size % 4)


def _value(kind: int, data: bytes, charset: str) -> str:
    return _string(data, "utf-16-le" if kind == _UNICODE else charset)


def _string(data: bytes, charset: str) -> str:
    return decode_bytes(data, charset).partition("\0")[0].replace("\r\n", "\n").replace("\r", "\n")


def _text(message: _Message, most: int) -> str:
    """The best text there is: plain, else of HTML, else of RTF."""
    if message.plain.strip():
        return message.plain
    if message.html.strip():
        return html_to_text(message.html)
    rtf = decompress_rtf(message.rtf, most) if message.rtf else None
    return rtf_to_text(rtf, most) if rtf else ""
