"""Mask words and the reserved grammar of masks.

A mask is `[word-number]`, such as `[email-1]`. The words are fixed per type, so a mask tells the kind
of what it hides and nothing of its value. Masks in a given text are recognised before anything else
and are never looked into, which is why masking a masked text changes nothing.
"""

from __future__ import annotations

import re

from veildesk.core.mask_words import WORDS, mask_word

__all__ = ["BLANK", "MASK", "SECRET_TYPES", "WORDS", "mask_word"]

SECRET_TYPES = frozenset(
    {
        "API_TOKEN",
        "BASIC_AUTH",
        "BEARER",
        "COOKIE",
        "JWT",
        "PASSWORD",
        "PRIVKEY",
        "RECOVERY",
        "SEED",
        "TOTP",
        "URL_CRED",
        "URL_TOKEN",
    }
)
"""Types no agent may ever get, whatever the user chose. PEM and PGP blocks are secret if private."""

MASK = re.compile(
    r"\[(?:"
    + "|".join(sorted(set(WORDS.values()), key=len, reverse=True))
    + r"|x-[a-z]{1,16})-[1-9][0-9]{0,6}\]"
)
"""The reserved grammar. Operator rules have words of their own that begin with `x-`."""

BLANK = "\ue000"
"""Stands for each character of a mask while searching (private use, so in no pattern)."""
