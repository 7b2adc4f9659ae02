"""Checks of single values on the link. Each gives the value back or raises `BadFrame`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from veildesk.link.frames import BadFrame

__all__ = ["WORD", "ascii_text", "at_most", "exactly", "listed", "of_length", "said", "texts", "word"]

WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LONGEST: Final = 2 * 1024 * 1024


def exactly(fields: Sequence[bytes], count: int) -> None:
    """So many fields and no other number."""
    if len(fields) != count:
        raise BadFrame("fields")


def of_length(value: bytes, length: int) -> bytes:
    """Bytes of this length."""
    if len(value) != length:
        raise BadFrame("length")
    return value


def at_most(value: bytes, length: int) -> bytes:
    """Bytes, at least one and at most so many."""
    if not 0 < len(value) <= length:
        raise BadFrame("length")
    return value


def ascii_text(value: bytes, pattern: re.Pattern[str]) -> str:
    """ASCII text that is all of the pattern."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise BadFrame("text") from None
    if not pattern.fullmatch(text):
        raise BadFrame("text")
    return text


def said(value: object, longest: int = _LONGEST) -> str:
    """A text that can be written as UTF-8, at most so many code points."""
    if not isinstance(value, str) or len(value) > longest:
        raise BadFrame("text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadFrame("text") from None
    return value


def word(value: object) -> str:
    """A short word of letters, digits, hyphens."""
    text = said(value)
    if not WORD.fullmatch(text):
        raise BadFrame("word")
    return text


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(said(one) for one in listed(value, 65_536))


def listed(value: object, most: int) -> list[object]:
    """A list of at most so many."""
    if not isinstance(value, list) or len(value) > most:
        raise BadFrame("list")
    return value
