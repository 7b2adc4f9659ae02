"""Ticket words: eight words that let an anonymous user come back to a ticket.

Pure: randomness is handed in, nothing is looked up, kept or logged. What the words open is decided
by the key derivation elsewhere; here they are only drawn and read. Mistakes that leave no doubt are
mended before the expensive derivation: a word cut after its third letter, or one typing error.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

from veildesk.core.receipt_words import WORDS

__all__ = ["BITS", "COUNT", "WORDS", "WordsMalformed", "generate", "is_word", "parse"]

COUNT: Final = 8
"""Words in one receipt."""

BITS: Final = COUNT * math.log2(len(WORDS))
"""Entropy of a receipt in bits."""

_LONGEST_INPUT: Final = 512
_LONGEST_WORD: Final = max(map(len, WORDS)) + 1
_PREFIX: Final = 3
_KNOWN: Final = frozenset(WORDS)
_BY_PREFIX: Final = {word[:_PREFIX]: word for word in WORDS}
_SEPARATORS: Final = re.compile(r"[\s,;.:_/|\-\u00ad\u200b-\u200f\u2010-\u2015\u2060\ufeff]+")
_NUMBERING: Final = re.compile(r"(?<!\S)[1-8][.):]?(?=\s)")


class WordsMalformed(ValueError):
    """The text cannot be ticket words.

    `position` counts from 1 and names the first word that is not on the list; it is None when the
    number of words is wrong, and `count` then says how many there were.
    """

    def __init__(self, position: int | None, count: int) -> None:
        super().__init__("ticket words are malformed")
        self.position = position
        self.count = count


def generate(random_bytes: Callable[[int], bytes]) -> tuple[str, ...]:
    """Draw `COUNT` words, each equally likely; `random_bytes(n)` must be a secure source.

    Draws above the largest multiple of the list's length are thrown away, so no word is favoured.
    """
    ceiling = 65536 - 65536 % len(WORDS)
    words: list[str] = []
    while len(words) < COUNT:
        draw = int.from_bytes(random_bytes(2), "big")
        if draw < ceiling:
            words.append(WORDS[draw % len(WORDS)])
    return tuple(words)


def parse(text: str) -> tuple[str, ...]:
    """Read ticket words as people type or paste them.

    Case, width, separators and list numbers do not matter. Raises `WordsMalformed`, which names the
    first word that is not on the list.
    """
    folded = unicodedata.normalize("NFKC", text[:_LONGEST_INPUT]).casefold()
    tokens = [token for token in _SEPARATORS.split(_NUMBERING.sub(" ", folded)) if token]
    words: list[str] = []
    for position, token in enumerate(tokens[:COUNT], 1):
        word = _mend(token)
        if word is None:
            raise WordsMalformed(position, len(tokens))
        words.append(word)
    if len(tokens) != COUNT or len(text) > _LONGEST_INPUT:
        raise WordsMalformed(None, len(tokens))
    return tuple(words)


def is_word(text: str, word: str) -> bool:
    """Whether a text means this one word of the list, mended as in `parse`."""
    return _mend(unicodedata.normalize("NFKC", text[:_LONGEST_INPUT]).casefold().strip(" .,;:")) == word


def _mend(token: str) -> str | None:
    """The one word a token can mean, or None."""
    if token in _KNOWN:
        return token
    if len(token) > _LONGEST_WORD or not token.isascii():
        return None
    completed = _BY_PREFIX.get(token[:_PREFIX])
    if completed is not None and completed.startswith(token):
        return completed
    near = {candidate for candidate in _one_typo_away(token) if candidate in _KNOWN}
    return near.pop() if len(near) == 1 else None


def _one_typo_away(token: str) -> Iterator[str]:
    """Every string one insertion, deletion, substitution or swap of neighbours away."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for cut in range(len(token) + 1):
        head, tail = token[:cut], token[cut:]
        for letter in letters:
            yield head + letter + tail
        if tail:
            yield head + tail[1:]
            for letter in letters:
                yield head + letter + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
