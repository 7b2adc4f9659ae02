"""Findings: spans of a text that an agent need not see, and what was decided about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Finding", "MaskNumbering", "Masked", "in_order"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A span worth hiding. `start` and `end` count code points of the given text, end exclusive.

    `type` is the upper-case name used in docs/redaction.md ("EMAIL", "IPV4", "SEED"). `rule` names
    the rule that found it. `confidence` is 0.0 to 1.0. `secret` marks what no agent may ever get
    (private keys, seed phrases, passwords, tokens).
    """

    start: int
    end: int
    type: str
    rule: str = ""
    confidence: float = 1.0
    secret: bool = False


@dataclass(slots=True)
class MaskNumbering:
    """Numbers of masks within one ticket: the same value gets the same mask in all its messages.

    `seen` maps a mask word ("email") to keyed digests of the values, and each to its number, in order of
    appearance. It holds no value, but is kept sealed all the same: short values could be tried out.
    """

    key: bytes = field(repr=False)
    seen: dict[str, dict[str, int]] = field(default_factory=dict)


def in_order(digests: Iterable[object]) -> dict[str, int]:
    """Digests with their numbers, from 1, as `MaskNumbering.seen` holds them for a word."""
    return {digest: number for number, digest in enumerate(dict.fromkeys(map(str, digests)), 1)}


@dataclass(frozen=True, slots=True)
class Masked:
    """A text after masking: `text` and how many findings of each type were hidden."""

    text: str = field(repr=False)
    counts: Mapping[str, int] = field(default_factory=dict)
