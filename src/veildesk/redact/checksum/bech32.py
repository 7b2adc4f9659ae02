"""The checksum of BIP-173 (bech32) and BIP-350 (bech32m), for any human-readable part.

Taproot addresses are bech32m; age and nostr keys and Cardano addresses are longer than the 90
characters of BIP-173, so no length limit is kept here.
"""

from __future__ import annotations

__all__ = ["CHARSET", "cash_valid", "valid"]

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_INDEX = {char: i for i, char in enumerate(CHARSET)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONSTANTS = (1, 0x2BC830A3)


def _fold(top: int) -> int:
    """What the five bits that leave the register change in it."""
    check = 0
    for i, generator in enumerate(_GENERATORS):
        check ^= generator if top >> i & 1 else 0
    return check


_FOLDS = tuple(map(_fold, range(32)))


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _FOLDS[check >> 25]
    return check


def valid(text: str) -> bool:
    """Whether `text` (one case only) carries a true bech32 or bech32m checksum."""
    if text not in (text.lower(), text.upper()):
        return False
    text = text.lower()
    prefix, separator, data = text.rpartition("1")
    if not separator or not prefix or len(data) < 6:
        return False
    values = [_INDEX.get(char, -1) for char in data]
    if -1 in values:
        return False
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    return _polymod(expanded + values) in _CONSTANTS


_CASH = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)


def cash_valid(prefix: str, data: str) -> bool:
    """Whether `prefix:data` has a true sum (CashAddr specification of Bitcoin Cash)."""
    value = 1
    for digit in [*(ord(char) & 31 for char in prefix), 0, *map(CHARSET.find, data)]:
        top = value >> 35
        value = (value & 0x07FFFFFFFF) << 5 ^ digit
        for i, generator in enumerate(_CASH):
            value ^= generator if top >> i & 1 else 0
    return value == 1
