"""A normalised view of a text, with a map back to the text it came from.

`plain_view` undoes disguise that keeps meaning: format characters vanish, full-width and styled
letters and digits become ASCII, odd spaces become spaces, masks become blanks. Offsets are code
points throughout. `View.source` turns a span of the view into the span of the original that holds it,
removed characters included.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain

from veildesk.redact.masks import BLANK, MASK

__all__ = ["Edit", "View", "edited", "plain_view"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


class View:
    """A text and the way back to its source. `text` is what detectors see."""

    __slots__ = ("_edits", "_starts", "text")

    def __init__(self, text: str, edits: list[tuple[int, int, int, int]] | None = None) -> None:
        """`edits` are (view start, view end, source start, source end), in order."""
        self.text = text
        self._edits = edits or []
        self._starts = [edit[0] for edit in self._edits]

    @property
    def unchanged(self) -> bool:
        """Whether places in view and source are the same."""
        return not self._edits

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The span of the source behind `text[start:end]`, which must not be empty."""
        if not self._edits:
            return start, end
        return self._from(start), self._to(end)

    def _from(self, position: int) -> int:
        at = bisect_right(self._starts, position) - 1
        if at < 0:
            return position
        view_start, view_end, source_start, source_end = self._edits[at]
        del view_start
        return source_start if position < view_end else source_end + position - view_end

    def _to(self, position: int) -> int:
        at = bisect_right(self._starts, position - 1) - 1
        if at < 0:
            return position
        _, view_end, _, source_end = self._edits[at]
        return source_end if position <= view_end else source_end + position - view_end

    def touches_edit(self, start: int, end: int) -> bool:
        """Whether `text[start:end]` holds or spans something that was changed in length or value."""
        at = bisect_right(self._starts, start) - 1
        if at >= 0 and self._edits[at][1] > start:
            return True
        return at + 1 < len(self._edits) and self._starts[at + 1] < end


def edited(text: str, edits: Iterable[Edit]) -> View:
    """Apply ordered, non-overlapping edits to `text`."""
    pieces: list[str] = []
    spans: list[tuple[int, int, int, int]] = []
    position = length = 0
    for edit in edits:
        piece = text[position : edit.start]
        length += len(piece)
        pieces += (piece, edit.new)
        spans.append((length, length + len(edit.new), edit.start, edit.end))
        length += len(edit.new)
        position = edit.end
    if not spans:
        return View(text)
    pieces.append(text[position:])
    return View("".join(pieces), spans)


_INVISIBLE_EXTRA = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" + "".join(
    map(chr, chain(range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)))
)
"""Not of category Cf, but as invisible: joiners, fillers, variation selectors."""


_MANY = 24
"""From here on one pass by a table is quicker than a replacement for each character."""


@cache
def _tables() -> tuple[dict[int, str], frozenset[str], frozenset[str]]:
    """(one-to-one translation, the characters it changes, invisible characters)."""
    table: dict[int, str] = {}
    invisible = set(_INVISIBLE_EXTRA)
    for code in chain(
        range(0x80, 0x3400), range(0xA000, 0xD800), range(0xF900, 0x20000), range(0xE0000, 0xE0200)
    ):
        char = chr(code)
        category = unicodedata.category(char)
        if category == "Cf":
            invisible.add(char)
        elif category == "Zs":
            table[code] = " "
        elif category == "Nd":
            table[code] = str(unicodedata.decimal(char))
        elif 0xFF01 <= code <= 0xFF5E or 0x1D400 <= code <= 0x1D7FF or 0xFE50 <= code <= 0xFE6B:
            plain = unicodedata.normalize("NFKC", char)
            if len(plain) == 1 and plain.isascii():
                table[code] = plain
    for code in (0x2010, 0x2011, 0x2012, 0x2013, 0x2212):
        table[code] = "-"
    for code in (0x2024, 0xFF61):
        table[code] = "."
    return table, frozenset(map(chr, table)), frozenset(invisible)


def plain_view(text: str) -> View:
    """The view in which detectors look first."""
    if "[" in text:
        text = MASK.sub(lambda match: BLANK * len(match[0]), text)
    if text.isascii():
        return View(text)
    table, odd, invisible = _tables()
    present = set(text)
    changed = present & odd
    if len(changed) > _MANY:
        text = text.translate(table)
    else:
        for char in changed:
            text = text.replace(char, table[ord(char)])
    gone = present & invisible
    if not gone:
        return View(text)
    runs = re.compile("[" + "".join(map(re.escape, sorted(gone))) + "]+")
    return edited(text, (Edit(match.start(), match.end(), "") for match in runs.finditer(text)))
