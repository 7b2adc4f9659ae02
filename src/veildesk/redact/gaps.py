"""Values with a space where none belongs, as phones and page margins put them in.

Both halves must look drawn, and the exact rules must find a whole value with a true checksum or fixed
shape across the space that is none without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from veildesk.core.finding import Finding

__all__ = ["REACH", "TRIGGERS", "spaced_findings"]

Search = Callable[[str], Sequence[Finding]]
"""Searches a short text with the exact rules."""

TRIGGERS: tuple[bytes, ...] = (
    rb"[A-Za-z0-9_-]{13} {1,2}[A-Za-z0-9_-]{3}",
    rb"[A-Za-z0-9_-]{3} {1,2}[A-Za-z0-9_-]{13}",
)
"""One half is at least that long; letter case matters not, but saves the scan a pass."""

_SPACE = re.compile(r"(?<=[A-Za-z0-9_-]{3})[ ]{1,2}(?=[A-Za-z0-9_-]{3})")
_LEFT = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]*\Z")
_RIGHT = re.compile(r"[A-Za-z0-9_-]*")
REACH = 20
"""So far before the end of a trigger its gap lies."""

_REACH = 120
_LEAST = 25
_SHORT = 3
_CONTEXT = 40
_SURE = 1.0


def _drawn(half: str) -> bool:
    """Whether a half can be part of a value: digits among its letters, or letters of both cases in turn."""
    return re.search(r"[0-9]", half) is not None and re.search(r"[A-Za-z]", half) is not None


def spaced_findings(text: str, start: int, end: int, search: Search) -> Iterator[Finding]:
    """Findings that span one space of `text[start:end]`, in its offsets."""
    for gap in _SPACE.finditer(text, start, end):
        right = _RIGHT.match(text, gap.end(), gap.end() + _REACH)
        if right is None or not _drawn(right[0]):
            continue
        left = _LEFT.search(text, max(0, gap.start() - _REACH), gap.start())
        if left is None or not _drawn(left[0]) or len(left[0]) + len(right[0]) < _LEAST:
            continue
        low = max(0, left.start() - _CONTEXT)
        joined = text[low : gap.start()] + text[gap.end() : right.end() + _SHORT]
        at, wide = gap.start() - low, gap.end() - gap.start()
        for item in search(joined):
            if item.confidence >= _SURE and item.start < at - 1 and item.end > at + 1:
                yield Finding(
                    item.start + low,
                    item.end + low + wide,
                    item.type,
                    item.rule,
                    item.confidence,
                    item.secret,
                )
                break
