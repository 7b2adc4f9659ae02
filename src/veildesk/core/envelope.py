"""What of the SMTP envelope must outlive the connection: a null return path, and the extension of our
own address that the mail was sent to ("token" in support+token@...).

A payload in the spool is a raw mail, with at most two lines of ours in front of it. Header fields of our
own namespace are taken out of every incoming mail first, so that no stranger can set these lines. Nothing
else of a mail is changed: OpenPGP signatures cover bodies and parts, not this header block. Listeners
call `with_envelope`, the mail part calls `split_envelope` before it parses.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ENVELOPE_NULL_SENDER", "Payload", "split_envelope", "strip_own_headers", "with_envelope"]

ENVELOPE_NULL_SENDER = b"X-Veildesk-Envelope: null-sender\r\n"
_EXTENSION = re.compile(rb"X-Veildesk-Extension: ([a-z0-9]{1,64})\r\n")
_FIT = re.compile(r"[a-z0-9]{1,64}")


class Payload(NamedTuple):
    """A raw mail, whether its return path was null, and the extension of our address, "" for none."""

    raw: bytes
    null_sender: bool
    extension: str = ""


_OWN = b"x-veildesk-"
# The header ends at the first empty line; lines may end in CRLF or LF.
_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")
# A bare CR ends a line too: common parsers split there, so nothing may hide behind one.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")


def strip_own_headers(raw: bytes) -> bytes:
    """Take every X-Veildesk-* field, with its folded lines, out of the header; the rest is unchanged."""
    end = _HEADER_END.search(raw)
    stop = end.end() if end else len(raw)
    if _OWN not in raw[:stop].lower():
        return raw
    kept: list[bytes] = []
    dropping = False
    for match in _LINE.finditer(raw, 0, stop):
        line = match.group()
        if not line:
            break
        if line[:1] not in (b" ", b"\t"):
            dropping = line.partition(b":")[0].strip().lower().startswith(_OWN)
        if not dropping:
            kept.append(line)
    return b"".join(kept) + raw[stop:]


def with_envelope(raw: bytes, *, null_sender: bool, extension: str = "") -> bytes:
    """A raw mail as it goes into the spool (RFC 5321 § 4.5.5 for the null return path).

    An `extension` of other characters than lower-case letters and digits is none of ours and left out.
    """
    front = ENVELOPE_NULL_SENDER if null_sender else b""
    if _FIT.fullmatch(extension):
        front += b"X-Veildesk-Extension: " + extension.encode("ascii") + b"\r\n"
    return front + strip_own_headers(raw)


def split_envelope(payload: bytes) -> Payload:
    """The raw mail of a payload and what was noted in front of it."""
    start = len(ENVELOPE_NULL_SENDER) if payload.startswith(ENVELOPE_NULL_SENDER) else 0
    match = _EXTENSION.match(payload, start)
    if match is None:
        return Payload(payload[start:], start > 0)
    return Payload(payload[match.end() :], start > 0, match.group(1).decode("ascii"))
