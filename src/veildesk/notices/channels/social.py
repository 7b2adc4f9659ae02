"""Short text blocks to paste into social channels, each with a reference that can be verified."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path

from veildesk.core.notice import Board, Notice, PublishedNotice
from veildesk.notices.archive import replace_file

__all__ = ["LENGTH", "SocialChannel", "social_blocks"]

LENGTH = 280
"""Characters of a block; short enough for every channel we know of."""


def social_blocks(item: PublishedNotice, language: str, base: str) -> list[str]:
    """Blocks of at most `LENGTH` characters; the first and shortest thing is what to do.

    `base` is the address of the status site, such as "http://….onion" or "https://status.example.org".
    """
    reference = f"Signed: {base}/status/{item.number}.asc sha256 {item.sha256[:16]}"
    content = item.statement.content
    if isinstance(content, Notice):
        words = content.in_language(language)
        text = (
            f"{words.title} ({content.state.value}, {content.severity.value}). {words.action} {words.summary}"
        )
    else:
        text = f"New signed statement {item.number}: {item.kind.value}."
    text = " ".join(text.split())
    room = LENGTH - len("[99/99] ") - len(reference) - 1
    if room < 60:
        # A very long address stands in a block of its own.
        pieces = [*textwrap.wrap(text, LENGTH - 8), reference[:LENGTH]]
        return [f"[{at}/{len(pieces)}] {piece}"[:LENGTH] for at, piece in enumerate(pieces, 1)]
    pieces = textwrap.wrap(text, room)
    if len(pieces) == 1:
        return [f"{pieces[0]} {reference}"]
    return [f"[{at}/{len(pieces)}] {piece} {reference}" for at, piece in enumerate(pieces, 1)]


class SocialChannel:
    """Writes the blocks of each language into a folder; a person pastes them."""

    name = "social"
    seconds = 20.0

    def __init__(self, folder: Path, base: str) -> None:
        self._folder = folder
        self._base = base

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """See `Channel.deliver`."""
        content = item.statement.content
        languages = list(content.words) if isinstance(content, Notice) else ["en"]
        for language in languages:
            text = "\n\n".join(social_blocks(item, language, self._base)) + "\n"
            path = self._folder / f"{item.number:06d}-{language}.txt"
            await asyncio.to_thread(replace_file, path, text.encode())
        return f"text to paste in {self._folder}"
