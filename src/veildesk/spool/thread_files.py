"""Files of answers in portal threads: sealed in pieces, so that nobody has to hold a whole one to send it.

A file has a random key of its own. The key lies in a thread entry, which only the ticket words open, so
new words need no new sealing of files. Pieces are AES-256-GCM (NIST SP 800-38D) with the number as nonce,
which repeats under no key; number and count are bound to each, so that none can be moved or left out.

The content is padded first, in steps of at most 12 %; its length stands in the entry. Piece: version 1,
ciphertext with tag.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from veildesk.core.errors import AuthenticationFailed
from veildesk.core.thread_entry import SealedFile
from veildesk.spool.sealing import padded_length

__all__ = ["PIECE", "open_piece", "seal_file"]

PIECE: Final = 1024 * 1024
"""Bytes of plaintext in a piece; the last has fewer."""

_VERSION: Final = b"\x01"


def seal_file(content: bytes) -> SealedFile:
    """Seal a file under a fresh key."""
    key = secrets.token_bytes(32)
    cipher, padded = AESGCM(key), padded_length(len(content))
    count = -(-padded // PIECE)
    pieces = []
    for number in range(count):
        length = min(PIECE, padded - number * PIECE)
        piece = content[number * PIECE : number * PIECE + length].ljust(length, b"\0")
        pieces.append(_VERSION + cipher.encrypt(_nonce(number), piece, _bound(number, count)))
    return SealedFile(key, tuple(pieces))


def open_piece(key: bytes, number: int, pieces: int, sealed: bytes) -> bytes:
    """Piece `number` of `pieces`, the last with its padding. Raises `AuthenticationFailed`."""
    if sealed[:1] != _VERSION or len(key) != 32 or not 0 <= number < pieces:
        raise AuthenticationFailed("piece of a file of an unknown version")
    try:
        return AESGCM(key).decrypt(_nonce(number), sealed[1:], _bound(number, pieces))
    except (InvalidTag, ValueError):
        raise AuthenticationFailed("piece of a file does not open") from None


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(number: int, count: int) -> bytes:
    return b"veildesk thread file v1|" + number.to_bytes(4, "big") + count.to_bytes(4, "big")
