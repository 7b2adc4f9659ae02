"""Answers of agents as connectors find them: safe text, and which ones were taken over already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from veildesk.mail.charset import clean_text
from veildesk.mail.html import html_to_text
from veildesk.mail.quotes import without_quotes

__all__ = ["Seen", "answer_text"]

_REMEMBERED: Final = 2000


class Seen:
    """The ids of the last 2000 answers that were taken over; forgetting one costs a look, no more."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, reply_id: str) -> bool:
        return reply_id in self._ids

    def add(self, reply_id: str) -> None:
        """Remember one."""
        self._ids[reply_id] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)


def answer_text(texts: Sequence[tuple[str, str]]) -> str:
    """Plain text from (media type, text) pairs: plain ones if any, else HTML made text; without quotations.

    Quotations are cut because a decrypted message must not travel back unless a person means it.
    """
    plain = [text for kind, text in texts if kind.lower().startswith("text/plain") and text.strip()]
    if not plain:
        plain = [html_to_text(text) for kind, text in texts if kind.lower().startswith("text/html")]
    return without_quotes(clean_text("\n\n".join(plain).replace("\r\n", "\n")))
