"""Spare codes: the way back to a portal ticket for who lost the words.

Twenty characters of Crockford's base 32 (100 bits), in groups of four. Pure: what a code opens is decided
by the cipher. A code is made to be read aloud and typed: capitals, separators and the letters that look
like digits do not matter.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["BYTES", "from_bytes", "grouped", "read"]

BYTES: Final = 13
"""Random bytes that one code is made of; the last four bits are not used."""

_LENGTH: Final = 20
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ: Final = {letter: letter for letter in _ALPHABET} | {"O": "0", "I": "1", "L": "1"}
_SEPARATORS: Final = frozenset(" \t\n-.,:_/\u00a0\u00ad\u2010\u2011\u2012\u2013\u2014")


def from_bytes(data: bytes) -> str:
    """The code that `BYTES` bytes make, without groups."""
    number = int.from_bytes(data[:BYTES], "big") >> (BYTES * 8 - _LENGTH * 5)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range((_LENGTH - 1) * 5, -1, -5))


def grouped(code: str) -> str:
    """As it is shown: groups of four with hyphens."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def read(text: str) -> str | None:
    """The code in what a person typed, None if it cannot be one."""
    folded = unicodedata.normalize("NFKC", text[:200]).upper()
    letters = [_READ.get(letter) for letter in folded if letter not in _SEPARATORS]
    if len(letters) != _LENGTH or None in letters:
        return None
    return "".join(letter for letter in letters if letter)
