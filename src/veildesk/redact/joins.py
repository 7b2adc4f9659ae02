"""Values that mail wrapping cut in two.

For each line break between two token characters, the last token of the line and the first of the next
are put together and shown to the exact rules only. A join counts if a whole value with a true checksum
or fixed shape spans the break, and only if the left half was no complete value by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from veildesk.core.finding import Finding
from veildesk.redact.view import Edit, View, edited

__all__ = ["SURE", "joined_findings"]

SURE = 0.9
"""From this confidence on a finding counts as complete."""

_BLOCKS = frozenset({"PEM", "PGP", "SEED"})
_CONTEXT = 60
_REACH = 200
_MAX_LINES = 24
_TAIL = re.compile(r"[A-Za-z0-9_.:+/@%=-]*")
_BREAK = re.compile(r"=?\r?\n(?:[ \t]?>)*[ \t]?")
_HEAD = re.compile(r"[A-Za-z0-9_.+/@%=-]+")


def joined_findings(
    text: str, found: Sequence[Finding], exact: Callable[[str], list[Finding]]
) -> Iterator[Finding]:
    """Findings that span line breaks of `text`; `exact` searches a short text."""
    complete = {item.end for item in found if item.confidence >= SURE}
    done = -1
    blocks = sorted((item.start, item.end) for item in found if item.type in _BLOCKS)
    at = text.find("\n")
    while at >= 0:
        while blocks and blocks[0][0] < at:
            done = max(done, blocks.pop(0)[1] - 1)
        if at > done:
            item = _at_break(text, at, complete, exact)
            if item is not None:
                done = item.end
                yield item
        at = text.find("\n", at + 1)


def _at_break(
    text: str, newline: int, complete: set[int], exact: Callable[[str], list[Finding]]
) -> Finding | None:
    end = newline - (text[newline - 1 : newline] == "\r")
    soft = text[end - 1 : end] == "="
    tail = _TAIL.match(text[max(0, end - soft - _REACH) : end - soft][::-1])
    left = tail.end() if tail else 0
    if left < 2 or end in complete or end - soft in complete:
        return None
    start = end - soft - left
    breaks: list[tuple[int, int]] = []
    at = end - soft
    for _ in range(_MAX_LINES):
        gap = _BREAK.match(text, at)
        head = _HEAD.match(text, gap.end(), gap.end() + _REACH) if gap else None
        if gap is None or head is None:
            return None
        breaks.append((gap.start(), gap.end()))
        whole = head.end() - start - sum(b - a for a, b in breaks)
        if _likely(text[start : end - soft], head[0], whole):
            item = _joined(text, start, head.end(), breaks, exact)
            if item is not None:
                return item
        at = head.end() - (head[0].endswith("=") and text[head.end() : head.end() + 1] in ("\r", "\n"))
        if text[at : at + 1] not in ("\r", "\n", "=") or head.end() - gap.end() < 30:
            return None
    return None


def _likely(left: str, right: str, whole: int) -> bool:
    """Whether a join could be anything at all: an address, or a long mixed token."""
    if "@" in left or right.startswith("@"):
        return True
    both = left + right
    return whole >= 20 and any(char.isdigit() for char in both) and len(right) >= 2


def _joined(
    text: str, start: int, stop: int, breaks: list[tuple[int, int]], exact: Callable[[str], list[Finding]]
) -> Finding | None:
    low = max(0, start - _CONTEXT)
    high = min(len(text), stop + 20)
    view: View = edited(text[low:high], (Edit(a - low, b - low, "") for a, b in breaks))
    for item in exact(view.text):
        first, last = view.source(item.start, item.end)
        first, last = first + low, last + low
        if item.confidence >= SURE and first < breaks[0][0] and last > breaks[-1][1]:
            return Finding(first, last, item.type, item.rule, item.confidence, item.secret)
    return None
