"""When two spellings are the same value: for masks that stay the same, and for values a user keeps."""

from __future__ import annotations

import re
import unicodedata

from veildesk.redact.decode import decoded_view
from veildesk.redact.view import plain_view

__all__ = ["canonical", "same_value"]

_DIGITS = frozenset({"CARD", "IMEI", "PHONE"})
_LETTERS = frozenset({"IBAN", "MAC"})
_FOLDED = frozenset({"EMAIL", "ETH", "HOSTNAME", "IPV4", "IPV6", "NAME", "ONION", "TXID"})
_BREAK = re.compile(r"\s*\n[>\s]*")
_SPACE = re.compile(r"\s+")


def same_value(value: str) -> str:
    """A value without disguise, line breaks and needless space."""
    plain = decoded_view(plain_view(value).text).text
    return _SPACE.sub(" ", _BREAK.sub("", unicodedata.normalize("NFC", plain))).strip()


def canonical(value: str, type_: str) -> str:
    """The form in which values of a type are compared when masks are numbered."""
    if type_ == "SEED":
        return " ".join(re.findall(r"[^\W\d_]+", plain_view(value).text.lower()))
    plain = same_value(value)
    if type_ in _DIGITS:
        return re.sub(r"\D", "", plain)
    if type_ in _LETTERS:
        return re.sub(r"[^0-9A-Za-z]", "", plain).upper()
    if type_ in _FOLDED:
        return plain.replace(" ", "").casefold()
    return plain
