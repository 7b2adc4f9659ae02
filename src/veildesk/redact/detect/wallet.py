# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Wallet addresses. A true checksum settles it; a mistyped address of unmistakable shape is hidden too.

Base58Check versions: Bitcoin wiki "List of address prefixes", SLIP-44 coins' chain parameters; bech32
and bech32m: BIP-173, BIP-350; Ethereum: EIP-55 (not demanded); Monero: its standard address layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from veildesk.core.finding import Finding
from veildesk.redact.checksum import base58, bech32
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, pattern_search, placed_search

__all__ = ["BASE58", "RULES"]

_B58 = r"[1-9A-HJ-NP-Za-km-z]"
_EDGE = r"(?<![0-9A-Za-z])"
_STOP = r"(?![0-9A-Za-z])"
_CUE = Keyword(
    r"wallet|addr|адрес|кошел|dirección|direccion|cartera|monedero|billetera|adresse|portefeuille|indirizzo|carteira|"
    r"endereço|地址|钱包|錢包|币|アドレス|지갑|주소|bitcoin|btc|doge|litecoin|ltc|tron|trx|usdt|ripple|xrp|solana|\bsol\b|"
    r"phantom|payout|deposit|withdraw|recipient|sent|send|pubkey|mint|token account|owner|signer|coins|перев|монет|monedas"
)

_LEGACY = re.compile(rf"{_EDGE}(?:[13]|[2mn9ADLMTX]|r|t[123m]|tz[1-4]|KT1){_B58}{{24,34}}{_STOP}")
_VERSIONS = {
    0x00: "BTC", 0x05: "BTC", 0x6F: "BTC", 0xC4: "BTC",
    0x30: "LTC", 0x32: "LTC", 0x3A: "LTC",
    0x1E: "DOGE", 0x16: "DOGE", 0x71: "DOGE",
    0x41: "TRX", 0x4C: "WALLET", 0x10: "WALLET",
}  # fmt: skip
# Zcash transparent (its protocol specification, 5.6.1.1), Tezos (its base58 prefixes).
_LONG_VERSIONS = {
    22: (b"\x1c\xb8", b"\x1c\xbd", b"\x1c\xba", b"\x1d\x25"),
    23: (b"\x06\xa1\x9f", b"\x06\xa1\xa1", b"\x06\xa1\xa4", b"\x06\xa1\xa6", b"\x02\x5a\x79"),
}
_FIRST = {
    "1": "BTC",
    "3": "BTC",
    "D": "DOGE",
    "L": "LTC",
    "M": "LTC",
    "T": "TRX",
    "r": "XRP",
    "t": "WALLET",
    "K": "WALLET",
}


