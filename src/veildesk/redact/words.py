"""Words the user wants hidden too: found wherever they stand, in any letter case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from veildesk.core.finding import Finding
from veildesk.redact.view import plain_view

__all__ = ["own_findings"]

_MAX_WORDS = 200


def own_findings(text: str, words: Sequence[str]) -> Iterator[Finding]:
    """Findings of type OWN for each of the first 200 non-empty words, whole words only."""
    plain = {plain_view(word).text.strip() for word in words[:_MAX_WORDS]}
    wanted = sorted((word for word in plain if word), key=len, reverse=True)
    if not wanted:
        return
    options = "|".join(_option(word) for word in wanted)
    for match in re.finditer(options, text, re.IGNORECASE):
        yield Finding(match.start(), match.end(), "OWN", "own-word")


def _option(word: str) -> str:
    """A pattern for one word; runs of space match any space, edges must not be inside a word."""
    body = r"\s+".join(re.escape(piece) for piece in word.split())
    left = r"(?<![^\W_])" if _joins(word[0]) else ""
    right = r"(?![^\W_])" if _joins(word[-1]) else ""
    return f"{left}{body}{right}"


def _joins(char: str) -> bool:
    """Whether words of this script are told apart by spaces at all."""
    return char.isalnum() and not "\u2e80" <= char <= "\uffdc"
