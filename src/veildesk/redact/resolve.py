"""Turns overlapping findings into an ordered list without overlaps.

What any detector found stays hidden: overlapping findings are merged into their union, named after the
most telling one. Masks that were in the text already are cut out of every finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter

from veildesk.core.finding import Finding
from veildesk.redact.masks import BLANK

__all__ = ["resolve", "without_masks"]

_WEIGHT = {
    name: weight
    for weight, name in enumerate(
        [
            "NAME",
            "OWN",
            "HOSTNAME",
            "COOKIE",
            "BEARER",
            "API_TOKEN",
            "PASSWORD",
            "URL_TOKEN",
            "IPV4",
            "IPV6",
            "PHONE",
            "IMEI",
            "GPS",
            "MAC",
            "CARD",
            "BIRTHDATE",
            "BANK",
            "IBAN",
            "NATIONAL_ID",
            "TXID",
            "SOL",
            "WALLET",
            "BTC",
            "LTC",
            "DOGE",
            "TRX",
            "XRP",
            "ETH",
            "XMR",
            "ONION",
            "EMAIL",
            "PATH_USER",
            "XPUB",
            "RECOVERY",
            "TOTP",
            "BASIC_AUTH",
            "URL_CRED",
            "JWT",
            "PRIVKEY",
            "SEED",
            "PGP",
            "PEM",
        ]
    )
}
_ORDER = attrgetter("start", "end", "type", "rule", "confidence", "secret")
_BLANKS = re.compile(f"{BLANK}+")


def _union(first: Finding, second: Finding) -> Finding:
    """One finding over both spans; the more telling type names it, any secret makes it secret."""
    one, two = first.end - first.start, second.end - second.start
    if second.start >= first.start and second.end <= first.end and two < one:
        name = first if two * 2 < one else max(first, second, key=_weight)
    elif first.start >= second.start and first.end <= second.end and one < two:
        name = second if one * 2 < two else max(first, second, key=_weight)
    else:
        name = max(first, second, key=_weight)
    return Finding(
        min(first.start, second.start),
        max(first.end, second.end),
        name.type,
        name.rule,
        max(first.confidence, second.confidence),
        first.secret or second.secret,
    )


def _weight(finding: Finding) -> int:
    return _WEIGHT.get(finding.type, -1)


def resolve(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted, non-overlapping findings that cover all that was given."""
    done: list[Finding] = []
    for finding in sorted(findings, key=_ORDER):
        if finding.end <= finding.start:
            continue
        if done and finding.start < done[-1].end:
            done[-1] = _union(done[-1], finding)
        else:
            done.append(finding)
    return tuple(done)


def without_masks(findings: Iterable[Finding], blanked: str) -> Iterator[Finding]:
    """The parts of each finding that are not masks; `blanked` has masks replaced by blanks."""
    if BLANK not in blanked:
        yield from findings
        return
    for finding in findings:
        start = finding.start
        for match in _BLANKS.finditer(blanked, finding.start, finding.end):
            yield from _part(finding, start, match.start(), blanked)
            start = match.end()
        yield from _part(finding, start, finding.end, blanked)


def _part(finding: Finding, start: int, end: int, text: str) -> Iterator[Finding]:
    if start == finding.start and end == finding.end:
        yield finding
    elif any(char.isalnum() for char in text[start:end]):
        yield Finding(start, end, finding.type, finding.rule, finding.confidence, finding.secret)
