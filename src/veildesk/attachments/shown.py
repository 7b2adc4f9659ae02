"""Which words of a PDF its pages show: text may be white, covered, cut off or too small; pure.

A word counts as shown unless the middle of its box has one colour in the picture of its page. What is not
shown was hidden by whoever made the file, and must not come to light as delivered text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from PIL import Image

__all__ = ["Word", "is_shown", "lines_of", "page_words"]

_PAGE = re.compile(r'<page width="([0-9.]{1,12})" height="([0-9.]{1,12})">')
_WORD = re.compile(
    r'<word xMin="(-?[0-9.]{1,12})" yMin="(-?[0-9.]{1,12})" xMax="(-?[0-9.]{1,12})" yMax="(-?[0-9.]{1,12})">'
    r"([^<\n]*)</word>"
)
_CONTRAST = 24
"""Nobody reads letters that differ less from their ground, of 255."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box in points, from the upper left corner of a page that is `size` points long."""

    text: str
    box: tuple[float, float, float, float]
    size: float


def page_words(listing: str) -> list[list[Word]]:
    """The words of each page from the listing of `pdftotext -bbox`."""
    pages: list[list[Word]] = []
    size = 0.0
    for line in listing.splitlines():
        page, word = _PAGE.search(line), _WORD.search(line)
        if page is not None:
            size = max(float(page[1]), float(page[2]))
            pages.append([])
        elif word is not None and pages:
            left, top, right, bottom = map(float, word.groups()[:4])
            pages[-1].append(Word(html.unescape(word[5]), (left, top, right, bottom), size))
    return pages


def is_shown(word: Word, picture: Image.Image) -> bool:
    """Whether a word can be seen in the picture of its page."""
    if word.size <= 0:
        return True
    scale = max(picture.size) / word.size
    left, top, right, bottom = (edge * scale for edge in word.box)
    upright = bottom - top <= 2 * (right - left) or len(word.text) < 3
    inset = (bottom - top if upright else right - left) / 3  # covers are often a little too small
    if upright:
        top, bottom = top + inset, bottom - inset
    else:
        left, right = left + inset, right - inset
    low = (max(0, int(left)), max(0, int(top)))
    high = (min(picture.width, int(right) + 1), min(picture.height, int(bottom) + 1))
    if low[0] >= high[0] or low[1] >= high[1]:
        return False
    bands = picture.crop((*low, *high)).split()
    ranges = [cast("tuple[int, int]", band.getextrema()) for band in bands]
    return any(most - least >= _CONTRAST for least, most in ranges)


def lines_of(words: Iterable[Word]) -> str:
    """Words as text, one line for those at the same height."""
    text, last = "", None
    for word in words:
        height = word.box[3] - word.box[1]
        same = last is not None and abs(word.box[1] - last.box[1]) * 2 < height
        text += (" " if same else "\n" if text else "") + word.text
        last = word
    return text
