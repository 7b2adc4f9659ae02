"""The null return path of a mail that lies in a mailbox (RFC 5321 § 4.4).

The last server writes Return-Path above everything else, so only a field above the first Received
counts: further down it is the sender's own and proves nothing.
"""

from __future__ import annotations

import re

__all__ = ["has_null_return_path"]

_NULL = re.compile(rb"Return-Path:[ \t]*<[ \t]*>[ \t]*\r?\n?", re.IGNORECASE)


def has_null_return_path(raw: bytes) -> bool:
    """Whether the delivering server noted an empty envelope sender."""
    for line in raw[: 64 * 1024].splitlines(keepends=True):
        if not line.strip() or line[:9].lower() == b"received:":
            return False
        if line[:12].lower() == b"return-path:":
            return _NULL.fullmatch(line) is not None
    return False