def _legacy(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    if value[0] == "r" and base58.check(value, base58.RIPPLE) is not None:
        yield finding(match.start(), match.end(), "XRP", "base58check")
        return
    payload = base58.check(value)
    if payload is not None and len(payload) == 21 and payload[0] in _VERSIONS:
        yield finding(match.start(), match.end(), _VERSIONS[payload[0]], "base58check")
        return
    if payload is not None and payload.startswith(_LONG_VERSIONS.get(len(payload), ())):
        yield finding(match.start(), match.end(), "WALLET", "base58check")
        return
    type_ = _FIRST.get(value[0])
    if type_ and len(value) >= 33 and _mixed(value) and _CUE.search(before(text, match.start(), 40)):
        yield finding(match.start(), match.end(), type_, "base58-shape", 0.6)


def _mixed(value: str) -> bool:
    """Digits, small and capital letters spread as chance spreads them, not as words do."""
    kinds = [0 if char.isdigit() else 1 if char.islower() else 2 for char in value]
    turns = sum(a != b for a, b in pairwise(kinds))
    return len(set(kinds)) == 3 and turns * 3 >= len(value)


_PREFIX = (
    r"bc|tb|bcrt|ltc|tltc|rltc|addr|addr_test|stake|cosmos|osmo|juno|terra|inj|celestia|thor|zs|u|bnb|one|kava|"
    r"erd|npub|nprofile|lnbc|lntb|lnurl|lno"
)
_SEGWIT_PLACE = Keyword(rf"(?:{_PREFIX})[0-9]")
_SEGWIT = re.compile(
    rf"{_EDGE}(?P<hrp>{_PREFIX})(?P<amount>[0-9]{{0,12}}[munp]?)1(?P<data>[ac-hj-np-z02-9]{{20,1000}}){_STOP}",
    re.IGNORECASE,
)
_HRP_TYPES = {"bc": "BTC", "tb": "BTC", "bcrt": "BTC", "ltc": "LTC", "tltc": "LTC", "rltc": "LTC"}


def _segwit(match: re.Match[str], text: str) -> Iterator[Finding]:
    prefix = match["hrp"].lower()
    if match["amount"] and prefix not in ("lnbc", "lntb"):
        return
    type_ = _HRP_TYPES.get(prefix, "WALLET")
    if bech32.valid(match[0]):
        yield finding(match.start(), match.end(), type_, "bech32")
        return
    usual = len(match["data"]) in (38, 58, 98) and len(prefix) >= 3
    long = prefix in _HRP_TYPES and len(match["data"]) >= 30
    if (usual or long) and any(char.isdigit() for char in match["data"]):
        yield finding(match.start(), match.end(), type_, "bech32-shape", 0.6)


_ETH = re.compile(rf"{_EDGE}0x(?P<hex>[0-9a-f]{{40}}){_STOP}", re.IGNORECASE)


def _eth(match: re.Match[str], text: str) -> Iterator[Finding]:
    if match["hex"].strip("0"):
        yield finding(match.start(), match.end(), "ETH", "eth")


_XMR = re.compile(rf"{_EDGE}[4589A-C][0-9A-Za-z]{_B58}{{93}}(?:{_B58}{{11}})?{_STOP}")


_XMR_NETWORKS = frozenset({18, 19, 42, 24, 25, 36, 53, 54, 63})


def _xmr(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Length, blocks and network byte together leave no room for chance; the sum need not hold."""
    sure = base58.monero_network(match[0]) in _XMR_NETWORKS
    if sure or match[0][0] in "48":
        yield finding(match.start(), match.end(), "XMR", "monero", 1.0 if sure else 0.9)


_SOL = re.compile(
    rf"(?:(?<![0-9A-Za-z+/_.-])|(?<=address/)|(?<=account/)|(?<=wallet/)|(?<=token/)|(?<=ddresses/)|(?<=ccounts/)|(?<=solana:)){_B58}{{32,44}}(?![0-9A-Za-z+=_-])"
)


def _sol(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    data = base58.decode(value)
    if data is None or len(data) != 32 or not _mixed(value):
        return
    cue = _CUE.search(before(text, match.start(), 48))
    if cue or len(value) >= 43:
        yield finding(match.start(), match.end(), "SOL", "base58-32", 0.9 if len(value) >= 43 else 0.7)


_OTHER = re.compile(
    rf"{_EDGE}(?:(?:bitcoincash|bchtest|ecash):[qpQP][a-zA-Z0-9]{{41}}|kaspa:[a-z0-9]{{61,63}}"
    rf"|[1-9A-HJ-NP-Za-km-z]{{46,48}}(?=\.dot)){_STOP}"
)


def _other(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "WALLET", "wallet-shape", 0.8)


_CASH = re.compile(rf"{_EDGE}[qp][ac-hj-np-z02-9]{{41}}{_STOP}")


def _cash(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A Bitcoin Cash address without its prefix; the sum still covers the prefix."""
    if bech32.cash_valid("bitcoincash", match[0]) or bech32.cash_valid("ecash", match[0]):
        yield finding(match.start(), match.end(), "WALLET", "cashaddr")


BASE58 = ((25, 37, _LEGACY, _legacy), (32, 44, _SOL, _sol), (93, 106, _XMR, _xmr))
"""Shapes of runs of base58 characters: (shortest, longest, pattern, judge)."""

RULES = (
    Rule("bech32", (*(hrp + rb"1[ac-hj-np-z02-9]{12}" for hrp in (b"bc", b"tb", b"bcrt", b"ltc", b"addr", b"stake", b"cosmos", b"osmo", b"juno", b"terra", b"inj", b"celestia", b"thor",
                                                               b"zs", b"[^a-z0-9]u", b"bnb", b"one", b"kava", b"erd", b"npub", b"nprofile", b"lnurl", b"lno")),
                    rb"addr_test1", rb"lnbc[0-9]", rb"lntb[0-9]"),
         placed_search(_SEGWIT_PLACE, _SEGWIT, _segwit), back=34, ahead=2, exact=True),
    Rule("eth", (rb"0x[0-9a-f]{40}",), pattern_search(_ETH, _eth), back=44, ahead=4, exact=True),
    Rule("cashaddr", (rb"[^0-9a-z][qp][ac-hj-np-z02-9]{41}",), pattern_search(_CASH, _cash), back=46, ahead=8, exact=True),
    Rule("wallet-shape", (rb"bitcoincash:", rb"ecash:", rb"kaspa:"),
         pattern_search(_OTHER, _other), back=50, ahead=90, cased=True),
)  # fmt: skip
