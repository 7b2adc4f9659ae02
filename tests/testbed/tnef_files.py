"""winmail.dat files, written byte by byte (MS-OXTNEF)."""

from __future__ import annotations

import struct

__all__ = ["attribute", "compressed_rtf", "file_attributes", "property_list", "tnef"]


def attribute(level: int, name: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def property_list(*items: tuple[int, int, bytes]) -> bytes:
    """(number, type, value) of variable-length MAPI properties."""
    out = struct.pack("<I", len(items))
    for number, kind, value in items:
        out += struct.pack("<HHII", kind, number, 1, len(value)) + value + bytes(-len(value) % 4)
    return out


def file_attributes(name: str, content: bytes, *, long_name: str | None = None) -> bytes:
    out = attribute(2, 0x69002, bytes(14)) + attribute(2, 0x18010, name.encode("cp1252") + b"\0")
    out += attribute(2, 0x6800F, content)
    if long_name is not None:
        value = property_list((0x3707, 0x1F, long_name.encode("utf-16-le") + b"\0\0"))
        out += attribute(2, 0x69005, value)
    return out


def tnef(*attributes: bytes, codepage: int = 1252) -> bytes:
    head = b"\x78\x9f\x3e\x22\x01\x00"
    return head + attribute(1, 0x69007, struct.pack("<II", codepage, 0)) + b"".join(attributes)


def compressed_rtf(rtf: bytes) -> bytes:
    """An LZFu value of literals only."""
    body = b""
    for start in range(0, len(rtf), 8):
        body += b"\0" + rtf[start : start + 8]
    return struct.pack("<II4sI", len(body) + 12, len(rtf), b"LZFu", 0) + body
