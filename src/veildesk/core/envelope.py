"""The one fact of the SMTP envelope that must outlive the connection: a null return path.

A payload in the spool is a raw mail, with at most one line of ours in front of it. Header fields of our
own namespace are taken out of every incoming mail first, so that no stranger can set that line. Nothing
else of a mail is changed: OpenPGP signatures cover bodies and parts, not this header block. Listeners
call `with_envelope`, the mail part calls `split_envelope` before it parses.
"""

from __future__ import annotations

import re

__all__ = ["ENVELOPE_NULL_SENDER", "split_envelope", "strip_own_headers", "with_envelope"]

ENVELOPE_NULL_SENDER = b"X-Veildesk-Envelope: null-sender\r\n"

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


def with_envelope(raw: bytes, *, null_sender: bool) -> bytes:
    """A raw mail as it goes into the spool (RFC 5321 § 4.5.5 for the null return path)."""
    stripped = strip_own_headers(raw)
    return ENVELOPE_NULL_SENDER + stripped if null_sender else stripped


def split_envelope(payload: bytes) -> tuple[bytes, bool]:
    """The raw mail of a payload, and whether its return path was null."""
    if payload.startswith(ENVELOPE_NULL_SENDER):
        return payload[len(ENVELOPE_NULL_SENDER) :], True
    return payload, False
