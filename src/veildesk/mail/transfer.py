"""Content transfer encodings (RFC 2045 § 6), read leniently and never raising.

uuencode is not decoded: it stays the text it is.
"""

from __future__ import annotations

import binascii
import re
import string

__all__ = ["decode_transfer"]

_BASE64 = bytes(string.ascii_letters + string.digits + "+/=", "ascii")
_BLANK = bytes(string.whitespace, "ascii")
# Bytes to delete: for files of many megabytes this is some twenty times as fast as a pattern.
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_PADDING = re.compile(rb"=+")
# The end of armor as only unencoded text has it: encoded, a checksum begins with "=3D".
_ARMOR_END = re.compile(
    rb"={0,2}[ \t]{0,9}\r?\n(?:=[A-Za-z0-9+/]{4}[ \t]{0,9}\r?\n)?(?=-----END PGP [A-Z ]{3,20}-----)"
)
_BLANK_AT_END = re.compile(rb"[ \t]\r?\n")


def decode_transfer(body: bytes, encoding: str) -> bytes:
    """The decoded content of one part; an unknown encoding leaves the bytes as they are."""
    match encoding:
        case "base64":
            return _base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(_trim_lines(_with_armor_encoded(body)))
    return body


def _with_armor_encoded(body: bytes) -> bytes:
    """Some programs declare quoted-printable and put armor in as it is, which decoding would break."""
    if b"-----END PGP " not in body:
        return body
    return _ARMOR_END.sub(lambda end: end[0].replace(b"=", b"=3D"), body)


def _trim_lines(body: bytes) -> bytes:
    """Blanks at line ends were added in transport (RFC 2045 § 6.7 rule 3)."""
    if not _BLANK_AT_END.search(body):
        return body
    lines = body.split(b"\n")
    return b"\n".join(
        line[:-1].rstrip(b" \t") + b"\r" if line.endswith(b"\r") else line.rstrip(b" \t") for line in lines
    )


def _base64(body: bytes) -> bytes:
    """Blocks of base64; what follows the padding counts only if it is base64 as well."""
    first = _PADDING.match(body, at) if (at := body.find(b"=")) >= 0 else None
    if first is not None and body[first.end() :].translate(None, _BASE64 + _BLANK):
        body = body[: first.end()]
    out = []
    packed = body.translate(None, _NOT_BASE64).rstrip(b"=")
    for chunk in _PADDING.split(packed) if b"=" in packed else [packed]:
        if len(chunk) % 4 == 1:
            chunk = chunk[:-1]
        out.append(binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4)))
    return b"".join(out)
