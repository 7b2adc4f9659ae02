"""One pass over a text that tells which triggers fire where.

Two engines with the same triggers and the same answers: Hyperscan, and `re` where its wheel is
missing or on request. Triggers hold no dots (a dot in "dot matches all" mode loses matches in some
builds of the library) and need no start offsets. Both engines report the end of each hit.

A trigger is a list of alternatives, most of them plain words: the library compiles thousands of literals
in no time, but alternatives inside one pattern, bounded repeats of wide classes and patterns without any
literal cost it seconds.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

__all__ = ["ReScanner", "Scanner", "Trigger", "hyperscan_scanner", "make_scanner", "positions"]

Trigger = tuple[tuple[bytes, ...], bool]
"""(alternatives, whether case matters)."""

_PLAIN = re.compile(rb"(?:[^\\\[\](){}?*+|^$.]|\\[^a-zA-Z0-9])+")


class Scanner(Protocol):
    """Reports (trigger, byte offset of the end of a hit) pairs in no particular order."""

    name: str

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Hits; triggers are counted in the order they were given."""


class ReScanner:
    """The engine on the standard library: slower, and of overlapping hits only the first."""

    name = "re"

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._patterns = [
            (number, re.compile(pattern, 0 if cased else re.IGNORECASE))
            for number, (alternatives, cased) in enumerate(triggers)
            for pattern in _grouped(alternatives)
        ]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Ends of matches that do not overlap, per trigger."""
        return [
            (number, match.end()) for number, pattern in self._patterns for match in pattern.finditer(data)
        ]


def _grouped(alternatives: Sequence[bytes]) -> list[bytes]:
    """Plain words as one pattern, all others by themselves."""
    words = [pattern for pattern in alternatives if _PLAIN.fullmatch(pattern)]
    return [b"|".join(words)] * bool(words) + [p for p in alternatives if not _PLAIN.fullmatch(p)]


_LITERAL = re.compile(rb"(?:\\[^a-zA-Z0-9]|[a-zA-Z0-9_/:;=@% -]){3}")
_CLASS = re.compile(rb"\[(?:\\[\s\S]|[^\]\\])*\](?:\{[^}]*\})?|\(\?:")


_Item = tuple[bytes, int, int]
"""(pattern, flags, trigger)."""


def _has_literal(item: _Item) -> bool:
    """Whether a pattern holds some fixed characters in a row: the library reads texts without quickly."""
    return bool(_PLAIN.fullmatch(item[0]) or _LITERAL.search(_CLASS.sub(b"\0", item[0])))


def _parted(items: Sequence[_Item], fits: Callable[[_Item], bool]) -> tuple[list[_Item], list[_Item]]:
    """What fits, and the rest, both in order."""
    sides: tuple[list[_Item], list[_Item]] = [], []
    for item in items:
        sides[not fits(item)].append(item)
    return sides


_PART = 30
"""So many patterns without fixed characters are compiled together: time grows faster than their number."""


class _HyperscanScanner:
    """The engine on Hyperscan: all triggers in a few passes, every end offset."""

    name = "hyperscan"

    def __init__(self, triggers: Sequence[Trigger], library: Any) -> None:
        self._library = library
        self._local = threading.local()
        flat = [
            (pattern, 0 if cased else library.HS_FLAG_CASELESS, number)
            for number, (alternatives, cased) in enumerate(triggers)
            for pattern in alternatives
        ]
        quick, slow = _parted(flat, _has_literal)
        # Those that tell upper from lower case share few states with the others.
        other, cased = _parted(slow, lambda item: item[1] != 0)
        parts = [quick, cased, *(other[at : at + _PART] for at in range(0, len(other), _PART))]
        self._parts = [(self._compiled(part), [number for _, _, number in part]) for part in parts if part]

    def _compiled(self, part: Sequence[_Item]) -> Any:
        database = self._library.Database(mode=self._library.HS_MODE_BLOCK)
        database.compile(
            expressions=[pattern for pattern, _, _ in part],
            ids=list(range(len(part))),  # numbers used twice make compiling many times slower
            elements=len(part),
            flags=[flag for _, flag, _ in part],
        )
        return database

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """All ends of all hits. Scratch space is each thread's own."""
        hits: list[tuple[int, int]] = []
        if not data:
            return hits
        scratches = getattr(self._local, "scratches", None)
        if scratches is None:
            scratches = [self._library.Scratch(database) for database, _ in self._parts]
            self._local.scratches = scratches

        def on_match(pattern: int, _start: int, end: int, _flags: int, _context: object) -> None:
            hits.append((trigger[pattern], end))

        for (database, trigger), scratch in zip(self._parts, scratches, strict=True):  # noqa: B007
            database.scan(data, match_event_handler=on_match, scratch=scratch)
        return hits


def hyperscan_scanner(triggers: Sequence[Trigger]) -> Scanner | None:
    """The Hyperscan engine, None if its library is not there."""
    try:
        import hyperscan
    except ImportError:
        return None
    return _HyperscanScanner(triggers, hyperscan)


def make_scanner(triggers: Sequence[Trigger], *, pure: bool = False) -> Scanner:
    """The quickest engine there is, or the one on `re` if `pure`."""
    return (None if pure else hyperscan_scanner(triggers)) or ReScanner(triggers)


def positions(data: bytes, offsets: Iterable[int]) -> dict[int, int]:
    """Code point offsets of byte offsets in UTF-8 (surrogates passed)."""
    found: dict[int, int] = {}
    last = count = 0
    for offset in sorted(set(offsets)):
        edge = offset
        while edge < len(data) and data[edge] & 0xC0 == 0x80:
            edge += 1
        if edge > last:
            count += len(data[last:edge].decode("utf-8", "surrogatepass"))
            last = edge
        found[offset] = count
    return found
