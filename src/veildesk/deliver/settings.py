"""A connector's own section of the configuration, read strictly."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from veildesk.core.errors import BackendRefused, ConfigInvalid

__all__ = ["Settings", "token"]

_COMMON: Final = frozenset({"base", "places"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9]{8,64}\Z")
_NAME: Final = re.compile(r"[^'\"\\\x00-\x1f{}]{1,100}\Z")


class Settings:
    """Reads `[backends.NAME]`; every refusal names the key and what was expected."""

    def __init__(self, name: str, values: Mapping[str, Any], known: Collection[str]) -> None:
        self.name = name
        self.values = values
        unknown = set(values) - set(known) - _COMMON
        if unknown:
            names, all_known = ", ".join(sorted(unknown)), ", ".join(sorted({*known, "kind", "poll_seconds"}))
            raise ConfigInvalid(f"[backends.{name}] {names}: unknown key; known: {all_known}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text without quotes, backslashes, braces and control characters."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or (value and not _NAME.match(value)):
            raise self.wrong(key, "a text without quotes and backslashes")
        return value

    def whole(self, key: str, default: int) -> int:
        """A whole number above 0."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.wrong(key, "a whole number above 0")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts, such as a command with its arguments."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def places(self, own: str) -> tuple[str, ...]:
        """The helpdesk's queues in use: `own` and those that routes name."""
        named = self.values.get("places", ())
        if not all(isinstance(place, str) and _NAME.match(place) for place in named):
            raise self.wrong("places", "names without quotes and backslashes")
        return tuple(dict.fromkeys((own, *named)))

    def wrong(self, key: str, expected: str) -> ConfigInvalid:
        """What to raise for a value that cannot be used."""
        return ConfigInvalid(f"[backends.{self.name}] {key}: expected {expected}")


def token(value: str) -> str:
    """`value` if it is one of our opaque ids, safe in any query. Raises `BackendRefused`."""
    if not _TOKEN.match(value):
        raise BackendRefused("not-an-id")
    return value
