"""Runs of base58 characters, which addresses and keys of many kinds are: found once, told apart by length.

The trigger fires at the end of a run, once: one that fires at each place where a run may begin costs the
scan ten times as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import coins, keys, wallet
from veildesk.redact.rule import Rule

__all__ = ["RULES"]

_RUN = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24,}")
_RUN_ENDS = rb"[1-9A-HJ-NP-Za-km-z]{24}[^1-9A-HJ-NP-Za-km-z]"
_SHAPES = (*wallet.BASE58, *keys.BASE58, *coins.BASE58)
_LONGEST = 116
_LEAD = 2
"""A Monero address may have a character that is none of base58 in second place."""


def _search(text: str, start: int, end: int) -> Iterator[Finding]:
    for run in _RUN.finditer(text, start, end):
        at, stop = run.span()
        for least, most, pattern, judge in _SHAPES:
            if least <= stop - at <= most:
                match = pattern.match(text, at)
                if match is None and at >= _LEAD and text[at - 1] in "0OIl":
                    match = pattern.match(text, at - _LEAD)
                if match is not None:
                    yield from judge(match, text)


RULES = (Rule("base58", (_RUN_ENDS,), _search, back=_LONGEST, ahead=0, exact=True, cased=True),)
