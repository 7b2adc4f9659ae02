"""Text of people and programs beside our own sentences, in whatever direction it is written.

A direction override turns letters around for the eye alone: `photo`, U+202E, `gpj.exe` reads as a picture
called `photoexe.jpg`. None of them is ever shown.
"""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup

__all__ = ["apart", "grouped_fingerprint", "left_to_right", "undirected"]

_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates (Unicode Standard Annex 9, section 2). Marks (U+200E, U+200F, U+061C)
and joiners turn nothing around; languages written from the right need them."""


def undirected(text: str) -> str:
    """The text without characters that turn others around."""
    return _CONTROLS.sub("", text)


def apart(text: str) -> Markup:
    """A name within a sentence: whichever way it is written, the sentence around it keeps its order."""
    return Markup("<bdi>{}</bdi>").format(undirected(text))


def left_to_right(text: str) -> Markup:
    """A day, a time or a size: digits after Arabic letters would change places otherwise (UAX 9, W2, W4)."""
    return Markup('<span dir="ltr">{}</span>').format(text)


def grouped_fingerprint(digits: str) -> str:
    """A fingerprint in groups of four, as gpg shows it and as it is read out."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
