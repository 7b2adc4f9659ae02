"""Keys of many issuers are found by their form alone, with no word for a key beside them."""

from __future__ import annotations

import random
import re
import string
import uuid

import pytest

from unit.redact.corpus import lines
from unit.redact.samples import base58, base58check, bech32
from veildesk.redact.engine import find

_ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "L": string.ascii_lowercase + string.digits,
    "U": string.ascii_uppercase + string.digits,
    "H": "0123456789abcdef",
    "X": "0123456789ABCDEF",
    "W": string.ascii_letters + string.digits + "_-",
    "B": string.ascii_letters + string.digits + "+/",
    "Z": string.ascii_letters,
    "D": string.digits,
    "T": string.ascii_uppercase + "234567",
}


def made(form: str, rng: random.Random) -> str:
    """A value of a form such as `ghp_{A36}`; both its ends are letters or digits, as most are."""

    def run(match: re.Match[str]) -> str:
        alphabet, length = _ALPHABETS[match[1]], int(match[2])
        inner = "".join(rng.choice(alphabet) for _ in range(length))
        edge = [char for char in alphabet if char.isalnum()]
        return rng.choice(edge) + inner[1:-1] + rng.choice(edge) if length > 1 else inner

    value = re.sub(r"\{([A-Z])([0-9]+)\}", run, form)
    return value.replace("{uuid}", str(uuid.UUID(int=rng.getrandbits(128), version=4)))


_PLACES = ("it prints {} and then it stops", '  "value": "{}",', "日志里面有{}然后崩溃")


@pytest.mark.parametrize("row", lines("issuers.tsv"), ids=lambda row: row.partition("\t")[0])
def test_key_is_found_without_a_word_for_it(row: str) -> None:
    name, _, form = row.partition("\t")
    rng = random.Random(name)
    kept = 0
    values = [made(form, rng) for _ in range(4)]
    for number, value in enumerate(values):
        text = _PLACES[number % len(_PLACES)].format(value)
        start = text.index(value)
        end = start + len(value.rstrip("="))
        whole = any(f.start <= start and f.end >= end for f in find(text))
        kept += not whole
    assert kept <= len(values) // 4, "a rule may miss a value that looks by chance like words, not a form"


def _octets(rng: random.Random, length: int) -> bytes:
    return bytes(rng.randrange(256) for _ in range(length))


def _squashed(data: bytes) -> list[int]:
    number = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    count = (len(data) * 8 + 4) // 5
    return [number >> 5 * (count - 1 - place) & 31 for place in range(count)]


_PREFIXES = (
    "ex lq sp note nevent naddr ltcmweb dgb pool axelar secret stars akash dydx neutron noble sei stride "
    "cro zil avax xch iota ckb grin hs kujira"
)


@pytest.mark.parametrize("prefix", _PREFIXES.split())
def test_address_of_any_coin_with_a_bech32_sum(prefix: str) -> None:
    rng = random.Random(prefix)
    value = bech32(prefix, _squashed(_octets(rng, 20)), modern=rng.random() < 0.5)
    text = f"sent it to {value}, nothing came"
    assert [(f.type, text[f.start : f.end]) for f in find(text)] == [("WALLET", value)]


def test_secret_keys_with_a_bech32_sum() -> None:
    value = bech32("suiprivkey", _squashed(_octets(random.Random(1), 33)))
    assert [f.type for f in find(f"imported {value} today")] == ["PRIVKEY"]


_VERSIONS = {
    "Liquid": ("0c27", 53, "WALLET"),
    "Ravencoin": ("3c", 20, "WALLET"),
    "Neo": ("35", 20, "WALLET"),
    "Tezos seed": ("0d0f3a07", 32, "PRIVKEY"),
    "Tezos secret": ("2bf64e07", 64, "PRIVKEY"),
    "Tezos public": ("0d0f25d9", 32, "WALLET"),
}


@pytest.mark.parametrize("coin", _VERSIONS)
def test_address_of_any_coin_with_a_base58_sum(coin: str) -> None:
    version, length, type_ = _VERSIONS[coin]
    value = base58check(bytes.fromhex(version) + _octets(random.Random(coin), length))
    assert [(f.type, f.end - f.start) for f in find(f"here: {value} ok")] == [(type_, len(value))]


def test_key_pair_in_base58_unless_it_is_called_a_signature() -> None:
    value = base58(b"\x41" + _octets(random.Random(4), 63))
    assert [f.type for f in find(f"exported {value} yesterday")] == ["PRIVKEY"]
    assert "PRIVKEY" not in {f.type for f in find(f"tx signature {value}")}


_SAID = (
    "Guten Tag, mein Acme-Schlüssel lautet {} und wird abgelehnt.",
    "Bonjour, ma clé Acme est {} mais elle est refusée.",
    "Здравствуйте, мой ключ Acme: {} больше не работает.",
    "Here is the new key for Acme:\n\n{}\n\nPlease check.",
    "> my Acme key is\n> {}\n",
    "const client = new Acme('{}');",
)


@pytest.mark.parametrize("form", ["{H32}", "{H40}", "{uuid}", "{A24}", "{L32}", "{A40}"])
@pytest.mark.parametrize("sentence", _SAID)
def test_value_behind_a_bare_word_for_a_key(sentence: str, form: str) -> None:
    rng = random.Random(sentence + form)
    hidden = 0
    for _ in range(8):
        value = made(form, rng)
        text = sentence.format(value)
        start = text.index(value)
        hidden += any(f.start <= start and f.end >= start + len(value) for f in find(text))
    assert hidden >= 7, "a value that looks by chance like words may stay, not a form"
