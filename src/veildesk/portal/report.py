"""Safe report: what a program wrote about itself, taken apart so that each line is a choice.

Pure. Only lines whose name is known to be harmless, and in which nothing is found, are chosen beforehand;
everything else stays out unless its owner takes it in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from veildesk.redact.engine import find

__all__ = ["MOST", "Line", "take_apart"]

MOST: Final = 150
"""Lines that can be chosen from; longer reports are better sent as a file."""

_NAMED: Final = re.compile(r"\s*[\"']?([A-Za-z][\w .()/-]{0,38})[\"']?\s*[:=]\s*(\S.{0,400})")
_HARMLESS: Final = frozenset(
    [
        "app",
        "arch",
        "architecture",
        "browser",
        "build",
        "buildid",
        "channel",
        "code",
        "component",
        "cpu",
        "crash",
        "crashes",
        "desktop",
        "edition",
        "engine",
        "error",
        "errorcode",
        "exitcode",
        "exception",
        "gpu",
        "kernel",
        "level",
        "memory",
        "module",
        "os",
        "osversion",
        "package",
        "platform",
        "program",
        "ram",
        "reason",
        "release",
        "renderer",
        "result",
        "severity",
        "signal",
        "state",
        "status",
        "subsystem",
        "type",
        "update",
        "version",
        "versionname",
    ]
)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/=_-]{24,}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `kinds` are the types of what was found in it; `chosen` is the choice beforehand."""

    text: str = field(repr=False)
    kinds: tuple[str, ...]
    chosen: bool


def take_apart(text: str, own_words: Sequence[str] = ()) -> list[Line]:
    """The lines of a report that say something, in order."""
    return [_judged(line, own_words) for line in text.splitlines() if line.strip(" \t{}[],-=*#")]


def _judged(line: str, own_words: Sequence[str]) -> Line:
    kinds = tuple(dict.fromkeys(item.type for item in find(line, own_words=tuple(own_words))))
    named = _NAMED.match(line)
    harmless = False
    if named is not None:
        name = re.sub(r"[^a-z]", "", named[1].lower())
        harmless = name in _HARMLESS and not _OPAQUE.search(named[2])
    return Line(line.rstrip(), kinds, harmless and not kinds)
