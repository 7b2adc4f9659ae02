"""One pass over a text that tells which triggers fire where.

Two engines with the same triggers and the same answers: Hyperscan, and `re` where its wheel is
missing or on request. Triggers hold no dots (a dot in "dot matches all" mode loses matches in some
builds of the library) and need no start offsets. Both engines report the end of each hit.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

__all__ = ["ReScanner", "Scanner", "Trigger", "hyperscan_scanner", "make_scanner", "positions"]

Trigger = tuple[bytes, bool]
"""(pattern, whether case matters)."""


class Scanner(Protocol):
    """Reports (trigger, byte offset of the end of a hit) pairs in no particular order."""

    name: str

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Hits; triggers are counted in the order they were given."""


class ReScanner:
    """The engine on the standard library: slower, and of overlapping hits only the first."""

    name = "re"

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._patterns = [re.compile(pattern, 0 if cased else re.IGNORECASE) for pattern, cased in triggers]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Ends of matches that do not overlap, per trigger."""
        return [
            (number, match.end())
            for number, pattern in enumerate(self._patterns)
            for match in pattern.finditer(data)
        ]


class _HyperscanScanner:
    """The engine on Hyperscan: all triggers at once, every end offset."""

    name = "hyperscan"

    def __init__(self, triggers: Sequence[Trigger], library: Any) -> None:
        self._library = library
        self._local = threading.local()
        self._database = library.Database(mode=library.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[pattern for pattern, _ in triggers],
            ids=list(range(len(triggers))),
            elements=len(triggers),
            flags=[0 if cased else library.HS_FLAG_CASELESS for _, cased in triggers],
        )

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """All ends of all hits. One scratch space per thread."""
        hits: list[tuple[int, int]] = []
        if not data:
            return hits
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = self._library.Scratch(self._database)

        def on_match(trigger: int, _start: int, end: int, _flags: int, _context: object) -> None:
            hits.append((trigger, end))

        self._database.scan(data, match_event_handler=on_match, scratch=scratch)
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
