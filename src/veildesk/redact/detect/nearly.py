"""Recovery phrases with one or two words that are in no list: mistyped, misheard, or cut by a mark.

A phrase that lacks a word is nearly as good to a thief, and whoever asks for help with one has often
mistyped it. Twelve words or more count, without words of plain sentences, if all but one or two are in
the same list and stand apart in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.seed import FUNCTION, gap_ok, list_words, plain_word
from veildesk.redact.rule import Rule, finding

__all__ = ["RULES"]

_TOKEN = re.compile(r"[^\W\d_]+")
_ASCII_TOKEN = re.compile(r"[a-z]+")
_ROW = re.compile(rb"(?=(\x01{2,24}(?:\x00\x01{1,24}){1,2}))")
_LEAST, _MOST = 12, 26
_CONTEXT = 60


def _runs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of rows of words of which one or two are in no list."""
    lists = list_words()
    piece = text[start:end]
    if piece.isascii():
        words = _ASCII_TOKEN.findall(piece.lower())
    else:
        words = list(map(plain_word, _TOKEN.findall(piece)))
    known = bytes([word in lists for word in words])
    rows = list(_ROW.finditer(known))
    # Places are looked up only where there is a row: most prose has none.
    spans = [match.span() for match in _TOKEN.finditer(text, start, end)] if rows else []
    done = -1
    for row in rows:
        first, last = row.span(1)
        if first <= done or not _LEAST <= last - first <= _MOST:
            continue
        if _one_list(words[first:last]) and all(
            gap_ok(text, spans[at][1], spans[at + 1][0]) for at in range(first, last - 1)
        ):
            yield spans[first][0], spans[last - 1][1]
            done = last - 1


def _one_list(words: list[str]) -> bool:
    """Whether words can be a phrase of one list: no sentence, nothing said twice and again."""
    lists = list_words()
    kinds = -1
    for word in words:
        kinds &= lists.get(word, -1)
    plain = sum(word in FUNCTION for word in words)
    return kinds > 0 and plain == 0 and len(set(words)) >= len(words) - 2 and all(len(w) < 12 for w in words)


def _search(text: str, start: int, end: int) -> Iterator[Finding]:
    start -= start > 0 and text[start - 1].isalpha()
    for low, high in _runs(text, start, end):
        case = {_case(word) for word in _TOKEN.findall(text, low, high)}
        if len(case) == 1:
            yield finding(low, high, "SEED", "bip39-nearly", 0.85)


def _case(word: str) -> int:
    return 0 if word.islower() or word.lower() == word.upper() else 1 if word.isupper() else 2


RULES = (Rule("bip39-nearly", keywords.triggers(keywords.SEED_WORDS), _search, back=300, ahead=300),)
