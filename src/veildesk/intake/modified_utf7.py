"""Folder names as IMAP writes them: modified UTF-7 (RFC 3501 § 5.1.3)."""

from __future__ import annotations

import base64
import re

__all__ = ["decode_folder", "encode_folder", "quoted_folder"]

_PLAIN = re.compile(r"[\x20-\x25\x27-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode_folder(name: str) -> str:
    """A folder name in modified UTF-7, ASCII only. Raises `ValueError` for control characters."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in name):
        raise ValueError("control character in folder name")
    out: list[str] = []
    shifted: list[str] = []

    def flush() -> None:
        if shifted:
            encoded = base64.b64encode("".join(shifted).encode("utf-16-be")).rstrip(b"=")
            out.append("&" + encoded.replace(b"/", b",").decode("ascii") + "-")
            shifted.clear()

    for char in name:
        if _PLAIN.fullmatch(char) or char == "&":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            shifted.append(char)
    flush()
    return "".join(out)


def decode_folder(encoded: str) -> str:
    """The folder name behind a modified UTF-7 string. Raises `ValueError` if it is not one."""
    if not encoded.isascii():
        raise ValueError("not modified UTF-7")

    def decode(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        data = match[1].replace(",", "/")
        try:
            return base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-16-be")
        except UnicodeDecodeError:
            raise ValueError("not modified UTF-7") from None

    if "&" in _ENCODED.sub("", encoded):
        raise ValueError("not modified UTF-7")
    return _ENCODED.sub(decode, encoded)


def quoted_folder(name: str) -> str:
    """A folder name as a quoted string, ready for a command line."""
    escaped = encode_folder(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
