"""The check page's model: what will be hidden, what the user may show, and the text agents get.

Pure. A finding is one value of one type, however often it occurs; the user's choice is remembered by
value, so that it survives changes of the text. Secrets are hidden whatever was chosen, unless it was
chosen twice.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from veildesk.core.finding import Finding, MaskNumbering
from veildesk.redact.apply import apply, redact_text
from veildesk.redact.engine import find
from veildesk.redact.masks import MASK
from veildesk.redact.rules import RuleSet

__all__ = ["Checked", "Choice", "Group", "Segment", "examine"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the masked text; `mask` is true for a mask."""

    text: str = field(repr=False)
    mask: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that can be hidden. `key` names it in the form, `shown` shortens it for the label."""

    key: str
    value: str = field(repr=False)
    shown: str = field(repr=False)
    lines: tuple[int, ...]
    secret: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class Group:
    """All values of one finding type."""

    kind: str
    choices: tuple[Choice, ...]

    @property
    def hidden(self) -> bool:
        """Whether every value of this kind is hidden."""
        return all(choice.hidden for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Checked:
    """Outcome of one look: the text for the agents in segments, the groups, and what goes along."""

    text: str = field(repr=False)
    segments: tuple[Segment, ...] = field(repr=False)
    groups: tuple[Group, ...]
    counts: Mapping[str, int]
    numbering: MaskNumbering = field(repr=False)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All choices in order."""
        return tuple(choice for group in self.groups for choice in group.choices)


def examine(
    text: str,
    *,
    own_words: Sequence[str],
    kept: Collection[str],
    numbering: MaskNumbering,
    salt: str,
    rules: RuleSet | None = None,
    confirmed: Collection[str] = (),
) -> Checked:
    """Look for what agents need not see and hide it, except the `kept` values.

    Secrets are hidden all the same, unless their owner said a second time that they be shown: `confirmed`.

    The masked text is looked through once more, as it will be before delivery: what is shown is what
    agents get.
    `salt` makes the keys of choices meaningless outside this draft. `numbering` is not changed.
    """
    findings = find(text, rules=rules, own_words=tuple(own_words), kept=())
    visible = frozenset(kept) - {text[f.start : f.end] for f in findings if f.secret}
    choices: dict[str, Any] = {
        "rules": rules,
        "own_words": tuple(own_words),
        "kept": tuple(sorted(visible)),
        "confirmed": tuple(confirmed),
    }
    hidden = find(text, **choices)
    numbers = copy.deepcopy(numbering)
    masked = apply(text, hidden, numbers)
    again = redact_text(masked.text, numbers, **choices)
    return Checked(
        text=again.text,
        segments=_segments(text, masked.text, hidden) if again.text == masked.text else _cut(again.text),
        groups=_groups(text, findings, visible, salt),
        counts=dict(Counter(masked.counts) + Counter(again.counts)),
        numbering=numbers,
    )


def _groups(text: str, findings: Sequence[Finding], visible: Collection[str], salt: str) -> tuple[Group, ...]:
    found: dict[str, dict[str, list[Finding]]] = {}
    for finding in sorted(findings):
        value = text[finding.start : finding.end]
        found.setdefault(finding.type, {}).setdefault(value, []).append(finding)
    return tuple(
        Group(
            kind,
            tuple(
                Choice(
                    key=hashlib.sha256(f"{salt}\0{kind}\0{value}".encode("utf-8", "replace")).hexdigest()[
                        :16
                    ],
                    value=value,
                    shown=_shorten(value, secret=any(f.secret for f in places)),
                    lines=tuple(dict.fromkeys(text.count("\n", 0, f.start) + 1 for f in places)),
                    secret=any(f.secret for f in places),
                    hidden=value not in visible,
                )
                for value, places in values.items()
            ),
        )
        for kind, values in sorted(found.items())
    )


def _shorten(value: str, *, secret: bool) -> str:
    """Enough for its author to know the value again; nothing of a secret."""
    line = " ".join(value.split())
    if secret:
        return "…"
    return line if len(line) <= 40 else f"{line[:24]}…{line[-12:]}"


def _segments(text: str, masked: str, hidden: Sequence[Finding]) -> tuple[Segment, ...]:
    """Cut the masked text at its masks by walking along the original."""
    segments: list[Segment] = []
    at, place = 0, 0
    for finding in sorted(hidden):
        plain = text[at : finding.start]
        mask = MASK.match(masked, place + len(plain))
        if finding.start < at or not masked.startswith(plain, place) or mask is None:
            return _cut(masked)
        segments += [Segment(plain, False), Segment(mask[0], True)]
        at, place = finding.end, mask.end()
    segments.append(Segment(masked[place:], False))
    return tuple(segment for segment in segments if segment.text)


def _cut(masked: str) -> tuple[Segment, ...]:
    """Cut a masked text at everything that has the form of a mask."""
    segments: list[Segment] = []
    at = 0
    for mask in MASK.finditer(masked):
        segments += [Segment(masked[at : mask.start()], False), Segment(mask[0], True)]
        at = mask.end()
    segments.append(Segment(masked[at:], False))
    return tuple(segment for segment in segments if segment.text)
