# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Addresses and keys of coins nobody listed, told by their sums alone.

bech32 and bech32m with any human-readable part (BIP-173, BIP-350, SLIP-173), Base58Check with any version,
SS58 (BLAKE2b), Stellar strkeys (CRC-16), Algorand (SHA-512/256), TON (CRC-16), Internet Computer
principals (CRC-32). Where an address has no sum, its mark and alphabet decide.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.checksum import base58, bech32
from veildesk.redact.detect.prefixes import drawn
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["BASE58", "RULES"]

_B58 = r"[1-9A-HJ-NP-Za-km-z]"
_E, _S = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_BECH = re.compile(
    rf"{_E}(?P<hrp>[a-z](?:[a-z0-9_-]{{0,40}}[a-z0-9_-])?)1(?P<data>[ac-hj-np-z02-9]{{26,1000}}){_S}",
    re.IGNORECASE,
)
_SECRET_PREFIX = re.compile(
    r"nsec|ncryptsec|age-secret-key-.*|age-plugin-.*|.*privkey|.*_?xsk|.*_sk|lnpriv|secret-.*", re.IGNORECASE
)


def _bech(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The prefix may hold the digit one too: the last one divides."""
    if bech32.valid(match[0]):
        prefix = match["hrp"].lower()
        type_ = "PRIVKEY" if _SECRET_PREFIX.fullmatch(prefix) else "PEM" if prefix == "age" else "WALLET"
        yield finding(match.start(), match.end(), type_, "bech32-sum", secret=type_ == "PRIVKEY")


_SUM58 = re.compile(rf"{_E}{_B58}{{25,115}}{_S}")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_SECRET58 = re.compile(r"edsk|spsk|p2sk|BLsk|.prv|s(?:[^\W_]{28}|Ed[^\W_]{28})\Z")
_SENT = Keyword(
    r"wallet|addr|адрес|кошел|direcci|cartera|billetera|indirizzo|carteira|endere|地址|钱包|錢包|account|recipient|sent|send|\bens\b|transfer|перев|отправ|received"
)
_SS58 = b"SS58PRE"


def _sum58(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Four octets of sum leave no room for chance; SS58 has two, and a fixed length."""
    value = match[0]
    if _HEX.fullmatch(value) or not re.search(r"[0-9]", value) or value.islower():
        return
    known = base58.check(value) is not None or (
        value[0] in "rsXT" and base58.check(value, base58.RIPPLE) is not None
    )
    if not known and len(value) in (46, 47, 48, 49, 51):
        data = base58.decode(value) or b""
        if len(data) in (35, 36):
            known = hashlib.blake2b(_SS58 + data[:-2]).digest()[:2] == data[-2:]
        elif len(data) == 38:  # Ergo
            known = hashlib.blake2b(data[:-4], digest_size=32).digest()[:4] == data[-4:]
    if (
        not known
        and len(value) in (46, 47, 48, 51)
        and drawn(value)
        and _SENT.search(before(text, match.start(), 40))
    ):
        yield finding(match.start(), match.end(), "WALLET", "base58-shape", 0.6)
    if known:
        type_ = "PRIVKEY" if _SECRET58.match(value) else "WALLET"
        yield finding(match.start(), match.end(), type_, "base58-sum")


_SIGNED = re.compile(
    r"tx\b|txid|sig\b|signature|signatur|подпис|transa[ck]\w*|транзак\w*|交易|firma|assinatura|hash|хэш|хеш|подтвержд|confirm",
    re.IGNORECASE,
)


def _pair58(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Sixty-four octets are a key pair or a signature: without a word for the latter they are hidden."""
    data = base58.decode(match[0])
    if (
        data is not None
        and len(data) == 64
        and drawn(match[0])
        and not _SIGNED.search(before(text, match.start(), 60))
    ):
        yield finding(match.start(), match.end(), "PRIVKEY", "keypair-bare", 0.7)


_SHAPED = re.compile(rf"{_E}(?:3P|D[sc]){_B58}{{33}}{_S}")


def _shaped(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Waves and Decred, whose sums no library at hand knows."""
    if drawn(match[0]):
        yield finding(match.start(), match.end(), "WALLET", "base58-mark", 0.8)


BASE58 = (
    (25, 115, _SUM58, _sum58),
    (35, 35, _SHAPED, _shaped),
    (86, 88, re.compile(rf"{_E}{_B58}{{86,88}}{_S}"), _pair58),
)
"""As `wallet.BASE58`."""


def _crc16(data: bytes) -> int:
    return binascii.crc_hqx(data, 0)


_BASE32 = re.compile(rf"{_E}(?:[A-Z2-7]{{69}}|[A-Z2-7]{{58}}|[A-Z2-7]{{56}}){_S}")


def _base32(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Stellar (56, 69) and Algorand (58)."""
    value = match[0]
    data = base64.b32decode(value + "=" * (-len(value) % 8))
    type_ = "PRIVKEY" if value[0] == "S" and len(value) == 56 else "WALLET"
    if len(value) == 58:
        known = _sha512_256(data[:-4])[-4:] == data[-4:]
    else:
        known = _crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
    if known:
        yield finding(match.start(), match.end(), type_, "base32-sum")
    elif len(set(value)) > 12 and (len(value) != 56 or value[0] in "GS"):
        yield finding(match.start(), match.end(), type_, "base32-shape", 0.8)


def _sha512_256(data: bytes) -> bytes:
    return hashlib.new("sha512_256", data).digest() if "sha512_256" in hashlib.algorithms_available else b""


_TON = re.compile(rf"{_E}[EUk0][Qf][A-Za-z0-9_+/-]{{46}}(?![A-Za-z0-9_-])")


def _ton(match: re.Match[str], text: str) -> Iterator[Finding]:
    data = base64.b64decode(match[0].replace("-", "+").replace("_", "/"))
    if _crc16(data[:-2]) == int.from_bytes(data[-2:], "big"):
        yield finding(match.start(), match.end(), "WALLET", "ton")
    elif match[0].startswith(("EQ", "UQ")) and not re.search(r"[+/]", match[0]):
        yield finding(match.start(), match.end(), "WALLET", "ton-shape", 0.8)


_PRINCIPAL = re.compile(rf"{_E}(?:[a-z2-7]{{5}}-){{4,10}}[a-z2-7]{{1,5}}(?![0-9A-Za-z-])")


def _principal(match: re.Match[str], text: str) -> Iterator[Finding]:
    plain = match[0].replace("-", "").upper()
    data = base64.b32decode(plain + "=" * (-len(plain) % 8)) if len(plain) % 8 in (0, 2, 4, 5, 7) else b""
    if len(data) > 4 and binascii.crc32(data[4:]) == int.from_bytes(data[:4], "big"):
        yield finding(match.start(), match.end(), "WALLET", "principal")
    elif len(plain) == 53 and re.search(r"[2-7]", plain):
        yield finding(match.start(), match.end(), "WALLET", "principal-shape", 0.8)


_MARKED: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((rb"Ae2td", rb"DdzFF"), rf"(?:Ae2td{_B58}{{50,58}}|DdzFF{_B58}{{90,104}})", "WALLET"),
    ((rb"nano_[13]", rb"xrb_[13]", rb"ban_[13]"), r"(?:nano|xrb|ban)_[13][13456789abcdefghijkmnopqrstuwxyz]{59}", "WALLET"),
    ((rb"ronin:[0-9a-f]{8}", rb"xdc[0-9a-f]{12}"), r"(?:ronin:|xdc)[0-9a-fA-F]{40}", "ETH"),
    ((rb"lno1[ac-hj-np-z02-9]{12}", rb"lni1[ac-hj-np-z02-9]{12}", rb"lnr1[ac-hj-np-z02-9]{12}"), r"ln[oir]1[ac-hj-np-z02-9]{60,2000}", "WALLET"),
    ((rb"EOS[1-9a-z]{12}", rb"PUB_(?:K1|R1|WA)_"), rf"(?:EOS|PUB_(?:K1|R1|WA)_){_B58}{{50}}", "WALLET"),
    ((rb"PVT_(?:K1|R1)_",), rf"PVT_(?:K1|R1)_{_B58}{{48,52}}", "PRIVKEY"),
    ((rb"B62q[1-9a-z]{12}",), rf"B62q{_B58}{{51}}", "WALLET"),
    ((rb"[^0-9a-z]S[PMTN][0-9a-hj-np-tv-z]{36}",), r"S[PMTN](?=[A-Z]{0,30}[0-9])[0-9A-HJKMNP-TV-Z]{37,39}", "WALLET"),
    ((rb"(?:ed25519|secp256k1)-priv-",), r"(?:ed25519|secp256k1)-priv-(?:0x)?[0-9a-f]{64}", "PRIVKEY"),
    ((rb"[^0-9a-z]k[1-4]\.(?:local|secret)[.-]",), r"k[1-4]\.(?:local|secret)(?:-wrap\.pie|-pw|-seal)?\.[A-Za-z0-9_-]{40,400}", "PRIVKEY"),
    ((rb"[^0-9a-z]v[1-4]\.(?:local|public)\.",), r"v[1-4]\.(?:local|public)\.[A-Za-z0-9_-]{40,4000}(?:\.[A-Za-z0-9_-]{2,1000})?", "JWT"),
    ((rb"gAAAAA[a-z0-9_-]{12}",), r"gAAAAA[A-Za-z0-9_-]{60,6000}={0,2}", "API_TOKEN"),
    ((rb"RWRTY0Iy", rb"RWRCSwAA"), r"RWR(?:TY0Iy|CSwAA)[A-Za-z0-9+/]{60,300}={0,2}", "PRIVKEY"),
    ((rb"x25519:[a-z2-7]{12}", rb"ClientOnionAuth", rb"HidServAuth"), r"(?:(?<=x25519:)|(?<=ClientOnionAuth )|(?<=\.onion ))(?:[A-Za-z2-7]{52}|[A-Za-z0-9+/]{22}(?:==)?)", "PRIVKEY"),
    ((rb"ED25519-V3:", rb"RSA1024:"), r"(?:ED25519-V3|RSA1024):[A-Za-z0-9+/]{60,1000}={0,2}", "PRIVKEY"),
    ((rb"cHNidP8", rb"70736274ff"), r"(?:cHNidP8[A-Za-z0-9+/]{40,100000}={0,2}|70736274ff[0-9a-f]{80,200000})", "TXID"),
    ((rb"AGE-PLUGIN-",), r"AGE-PLUGIN-[A-Z0-9-]{1,30}-1[ACDEFGHJKLMNPQRSTUVWXYZ023456789]{12,300}", "PRIVKEY"),
    ((rb"steam://[a-z2-7]{12}",), r"(?<=steam://)[A-Z2-7]{26,64}", "TOTP"),
    ((rb"[^0-9a-z](?:0x)?[0-9a-f]{64}",), r"(?:05[0-9a-f]{64}|[0-9a-fA-F]{76}|(?<![-:.])-?[01]:[0-9a-fA-F]{64})", "WALLET"),
)  # fmt: skip


def _marked(triggers: tuple[bytes, ...], source: str, type_: str) -> Rule:
    edge = "" if source.startswith("(?:(?<=") or source.startswith("(?<=") else _E
    pattern = re.compile(rf"{edge}{source}{_S}")

    def judge(match: re.Match[str], text: str) -> Iterator[Finding]:
        if len(set(match[0])) >= 8:
            yield finding(match.start(), match.end(), type_, "coin-mark", 0.9)

    return Rule("coin-mark", triggers, pattern_search(pattern, judge), back=100, ahead=6000)


_LONG_HEX = re.compile(rf"{_E}0x[0-9a-f]{{62,64}}{_S}", re.IGNORECASE)
_OWNER = Keyword(
    r"wallet|addr|адрес|кошел|direcci|cartera|billetera|indirizzo|carteira|endere|地址|钱包|錢包|account|recipient|sender|cüzdan|адреса|гаман"
)
_HASHED = re.compile(
    r"tx|transa|транза|交易|hash|block|sha|digest|event|topic|class|store|state|root|slot", re.IGNORECASE
)


def _long_hex(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Sui, Aptos, Starknet: written like a hash of a transaction, so the nearest word decides."""
    head = before(text, match.start(), 32)
    words = list(_OWNER.finditer(head, 0, len(head)))
    if words and not _HASHED.search(head, words[-1].end()):
        yield finding(match.start(), match.end(), "WALLET", "long-hex", 0.8)


_NAMED = re.compile(
    r"(?<![\w.@/-])[a-z0-9][a-z0-9-]{2,60}\.(?:eth|crypto|sol|near|nft|x|bnb|lens|tez|ton)(?![\w(-]|\.\w)",
    re.IGNORECASE,
)


def _named(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A name that stands for an address."""
    if _SENT.search(before(text, match.start(), 32)):
        yield finding(match.start(), match.end(), "WALLET", "named", 0.7)


RULES = (
    Rule("bech32-sum", (rb"[a-z0-9_-]1[ac-hj-np-z02-9]{26}",), pattern_search(_BECH, _bech), back=72, ahead=1004, exact=True),
    Rule("base32-sum", (rb"[^0-9A-Za-z][A-Z2-7]{56}",), pattern_search(_BASE32, _base32), back=60, ahead=16, exact=True, cased=True),
    Rule("ton", (rb"[^0-9A-Za-z][EUk0][Qf][A-Za-z0-9_+/-]{16}",), pattern_search(_TON, _ton), back=30, ahead=40, exact=True, cased=True),
    Rule("principal", (rb"[a-z2-7]{5}-[a-z2-7]{5}-[a-z2-7]{5}-[a-z2-7]{5}-",), pattern_search(_PRINCIPAL, _principal), back=80, ahead=60, exact=True),
    Rule("long-hex", (rb"0x[0-9a-f]{40}",), pattern_search(_LONG_HEX, _long_hex), back=44, ahead=30),
    Rule("named-wallet", (rb"[a-z0-9]\.eth[^a-z0-9]", rb"[a-z0-9]\.crypto[^a-z0-9]", rb"[a-z0-9]\.(?:sol|near|nft|bnb|lens|tez|ton)[^a-z0-9]"), pattern_search(_NAMED, _named), back=70, ahead=2),
    *(_marked(triggers, source, type_) for triggers, source, type_ in _MARKED),
)  # fmt: skip
