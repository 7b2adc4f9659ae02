"""Words that announce a value, looked for in any letter case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

__all__ = ["Keyword", "folded"]

_BEFORE = 24
"""No pattern looks further back than this."""

_FOLDED = str.maketrans({"İ": "i", "ı": "i", "ſ": "s"})


def folded(text: str) -> str:
    """`text` in small letters, of the same length; letters that `re` holds for cases of others as those."""
    return text.lower() if text.isascii() else text.translate(_FOLDED).lower().replace("ς", "σ")


class Keyword:
    """A word of a family in any letter case.

    The library's own search without regard to case tries every alternative at every place. This one
    looks in small letters for places where a word may begin and asks the pattern only there. Both are
    compiled when they are first asked: together they take longer than all other patterns.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The word itself."""
        return re.compile(self._source, re.IGNORECASE)

    @cached_property
    def _places(self) -> re.Pattern[str]:
        pieces = re.findall(r"\\[\s\S]|[^\\]+", self._source)
        return re.compile("".join(p if p[0] == "\\" else folded(p) for p in pieces))

    def finditer(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """All words in `text[start:end]`, as `re.Pattern.finditer` has them."""
        low = max(0, start - _BEFORE)
        small = folded(text[low:end])
        place = self._places.search(small, start - low)
        while place is not None:
            found = self.pattern.match(text, low + place.start(), end)
            if found is not None:
                yield found
            place = self._places.search(small, found.end() - low if found else place.start() + 1)

    def search(self, text: str, start: int = 0, end: int | None = None) -> re.Match[str] | None:
        """The first word in `text[start:end]`."""
        return next(self.finditer(text, start, len(text) if end is None else end), None)
