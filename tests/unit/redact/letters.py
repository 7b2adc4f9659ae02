"""Letters with values made at run time, for a gate that no rule was written from one document for."""

from __future__ import annotations

import base64
import random
import re
import string
from collections.abc import Callable, Iterator

import phonenumbers

from unit.redact.corpus import Labelled, lines
from unit.redact.samples import RIPPLE, base58, base58check, bech32, iban, jwt, luhn, monero, phrase, text

__all__ = ["letters"]

_LOWER, _UPPER, _DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
_BASE32 = _UPPER + "234567"
_LISTS = (
    "english",
    "spanish",
    "french",
    "portuguese",
    "russian",
    "chinese_simplified",
    "japanese",
    "turkish",
)
Make = Callable[[random.Random], str]


def _one(*makes: Make) -> Make:
    return lambda rng: rng.choice(makes)(rng)


def _five(rng: random.Random, count: int) -> list[int]:
    return [rng.randrange(32) for _ in range(count)]


def _octets(rng: random.Random, *first: int) -> str:
    rest = [rng.randint(1, 250) for _ in range(4 - len(first))]
    return ".".join(map(str, (*first, *rest)))


def _phone(rng: random.Random) -> str:
    region = rng.choice(("DE", "RU", "ES", "FR", "BR", "US", "GB", "CN", "IT", "PL", "UA"))
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert number is not None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _card(rng: random.Random) -> str:
    start, length = rng.choice((("4", 16), ("51", 16), ("2200", 16), ("37", 15), ("6011", 16)))
    number = luhn(start + text(rng, length - 1 - len(start), _DIGITS))
    gap = rng.choice(("", " ", "-")) if length == 16 else ""
    return gap.join(number[at : at + 4] for at in range(0, length, 4)) if gap else number


def _iban(rng: random.Random) -> str:
    country, length = rng.choice((("DE", 18), ("ES", 20), ("FR", 23), ("AT", 16), ("PL", 24), ("PT", 21)))
    return iban(country, text(rng, length, _DIGITS))


def _place(rng: random.Random) -> str:
    north, east = rng.uniform(20, 60), rng.uniform(10, 120)
    return rng.choice((f"{north:.5f}, {east:.5f}", f"{north:.4f}° N, {east:.4f}° E"))


_PASSWORD = _one(
    lambda rng: f"Sommer{text(rng, 2, _DIGITS)}!",
    lambda rng: f"{text(rng, 5)}7{text(rng, 6)}",
    lambda rng: f"Qwerty{text(rng, 3, _DIGITS)}#",
    lambda rng: f"{text(rng, 3, _UPPER)}$4{text(rng, 5)}%",
    lambda rng: f"p@ss{text(rng, 4, _DIGITS)}w0rd",
)
_KINDS: dict[str, Make] = {
    "EMAIL": lambda rng: (
        f"{text(rng, 6, _LOWER)}{rng.randint(1, 99)}@{rng.choice(('posteo.de', 'mail.example', 'web.de'))}"
    ),
    "IPV4": _one(lambda rng: _octets(rng, rng.randint(80, 220)), lambda rng: _octets(rng, 192, 168)),
    "IPV6": lambda rng: f"2a01:4f8:{rng.randbytes(2).hex()}:{rng.randbytes(2).hex()}::{rng.randint(2, 99)}",
    "MAC": lambda rng: ":".join(rng.randbytes(1).hex() for _ in range(6)),
    "PHONE": _phone,
    "CARD": _card,
    "IBAN": _iban,
    "IMEI": lambda rng: luhn("35" + text(rng, 12, _DIGITS)),
    "GPS": _place,
    "PATH_USER": lambda rng: rng.choice(("mkowalski", "anna.weiss", "jrodriguez", "wang_lei")),
    "PASSWORD": _PASSWORD,
    "API_TOKEN": _one(
        lambda rng: "ghp_" + text(rng, 36),
        lambda rng: "glpat-" + text(rng, 20),
        lambda rng: "AKIA" + text(rng, 16, _BASE32),
        lambda rng: "SG." + text(rng, 22) + "." + text(rng, 43),
    ),
    "GTOK": _one(lambda rng: rng.randbytes(20).hex(), lambda rng: "k9" + text(rng, 30)),
    "BTC": _one(
        lambda rng: base58check(b"\0" + rng.randbytes(20)),
        lambda rng: bech32("bc", [1, *_five(rng, 52)], modern=True),
    ),
    "ETH": lambda rng: "0x" + rng.randbytes(20).hex(),
    "SOL": lambda rng: base58(b"\x7f" + rng.randbytes(31)),
    "TRX": lambda rng: base58check(b"\x41" + rng.randbytes(20)),
    "XRP": lambda rng: base58check(b"\0" + rng.randbytes(20), RIPPLE),
    "LTC": lambda rng: base58check(b"\x30" + rng.randbytes(20)),
    "DOGE": lambda rng: base58check(b"\x1e" + rng.randbytes(20)),
    "XMR": monero,
    "WIF": _one(
        lambda rng: base58check(b"\x80" + rng.randbytes(32) + b"\1"),
        lambda rng: bech32("nsec", _five(rng, 52)),
    ),
    "HEXKEY": lambda rng: rng.randbytes(32).hex(),
    "SEED": lambda rng: " ".join(phrase(rng, rng.choice(_LISTS), rng.choice((12, 24)))),
    "SEEDN": lambda rng: " ".join(f"{at}.{word}" for at, word in enumerate(phrase(rng, "english", 12), 1)),
    "ONION": lambda rng: text(rng, 56, _LOWER + "234567") + ".onion",
    "HOSTNAME": lambda rng: rng.choice(("DESKTOP-" + text(rng, 7, _UPPER + _DIGITS), "nas-keller.local")),
    "TOTP": lambda rng: text(rng, 31, _BASE32) + "2",
    "RECOVERY": lambda rng: " ".join(f"{text(rng, 4, 'abcdef')}1-{text(rng, 5, _DIGITS)}" for _ in range(5)),
    "COOKIE": lambda rng: text(rng, 25, _LOWER + _DIGITS) + "7",
    "JWT": jwt,
    "URL_CRED": lambda rng: f"svc-backup:{text(rng, 10)}",
    "BASIC": lambda rng: base64.b64encode(f"{text(rng, 5)}:{text(rng, 9)}".encode()).decode(),
}
_PIECE = re.compile(r"\{(?P<kind>[A-Z0-9_]+)\}|«(?P<neutral>[^»]*)»")


def letters(rounds: int = 2) -> Iterator[tuple[str, Labelled]]:
    """(language, labelled letter), each template `rounds` times with fresh values."""
    for number, line in enumerate(lines("letters.tsv")):
        language, _, template = line.partition("\t")
        for turn in range(rounds):
            yield language, _letter(template.replace("\\n", "\n"), random.Random(f"{number}-{turn}"))


def _letter(template: str, rng: random.Random) -> Labelled:
    made, position = "", 0
    labels: list[tuple[int, int, str]] = []
    neutral: list[tuple[int, int]] = []
    for piece in _PIECE.finditer(template):
        made += template[position : piece.start()]
        value = _KINDS[piece["kind"]](rng) if piece["kind"] else piece["neutral"]
        span = (len(made), len(made) + len(value))
        if piece["kind"]:
            labels.append((*span, piece["kind"]))
        else:
            neutral.append(span)
        made += value
        position = piece.end()
    return Labelled(made + template[position:], tuple(labels), (), tuple(neutral))
