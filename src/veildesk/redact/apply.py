"""Replaces findings by masks, and looks again until nothing is found any more.

The second look matters: it makes masking a masked text change nothing, and it is the check that what
leaves here was read after masking, not only before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from veildesk.core.finding import Finding, Masked, MaskNumbering
from veildesk.redact.engine import find
from veildesk.redact.masks import mask_word
from veildesk.redact.numbering import mask_for
from veildesk.redact.resolve import resolve
from veildesk.redact.rules import RuleSet
from veildesk.redact.view import Edit, edited

__all__ = ["apply", "redact_text", "settled"]

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


def settled(
    text: str,
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
    kept: Collection[str] = (),
    confirmed: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Findings in offsets of `text` such that nothing more is found once they are masked."""
    findings: tuple[Finding, ...] = ()
    for _ in range(_ROUNDS):
        view = edited(text, (Edit(f.start, f.end, f"[{mask_word(f.type)}-1]") for f in findings))
        more = find(view.text, rules=rules, own_words=own_words, kept=kept, confirmed=confirmed)
        if not more:
            break
        moved = [Finding(*view.source(f.start, f.end), f.type, f.rule, f.confidence, f.secret) for f in more]
        findings = resolve([*findings, *moved])
    return findings


def redact_text(
    text: str,
    numbering: MaskNumbering,
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
    kept: Collection[str] = (),
    confirmed: Collection[str] = (),
) -> Masked:
    """Find until nothing more is found, then mask; `redact_text` of its own result changes nothing."""
    return apply(
        text, settled(text, rules=rules, own_words=own_words, kept=kept, confirmed=confirmed), numbering
    )
