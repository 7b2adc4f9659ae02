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

__all__ = ["SURE", "TRIGGERS", "joined_findings"]

SURE = 0.9
"""From this confidence on a finding counts as complete."""

_BLOCKS = frozenset({"PEM", "PGP", "SEED"})
_CONTEXT = 60
_REACH = 200
_MAX_LINES = 24
_TAIL = re.compile(r"[A-Za-z0-9_.:+/@%=-]*")
_BREAK = re.compile(r"=?\r?\n(?:[ \t]?>)*[ \t]?")
_HEAD = re.compile(r"[A-Za-z0-9_.+/@%=-]+")


_LEAST = 25
_LAST = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]*\Z")
_FIRST = re.compile(r"[A-Za-z0-9]*")
_PREFIX = re.compile(r"eyJ|gh[pousr]_|_pat_|xox|sk[-_]|[spr]k_|glpat|AIza|[0-9]:A|://|SG\.|npm_|pypi-|-KEY-")

TRIGGERS: tuple[bytes, ...] = (
    rb"[a-z0-9_.:-]{14}=?\r?\n(?:[ \t]?>){0,6}[ \t]?[a-z0-9_-]{2}",
    rb"[a-z0-9_.:-]{10}=?\r?\n(?:[ \t]?>){0,6}[ \t]?[a-z0-9_]{5}",
    rb"[a-z0-9_.:-]{4}=?\r?\n(?:[ \t]?>){0,6}[ \t]?[a-z0-9_]{12}",
    rb"@[a-z0-9.-]{1,40}=?\r?\n(?:[ \t]?>){0,6}[ \t]?[a-z0-9.-]{2}",
    rb"[a-z0-9_.-]=?\r?\n(?:[ \t]?>){0,6}[ \t]?[a-z0-9_.-]{0,20}@",
)
"""Byte patterns for breaks worth a look; each ends shortly after its break."""


def joined_findings(
    text: str, ends: Sequence[int], found: Sequence[Finding], exact: Callable[[str], list[Finding]]
) -> Iterator[Finding]:
    """Findings that span line breaks of `text`.

    `ends` are where the triggers ended, `exact` searches a short text.
    """
    breaks = sorted({text.rfind("\n", 0, end) for end in ends})
    if not breaks:
        return
    complete = {item.end for item in found if item.confidence >= SURE}
    blocks = sorted((item.start, item.end) for item in found if item.type in _BLOCKS)
    done = -1
    for at in breaks:
        while blocks and blocks[0][0] < at:
            done = max(done, blocks.pop(0)[1] - 1)
        if at > done:
            item = _at_break(text, at, complete, exact)
            if item is not None:
                done = item.end
                yield item


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
        if _likely(text[start : end - soft], head[0]):
            item = _joined(text, start, head.end(), breaks, exact)
            if item is not None:
                return item
        at = head.end() - (head[0].endswith("=") and text[head.end() : head.end() + 1] in ("\r", "\n"))
        if text[at : at + 1] not in ("\r", "\n", "=") or head.end() - gap.end() < 30:
            return None
    return None


def _likely(left: str, right: str) -> bool:
    """Whether a join could be anything at all: an address, a login, or a token of some length."""
    if "@" in left or "@" in right:
        return True
    plain = _LAST.search(left)
    begin = _FIRST.match(right)
    if plain and begin and len(plain[0]) + len(begin[0]) >= _LEAST:
        return True
    return _PREFIX.search(left) is not None or (left[-1:].isdigit() and right[:1].isdigit())


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
