# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Private keys in text form, and extended public keys.

WIF and BIP-32 serialisations (Base58Check versions), BIP-38, nostr NIP-19 (bech32), age (bech32), raw
hex after words that announce a key, byte arrays of key files, WireGuard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.checksum import base58, bech32
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search, placed_search

__all__ = ["BASE58", "RULES"]

_B58 = r"[1-9A-HJ-NP-Za-km-z]"
_E, _S = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_WIF = re.compile(rf"{_E}(?:[5KLc9TQ6p]{_B58}{{50,51}}|6P[RYn]{_B58}{{55}}){_S}")
_MINI = re.compile(rf"{_E}S{_B58}{{21,29}}{_S}")
_WIF_VERSIONS = frozenset({0x80, 0xEF, 0xB0, 0x9E, 0xF1, 0xCC, 0xBF})


def _wif(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    payload = base58.check(value)
    if payload is not None and (payload[0] in _WIF_VERSIONS or value.startswith("6P")):
        yield finding(match.start(), match.end(), "PRIVKEY", "wif")
    elif value[0] in "5KL" and (value[1] in "HJKwxyz12345" or keys_word(text, match.start())):
        yield finding(match.start(), match.end(), "PRIVKEY", "wif-shape", 0.6)


def _mini(match: re.Match[str], text: str) -> Iterator[Finding]:
    if keys_word(text, match.start()) and len(set(match[0])) > 10:
        yield finding(match.start(), match.end(), "PRIVKEY", "mini-key", 0.7)


_EXTENDED = re.compile(rf"{_E}(?P<p>[a-zA-Z](?:prv|pub))(?P<data>{_B58}{{90,112}}){_S}")


def _extended(match: re.Match[str], text: str) -> Iterator[Finding]:
    sure = base58.check(match[0]) is not None
    private = match["p"].endswith("prv")
    yield finding(match.start(), match.end(), "PRIVKEY" if private else "XPUB", "bip32", 1.0 if sure else 0.6)


_BECH_PLACE = Keyword(r"[nalxre][a-z0-9_-]{2,17}?1")
_BECH = re.compile(
    rf"{_E}(?:nsec1|ncryptsec1|AGE-SECRET-KEY-(?:PQ-)?1|lnpriv1|xsk1|root_xsk1|acct_xsk1|ed25519_sk1)[ac-hj-np-z02-9]{{30,300}}{_S}",
    re.IGNORECASE,
)


def _bech(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "PRIVKEY", "bech32-key", 1.0 if bech32.valid(match[0]) else 0.7)


_HEX = re.compile(rf"{_E}(?P<x>0x)?(?P<hex>[0-9a-f]{{64}}|[0-9a-f]{{128}}){_S}", re.IGNORECASE)
_KEY_WORD = Keyword(rf"(?:{keywords.PRIVATE_KEY}|{keywords.SEED})")
_OTHER_WORD = re.compile(
    r"sha-?\d*|hash|checksum|digest|txid|tx\b|transa\w*|транзакц\w*|block|prüfsumme|контрольн\w*|suma|校验|交易|fingerprint|public|pubkey|commit|merkle|integrity|build",
    re.IGNORECASE,
)


_LOOSE_WORD = re.compile(
    r"(?<!public )(?<!public_)(?<!pub )(?<!pub_)(?<!cache )(?<!cache_)(?<!index )(?<!primary )(?<!sort )(?<!idempotency )(?<!host )(?<!lookup )(?<!object )(?<!открытый )"
    r"(?<!публичный )(?<!öffentlicher )(?<!lica )(?<!公)(?<!blica )(?<!block )(?<!tx )(?<![a-z]-)\b(?:key|priv|sk|ключ(?: кошелька| от кошелька)?|schlüssel|clave|llave|clé|chave|chiave|klucz|wallet import|import)"
    r"[\"']?[ \t]*(?:[:=：]|is|ist|es|это)?[ \t]*[\"']?(?:0x)?\Z",
    re.IGNORECASE,
)


def keys_word(text: str, position: int) -> bool:
    """Whether the words before a value announce a private key, and nothing nearer denies it."""
    head = before(text, position, 60)
    words = list(_KEY_WORD.finditer(head, 0, len(head)))
    return bool(words) and not _OTHER_WORD.search(head, words[-1].end())


_AFTERWARDS = re.compile(
    rf"[\"'`»”)\]]{{0,2}}[ \t]{{0,2}}(?:[,:;=—–(<-]{{0,2}}|<=)[ \t]{{0,2}}(?:(?:is|was|are|ist|war|это|был|es|era|est|était|é|è|jest|是)[ ]?)?"
    rf"(?:(?:my|the|our|a|mein|meine|der|die|das|мой|наш|mi|la|el|mon|ma|le|meu|minha|a|o|il|mia|mój|我的)[ ]?)?(?:\w{{2,12}}[ ])?(?:{keywords.PRIVATE_KEY})",
    re.IGNORECASE,
)
"""A word for a key behind the value: "... is my private key"."""


def _hex(match: re.Match[str], text: str) -> Iterator[Finding]:
    if keys_word(text, match.start()) or _AFTERWARDS.match(text, match.end()):
        yield finding(match.start(), match.end(), "PRIVKEY", "hex-key", 0.95)
    elif _LOOSE_WORD.search(before(text, match.start(), 60)):
        yield finding(match.start(), match.end(), "PRIVKEY", "hex-near-key", 0.7)


_B64_WORD = Keyword(rf"{keywords.PRIVATE_KEY}|PresharedKey")
_B64_KEY = re.compile(
    rf"(?:[\"']?[ \t]{{0,3}}(?:[:=：]|is|ist|es|это|是|为)?[ \t]{{0,3}}[\"']?)(?P<value>[A-Za-z0-9+/]{{43}}=|{_B58}{{64,90}})(?![A-Za-z0-9+/])",
    re.IGNORECASE,
)


def _b64(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("value"), match.end("value"), "PRIVKEY", "key-word", 0.85)


_KEYPAIR = re.compile(rf"{_E}{_B58}{{86,88}}{_S}")


def _keypair(match: re.Match[str], text: str) -> Iterator[Finding]:
    data = base58.decode(match[0])
    if data is not None and len(data) == 64 and keys_word(text, match.start()):
        yield finding(match.start(), match.end(), "PRIVKEY", "keypair", 0.9)


_ARRAY = re.compile(r"\[\s{0,4}[0-9]{1,3}(?:\s{0,4},\s{0,4}[0-9]{1,3}){31,63}\s{0,4}\]")


def _array(match: re.Match[str], text: str) -> Iterator[Finding]:
    numbers = [int(number) for number in re.findall(r"[0-9]+", match[0])]
    if len(numbers) in (32, 64) and max(numbers) <= 255 and max(numbers) > 31 and len(set(numbers)) > 12:
        yield finding(match.start(), match.end(), "PRIVKEY", "byte-array", 0.8)


BASE58 = ((51, 58, _WIF, _wif), (86, 88, _KEYPAIR, _keypair))
"""As `wallet.BASE58`."""

RULES = (
    Rule("mini-key", (rb"[^0-9A-Za-z]S[1-9A-HJ-NP-Za-km-z]{21}[^0-9A-Za-z]", rb"[^0-9A-Za-z]S[1-9A-HJ-NP-Za-km-z]{29}[^0-9A-Za-z]"),
         pattern_search(_MINI, _mini), back=56, ahead=12, exact=True, cased=True),
    Rule("bip32", (rb"[^0-9A-Za-z][a-zA-Z](?:prv|pub)[1-9A-HJ-NP-Za-km-z]{40}",), pattern_search(_EXTENDED, _extended), back=50, ahead=80, exact=True, cased=True),
    Rule("bech32-key", (rb"(?:nsec|ncryptsec|AGE-SECRET-KEY-|AGE-SECRET-KEY-PQ-|lnpriv|xsk|ed25519_sk)1[ac-hj-np-z02-9]{20}",), placed_search(_BECH_PLACE, _BECH, _bech), back=60, ahead=2, exact=True),
    Rule("hex-key", (rb"[^0-9a-z](?:0x)?[0-9a-f]{64}",), pattern_search(_HEX, _hex), back=70, ahead=80, exact=True),
    Rule("key-word", (*keywords.triggers(keywords.PRIVATE_KEY_WORDS), rb"PresharedKey"), keyword_search(_B64_WORD, _B64_KEY, _b64), back=40, ahead=20),
    Rule("byte-array", (rb"\[\s{0,4}[0-9]{1,3}\s{0,4},\s{0,4}[0-9]{1,3}\s{0,4},\s{0,4}[0-9]{1,3}\s{0,4},\s{0,4}[0-9]{1,3}\s{0,4},",), pattern_search(_ARRAY, _array), back=50, ahead=800),
)  # fmt: skip
