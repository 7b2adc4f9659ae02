"""Texts for helpdesks that read more into a text than words. Pure.

An image that a stranger names would be loaded by the browser of whoever reads the ticket, and tell its host
who that is and when; a template or macro would be filled in with what the helpdesk knows.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_markup"]

_NOTHING_WIDE: Final = "\u200b"
_BEGIN: Final = re.compile(r"!(?=\S)|<(?=[A-Za-z/!?])|\{(?=[{%#])|%(?=\})")


def without_markup(text: str) -> str:
    """The text with a zero-width space where Textile, Markdown, HTML or a template would begin an image, an
    element, a macro or a tag, or end a tag."""
    return _BEGIN.sub(r"\g<0>" + _NOTHING_WIDE, text)
