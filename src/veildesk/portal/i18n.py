"""Languages of the portal: gettext catalogues read from their `.po` source.

The catalogues are small, so the source is read at start and nothing needs compiling. English is the
language of the message ids. A message without a translation shows in English rather than not at all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

__all__ = ["LANGUAGE_NAMES", "Catalogue", "load", "read_po", "suggest"]

LANGUAGE_NAMES: Final[Mapping[str, str]] = {"en": "English", "ru": "Русский"}

_RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})


def _two_forms(n: int) -> int:
    return 0 if n == 1 else 1


def _slavic_forms(n: int) -> int:
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else 2


_PLURALS: Final[Mapping[str, Callable[[int], int]]] = {"ru": _slavic_forms}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language: `messages` maps a message id to its forms (one form if it has no plural)."""

    language: str
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def direction(self) -> str:
        """ "rtl" or "ltr"."""
        return "rtl" if self.language in _RIGHT_TO_LEFT else "ltr"

    def gettext(self, message: str) -> str:
        """The message in this language."""
        forms = self.messages.get(message)
        return forms[0] if forms and forms[0] else message

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        """The form for `n` things."""
        forms = self.messages.get(singular, ())
        index = _PLURALS.get(self.language, _two_forms)(n)
        if index < len(forms) and forms[index]:
            return forms[index]
        return (singular, plural)[_two_forms(n)]


def load(language: str) -> Catalogue:
    """The catalogue of a language; English has none and needs none."""
    if language == "en":
        return Catalogue("en")
    source = files("veildesk.portal").joinpath("locale", f"{language}.po").read_text("utf-8")
    return Catalogue(language, read_po(source))


_STRING: Final = re.compile(r'^(msgid_plural|msgid|msgstr(?:\[(\d)\])?)?\s*(".*")$')


def read_po(source: str) -> dict[str, tuple[str, ...]]:
    """Messages of a catalogue in gettext's `.po` form; the header entry is left out.

    Raises `ValueError` for a line that is neither comment, blank nor part of an entry.
    """
    messages: dict[str, tuple[str, ...]] = {}
    entry: dict[str, str] = {}
    key = ""
    for line in [*source.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if entry.get("msgid"):
                forms = sorted(name for name in entry if name.startswith("msgstr"))
                messages[entry["msgid"]] = tuple(entry[name] for name in forms)
            entry = {}
            continue
        found = _STRING.match(line.strip())
        if found is None:
            raise ValueError("catalogue line that cannot be read")
        if found[1]:
            key = found[1]
            entry[key] = ""
        entry[key] += ast.literal_eval(found[3])
    return messages


def suggest(accepted: str, languages: tuple[str, ...]) -> str:
    """The best of `languages` for an Accept-Language header (RFC 9110 section 12.5.4); first is default."""
    best, best_weight = languages[0], 0.0
    for item in accepted[:500].split(",")[:20]:
        tag, _, parameters = item.partition(";")
        language = tag.strip().lower().partition("-")[0]
        weight = 1.0
        if parameters.strip().startswith("q="):
            try:
                weight = float(parameters.strip()[2:])
            except ValueError:
                continue
        if language in languages and weight > best_weight:
            best, best_weight = language, weight
    return best
