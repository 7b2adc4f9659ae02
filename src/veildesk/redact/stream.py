"""Redacts texts of any size piece by piece, in memory that does not grow with them.

A piece is searched together with what stands before and after it, so that nothing is missed at a seam;
it is cut at the end of a line where no finding lies. A second stage reads what the first has masked,
just as `apply.redact_text` looks twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from veildesk.core.finding import Finding, MaskNumbering
from veildesk.redact.apply import apply
from veildesk.redact.engine import find
from veildesk.redact.rules import RuleSet

__all__ = ["redact_stream"]

_PIECE = 128 * 1024
_BEHIND = 2 * 1024
_AHEAD = 24 * 1024
_LARGEST = 1024 * 1024


def redact_stream(
    pieces: Iterable[str],
    numbering: MaskNumbering,
    counts: Counter[str],
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
) -> Iterator[str]:
    """Masked pieces of a long text, in order; `counts` gathers findings by type as it goes.

    The joined result does not depend on how the input was cut, except for blocks of more than one
    million characters, which may get more than one mask.
    """
    first = _stage(pieces, numbering, counts, rules, own_words)
    yield from _stage(first, numbering, counts, rules, own_words)


def _stage(
    pieces: Iterable[str],
    numbering: MaskNumbering,
    counts: Counter[str],
    rules: RuleSet | None,
    own_words: Sequence[str],
) -> Iterator[str]:
    behind = buffer = ""
    waiting: list[str] = []
    size = 0
    for piece in _split(pieces):
        waiting.append(piece)
        size += len(piece)
        if size < _PIECE + _AHEAD:
            continue
        buffer, waiting = buffer + "".join(waiting), []
        done, cut = _masked(behind, buffer, numbering, counts, rules, own_words, last=False)
        behind, buffer = (behind + buffer[:cut])[-_BEHIND:], buffer[cut:]
        size = len(buffer)
        yield done
    buffer += "".join(waiting)
    if buffer:
        yield _masked(behind, buffer, numbering, counts, rules, own_words, last=True)[0]


def _split(pieces: Iterable[str]) -> Iterator[str]:
    """Pieces no longer than a quarter of what is treated at once."""
    step = _PIECE // 4
    for piece in pieces:
        for start in range(0, len(piece), step):
            yield piece[start : start + step]


def _masked(
    behind: str,
    buffer: str,
    numbering: MaskNumbering,
    counts: Counter[str],
    rules: RuleSet | None,
    own_words: Sequence[str],
    *,
    last: bool,
) -> tuple[str, int]:
    """The masked beginning of `buffer` and how much of it that is."""
    edge = len(behind)
    found = find(behind + buffer, rules=rules, own_words=own_words)
    inside = [_shifted(item, edge) for item in found if item.end > edge]
    cut = len(buffer) if last else _cut(buffer, inside)
    result = apply(buffer[:cut], [item for item in inside if item.end <= cut], numbering)
    counts.update(result.counts)
    return result.text, cut


def _shifted(item: Finding, edge: int) -> Finding:
    start = max(item.start - edge, 0)
    return Finding(start, item.end - edge, item.type, item.rule, item.confidence, item.secret)


def _cut(buffer: str, findings: Sequence[Finding]) -> int:
    """Where to cut: behind a line end well before the end of `buffer`, never inside a finding."""
    limit = len(buffer) - _AHEAD
    cut = buffer.rfind("\n", limit // 2, limit) + 1 or limit
    for item in reversed(findings):
        if item.start < cut < item.end:
            cut = item.start if item.start > 0 else 0
    if cut == 0 and len(buffer) >= _LARGEST:
        return max(item.end for item in findings if item.start == 0) if findings else limit
    return cut
