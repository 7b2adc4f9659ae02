"""Makes values of every type at run time, from a seeded source: no secret of any kind lies in the tree."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
from dataclasses import dataclass

from mnemonic import Mnemonic

from veildesk.redact.checksum.base58 import BITCOIN, RIPPLE
from veildesk.redact.checksum.bech32 import CHARSET

ALNUM = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of `type` inside `head` and `tail`; `value` is what must be hidden."""

    type: str
    head: str
    value: str
    tail: str = ""

    @property
    def text(self) -> str:
        return self.head + self.value + self.tail


def text(rng: random.Random, length: int, alphabet: str = ALNUM) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def base58(data: bytes, alphabet: str = BITCOIN) -> str:
    number = int.from_bytes(data, "big")
    out = ""
    while number:
        number, digit = divmod(number, 58)
        out = alphabet[digit] + out
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + out


def base58check(payload: bytes, alphabet: str = BITCOIN) -> str:
    digest = hashlib.sha256(hashlib.sha256(payload).digest()).digest()
    return base58(payload + digest[:4], alphabet)


def bech32(prefix: str, values: list[int], modern: bool = False) -> str:
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for value in expanded + values + [0] * 6:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    check ^= 0x2BC830A3 if modern else 1
    return prefix + "1" + "".join(CHARSET[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


def luhn(body: str) -> str:
    digits = [int(c) for c in body][::-1]
    total = sum(d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits))
    return body + str(-total % 10)


def iban(country: str, bban: str) -> str:
    remainder = int("".join(str(int(c, 36)) for c in bban + country + "00")) % 97
    return f"{country}{98 - remainder:02d}{bban}"


def monero(rng: random.Random) -> str:
    data = bytes([18]) + rng.randbytes(68)
    sizes = {8: 11, 5: 7}
    out = ""
    for start in range(0, 69, 8):
        block = data[start : start + 8]
        out += base58(block).replace("\0", "").rjust(sizes[len(block)], "1")[-sizes[len(block)] :]
    return out


def jwt(rng: random.Random) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (
            {"alg": "HS256", "typ": "JWT"},
            {"sub": text(rng, 8), "iat": rng.randint(10**9, 2 * 10**9)},
        )
    ]
    return ".".join([*parts, base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")])


def armor(rng: random.Random, label: str, lines: int = 5) -> str:
    body = base64.b64encode(rng.randbytes(48 * lines - 7)).decode()
    rows = [body[i : i + 64] for i in range(0, len(body), 64)]
    dashes = "-" * 5
    return "\n".join([f"{dashes}BEGIN {label}{dashes}", *rows, f"{dashes}END {label}{dashes}"])


def phrase(rng: random.Random, language: str, count: int) -> list[str]:
    return [rng.choice(Mnemonic(language).wordlist) for _ in range(count)]


def wallets(rng: random.Random) -> list[Sample]:
    five = [rng.randrange(32) for _ in range(32)]
    return [
        Sample("BTC", "address ", base58check(b"\x00" + rng.randbytes(20)), " end"),
        Sample("BTC", "address ", base58check(b"\x05" + rng.randbytes(20))),
        Sample("BTC", "", bech32("bc", [0, *five]), " was empty"),
        Sample("BTC", "to ", bech32("bc", [1, *five, *five[:20]], modern=True), "."),
        Sample("ETH", "to ", "0x" + rng.randbytes(20).hex(), ","),
        Sample("LTC", "to ", base58check(b"\x30" + rng.randbytes(20))),
        Sample("LTC", "to ", bech32("ltc", [0, *five])),
        Sample("DOGE", "to ", base58check(b"\x1e" + rng.randbytes(20))),
        Sample("TRX", "to ", base58check(b"\x41" + rng.randbytes(20))),
        Sample("XRP", "to ", base58check(b"\x00" + rng.randbytes(20), RIPPLE)),
        Sample("SOL", "my solana wallet ", base58(b"\x7f" + rng.randbytes(31))),
        Sample("XMR", "", monero(rng), " is mine"),
        Sample("WALLET", "ada ", bech32("addr", five + five + five[:28])),
    ]


def keys(rng: random.Random) -> list[Sample]:
    five = [rng.randrange(32) for _ in range(52)]
    return [
        Sample("PRIVKEY", "", base58check(b"\x80" + rng.randbytes(32) + b"\x01"), " imported"),
        Sample("PRIVKEY", "wif ", base58check(b"\x80" + rng.randbytes(32))),
        Sample("PRIVKEY", "", base58check(bytes.fromhex("0488ade4") + rng.randbytes(74))),
        Sample("PRIVKEY", "private key: ", rng.randbytes(32).hex()),
        Sample("PRIVKEY", "Der private Schlüssel ist 0x", rng.randbytes(32).hex()),
        Sample("PRIVKEY", "nostr ", bech32("nsec", five)),
        Sample("PRIVKEY", "", bech32("age-secret-key-", five).upper()),
        Sample("XPUB", "", base58check(bytes.fromhex("0488b21e") + rng.randbytes(74))),
    ]


def tokens(rng: random.Random) -> list[Sample]:
    digits = string.digits
    return [
        Sample("API_TOKEN", "", "ghp_" + text(rng, 36), " leaked"),
        Sample("API_TOKEN", "key ", "AKIA" + text(rng, 16, string.ascii_uppercase + "234567")),
        Sample("API_TOKEN", "key ", "AIza" + text(rng, 35)),
        Sample("API_TOKEN", "", f"xoxb-{text(rng, 12, digits)}-{text(rng, 12, digits)}-{text(rng, 24)}"),
        Sample("API_TOKEN", "stripe ", "sk_live_" + text(rng, 24)),
        Sample("API_TOKEN", "bot ", text(rng, 10, "123456789") + ":AA" + text(rng, 33)),
        Sample("API_TOKEN", "api_key = ", rng.randbytes(16).hex()),
        Sample("JWT", "token ", jwt(rng)),
        Sample("BEARER", "Authorization: Bearer ", text(rng, 40)),
        Sample(
            "BASIC_AUTH", "Authorization: Basic ", base64.b64encode(b"bob:" + text(rng, 9).encode()).decode()
        ),
        Sample("COOKIE", "Cookie: sessionid=", rng.randbytes(16).hex(), "; lang=de"),
        Sample("URL_TOKEN", "https://files.example/get?access_token=", text(rng, 32)),
        Sample("TOTP", "TOTP secret: ", text(rng, 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
        Sample("PEM", "mine:\n", armor(rng, "RSA " + "PRIVATE" + " KEY"), "\nthanks"),
        Sample("PGP", "mine:\n", armor(rng, "PGP MESSAGE"), "\nthanks"),
        Sample("SEED", "", " ".join(phrase(rng, "english", 12))),
        Sample("SEED", "seed: ", " ".join(phrase(rng, "spanish", 24))),
    ]


def personal(rng: random.Random) -> list[Sample]:
    card = luhn("4" + text(rng, 14, string.digits))
    grouped = " ".join(card[i : i + 4] for i in range(0, 16, 4))
    account = iban("DE", text(rng, 18, string.digits))
    return [
        Sample("EMAIL", "write to ", f"{text(rng, 7).lower()}.x@mail-{text(rng, 5).lower()}.org", " please"),
        Sample(
            "IPV4", "my address is ", f"{rng.randint(11, 99)}.{rng.randint(1, 255)}.{rng.randint(1, 255)}.7"
        ),
        Sample("IPV6", "from ", "2a02:" + ":".join(rng.randbytes(2).hex() for _ in range(7))),
        Sample("MAC", "ether ", ":".join(rng.randbytes(1).hex() for _ in range(6))),
        Sample("CARD", "paid with card ", card, " today"),
        Sample("CARD", "card ", grouped, " today"),
        Sample("IBAN", "refund to ", account),
        Sample("IBAN", "refund to ", " ".join(account[i : i + 4] for i in range(0, 22, 4))),
        Sample("IMEI", "IMEI ", luhn("35" + text(rng, 12, string.digits))),
        Sample("PHONE", "call me: ", f"+49 151 {text(rng, 8, '123456789')}"),
        Sample("ONION", "see ", text(rng, 56, "abcdefghijklmnopqrstuvwxyz234567") + ".onion"),
        Sample("GPS", "GPS ", f"{rng.uniform(10, 60):.6f}, {rng.uniform(10, 99):.6f}"),
    ]


def every(seed: int) -> list[Sample]:
    """One list of samples of nearly all types."""
    rng = random.Random(seed)
    return [*wallets(rng), *keys(rng), *tokens(rng), *personal(rng)]


def _cpf(rng: random.Random) -> str:
    digits = [rng.randrange(10) for _ in range(9)]
    for _ in range(2):
        weights = range(len(digits) + 1, 1, -1)
        digits.append(sum(d * w for d, w in zip(digits, weights, strict=True)) * 10 % 11 % 10)
    body = "".join(map(str, digits))
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def named(seed: int) -> list[Sample]:
    """Values that mostly their name gives away: identity numbers, birthdays, bank accounts."""
    rng = random.Random(seed)
    number = rng.randrange(10**7, 10**8)
    day = f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.{rng.randint(1940, 2009)}"
    return [
        Sample(
            "NATIONAL_ID",
            "my SSN is ",
            f"{rng.randint(100, 599)}-{rng.randint(10, 99)}-{number % 9000 + 1000}",
        ),
        Sample("NATIONAL_ID", "CPF ", _cpf(rng), " ok"),
        Sample("NATIONAL_ID", "mi DNI es ", f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"),
        Sample("NATIONAL_ID", "PESEL: ", text(rng, 11, string.digits[1:])),
        Sample("NATIONAL_ID", "Passport No: ", "C" + text(rng, 8, string.digits[1:])),
        Sample(
            "NATIONAL_ID", "паспорт ", f"{text(rng, 4, string.digits[1:])} {text(rng, 6, string.digits[1:])}"
        ),
        Sample("BIRTHDATE", "date of birth: ", day),
        Sample("BANK", "routing number ", text(rng, 9, string.digits[1:])),
        Sample("BANK", "расчётный счёт ", text(rng, 20, string.digits[1:])),
    ]
