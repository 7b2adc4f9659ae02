"""Limits that hold while a mail is read, counted over all its parts.

Counting is plain searching in bytes, so that hostile input costs no more than its length. Every
method raises `LimitExceeded` with a code that names the limit and nothing from the mail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from veildesk.core.errors import LimitExceeded, Unparsable
from veildesk.core.limits import Limits

__all__ = ["Budget", "check_size"]

_ANYTHING = re.compile(rb"[^\r\n\t ]")


def check_size(raw: bytes, limits: Limits) -> None:
    """Refuse what is empty or too large before anything else is done with it."""
    if not _ANYTHING.search(raw):
        raise Unparsable("empty")
    if len(raw) > limits.mail_size:
        raise LimitExceeded("mail-size")


@dataclass(slots=True)
class Budget:
    """What one mail has used up so far."""

    limits: Limits
    parts: int = 0
    encoded_words: int = 0

    def header_block(self, size: int, count: int) -> None:
        """One header block of `size` bytes with `count` fields."""
        if size > self.limits.header_size:
            raise LimitExceeded("header-size")
        if count > self.limits.header_count:
            raise LimitExceeded("header-count")

    def header_value(self, name: str, value: bytes) -> None:
        """Encoded words in any field, addresses in address fields."""
        self.encoded_words += value.count(b"=?")
        if self.encoded_words > self.limits.encoded_words:
            raise LimitExceeded("encoded-words")
        if name in _ADDRESS_FIELDS and value.count(b"@") > self.limits.addresses:
            raise LimitExceeded("addresses")

    def part(self, depth: int) -> None:
        """One more part, `depth` multiparts deep."""
        self.parts += 1
        if self.parts > self.limits.mime_parts:
            raise LimitExceeded("mime-parts")
        if depth > self.limits.mime_depth:
            raise LimitExceeded("mime-depth")


_ADDRESS_FIELDS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc", "resent-to", "resent-cc", "resent-from"}
)
