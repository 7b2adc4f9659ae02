"""Base58 with its double SHA-256 checksum (Base58Check) and the Monero block form.

Only decoding and checking: whether a text is an address is decided by its checksum, not by whether
a point lies on a curve, since a mistyped address is worth hiding all the same.
"""

from __future__ import annotations

import hashlib

__all__ = ["BITCOIN", "RIPPLE", "check", "decode", "monero_network"]

BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"

_INDEX = {alphabet: {char: i for i, char in enumerate(alphabet)} for alphabet in (BITCOIN, RIPPLE)}
_CHUNK = 10
_POWERS = tuple(58**n for n in range(_CHUNK + 1))
_XMR_BLOCKS = {2: 1, 3: 2, 5: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8}


def decode(text: str, alphabet: str = BITCOIN) -> bytes | None:
    """The bytes of a base58 text of at most 200 characters, None if it is none."""
    if not text or len(text) > 200:
        return None
    index = _INDEX[alphabet]
    number = 0
    try:
        for start in range(0, len(text), _CHUNK):  # small numbers first: long ones are slow to multiply
            part = 0
            for char in text[start : start + _CHUNK]:
                part = part * 58 + index[char]
            number = number * _POWERS[min(_CHUNK, len(text) - start)] + part
    except KeyError:
        return None
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def check(text: str, alphabet: str = BITCOIN) -> bytes | None:
    """The payload (version byte first) if the last four bytes are its checksum, else None."""
    data = decode(text, alphabet)
    if data is None or len(data) < 5:
        return None
    payload, sum_ = data[:-4], data[-4:]
    digest = hashlib.sha256(hashlib.sha256(payload).digest()).digest()
    return payload if digest[:4] == sum_ else None


def monero_network(text: str) -> int | None:
    """The network byte of a Monero address (blocks of 11 characters for 8 bytes), None if it is none."""
    first = 0
    for start in range(0, len(text), 11):
        block = text[start : start + 11]
        size = _XMR_BLOCKS.get(len(block))
        number = 0
        for char in block:
            digit = _INDEX[BITCOIN].get(char)
            if digit is None:
                return None
            number = number * 58 + digit
        if size is None or number >> (8 * size):
            return None
        if start == 0:
            first = number >> (8 * (size - 1))
    return first
