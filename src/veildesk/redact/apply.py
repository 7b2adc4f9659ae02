"""Replaces findings by masks. `redact_text` goes on until nothing is found any more.

The second look matters: it makes masking a masked text change nothing, and it is the check that what
leaves here was read after masking, not only before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from veildesk.core.finding import Finding, Masked, MaskNumbering
from veildesk.redact.engine import find
from veildesk.redact.numbering import mask_for
from veildesk.redact.rules import RuleSet

__all__ = ["apply", "redact_text"]

_ROUNDS = 8


def apply(text: str, findings: Sequence[Finding], numbering: MaskNumbering) -> Masked:
    """`text` with each finding replaced by its mask; `findings` are sorted and do not overlap."""
    pieces: list[str] = []
    counts: Counter[str] = Counter()
    position = 0
    for item in findings:
        pieces += (text[position : item.start], mask_for(text[item.start : item.end], item.type, numbering))
        counts[item.type] += 1
        position = item.end
    pieces.append(text[position:])
    return Masked("".join(pieces), dict(sorted(counts.items())))


def redact_text(
    text: str,
    numbering: MaskNumbering,
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
    kept: Collection[str] = (),
) -> Masked:
    """Find and mask, again and again until a look finds nothing more."""
    counts: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        findings = find(text, rules=rules, own_words=own_words, kept=kept)
        if not findings:
            break
        masked = apply(text, findings, numbering)
        counts.update(masked.counts)
        text = masked.text
    return Masked(text, dict(sorted(counts.items())))
