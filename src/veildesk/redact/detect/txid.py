"""Transaction ids after words that announce one: a type of its own, which a queue can switch off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["RULES"]

_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0x)?[0-9a-f]{64}(?![0-9A-Za-z])", re.IGNORECASE)
_CUE = re.compile(
    r"(?:\btx(?:id|_?hash|s)?\b|transa\w*|транзакц\w*|перевод\w*|交易|转账|überweisung|payment|transfer\w*|outpoint|utxo|トランザクション|거래|/tx/)[^\n]{0,30}\Z",
    re.IGNORECASE,
)
_DENIES = re.compile(r"sha-?\d|checksum|prüfsumme|контрольн|校验|digest|integrity|block", re.IGNORECASE)


def _txid(match: re.Match[str], text: str) -> Iterator[Finding]:
    cue = _CUE.search(before(text, match.start(), 60))
    if cue and not _DENIES.search(cue[0]):
        yield finding(match.start(), match.end(), "TXID", "txid", 0.8)


RULES = (
    Rule(
        "txid",
        (rb"[^0-9a-z](?:0x)?[0-9a-f]{64}",),
        pattern_search(_HEX, _txid),
        back=140,
        ahead=8,
        exact=True,
    ),
)
