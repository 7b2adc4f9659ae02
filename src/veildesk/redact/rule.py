"""What a detector is: triggers that fire cheaply, and a search that decides near them.

A trigger is a short byte pattern over UTF-8, without dots and without long repeats, so that one pass
finds all of them at once. The search then looks at the windows around the hits and yields findings in
view offsets; only it knows checksums and context.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from veildesk.core.finding import Finding
from veildesk.redact.keyword import Keyword
from veildesk.redact.masks import SECRET_TYPES

__all__ = [
    "Rule",
    "Search",
    "anchored_search",
    "before",
    "finding",
    "keyword_search",
    "keyword_searches",
    "pattern_search",
    "placed_search",
]

Search = Callable[[str, int, int], Iterator[Finding]]
"""(text, start, end): findings that begin in `text[start:end]`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector.

    `back` and `ahead` are how far before and after the end of a trigger a finding can reach, in code
    points. `exact` rules check a sum or a fixed shape and may join a value broken by mail wrapping.
    `cased` triggers tell upper from lower case.
    """

    name: str
    triggers: tuple[bytes, ...]
    search: Search
    back: int = 80
    ahead: int = 200
    exact: bool = False
    cased: bool = False


def finding(
    start: int, end: int, type_: str, rule: str, confidence: float = 1.0, secret: bool | None = None
) -> Finding:
    """A finding whose `secret` follows from its type unless told otherwise."""
    return Finding(start, end, type_, rule, confidence, type_ in SECRET_TYPES if secret is None else secret)


def pattern_search(
    pattern: re.Pattern[str], judge: Callable[[re.Match[str], str], Iterator[Finding]]
) -> Search:
    """A search that asks `judge` about each match of `pattern`."""

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        for match in pattern.finditer(text, start, end):
            yield from judge(match, text)

    return search


def placed_search(
    place: Keyword,
    pattern: re.Pattern[str],
    judge: Callable[[re.Match[str], str], Iterator[Finding]],
) -> Search:
    """A search that tries `pattern` only where `place` matches, however far the pattern may reach."""

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        behind = start
        for at in place.finditer(text, start, end):
            match = pattern.match(text, at.start()) if at.start() >= behind else None
            if match is not None:
                yield from judge(match, text)
                behind = match.end()

    return search


def anchored_search(
    anchor: str, pattern: re.Pattern[str], judge: Callable[[re.Match[str], str], Iterator[Finding]]
) -> Search:
    """A search that tries `pattern` only where the text `anchor` stands, for long patterns."""

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        at = text.find(anchor, start, end)
        while at >= 0:
            match = pattern.match(text, at)
            if match is not None:
                yield from judge(match, text)
            at = text.find(anchor, match.end() if match else at + 1, end)

    return search


def keyword_search(
    keyword: Keyword,
    rest: re.Pattern[str],
    judge: Callable[[re.Match[str], re.Match[str], str], Iterator[Finding]],
    *,
    whole_line: bool = False,
) -> Search:
    """A search for a keyword with `rest` right behind it; `judge` gets both matches.

    Only keywords are looked for in the window, so it can be narrow however long the rest may be.
    With `whole_line` the search goes on behind the rest, not inside it.
    """

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        behind = start
        for head in keyword.finditer(text, start, end):
            tail = rest.match(text, head.end()) if head.start() >= behind else None
            if tail is not None:
                yield from judge(head, tail, text)
                behind = tail.end() if whole_line else behind

    return search


def keyword_searches(
    keyword: Keyword,
    *tails: tuple[re.Pattern[str], Callable[[re.Match[str], re.Match[str], str], Iterator[Finding]]],
) -> Search:
    """As `keyword_search`, with several things that may stand behind the keyword, looked for once."""

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        for head in keyword.finditer(text, start, end):
            position = head.end()
            for rest, judge in tails:
                tail = rest.match(text, position)
                if tail is not None:
                    yield from judge(head, tail, text)

    return search


def before(text: str, position: int, length: int = 40) -> str:
    """Up to `length` characters before `position`, on the same line."""
    start = max(0, position - length)
    return text[max(text.rfind("\n", start, position) + 1, start) : position]
