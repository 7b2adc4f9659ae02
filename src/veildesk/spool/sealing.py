"""Sealing of rows: pure functions from key, place and bytes to bytes. No I/O.

Rows use AES-256-GCM-SIV (RFC 8452): a repeated random nonce would reveal equality of two texts and
nothing else. The place (ticket, message, part) is bound as associated data, so that a blob moved to
another row does not open. Plaintext is padded so that at most 12 % of its length shows.

Row blob: version 1, nonce (12), ciphertext with tag. Wrapped key: version 1, nonce (12), 48 bytes; or
version 2 by a process that only accepts (`intake_key`).
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from veildesk.core.errors import KeyUnusable
from veildesk.spool import intake_key

__all__ = [
    "Place",
    "new_data_key",
    "open_row",
    "pad",
    "padded_length",
    "seal_row",
    "subkey",
    "unpad",
    "unwrap_key",
    "wrap_key",
]

_VERSION = 1
_NONCE = 12
_SMALLEST = 256


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob belongs. `message` is empty for parts of the ticket itself."""

    ticket: str
    message: str
    part: str

    def bound(self, version: int) -> bytes:
        """Associated data: the version and each field with its length in front."""
        ticket, message, part = self.ticket.encode(), self.message.encode(), self.part.encode()
        lengths = [len(one).to_bytes(2, "big") for one in (ticket, message, part)]
        return bytes([version]) + lengths[0] + ticket + lengths[1] + message + lengths[2] + part


def new_data_key() -> bytes:
    """A ticket's data key: 32 random bytes."""
    return secrets.token_bytes(32)


def subkey(key: bytes, info: bytes) -> bytes:
    """32 bytes for one use (HKDF-Expand with SHA-256, RFC 5869 § 2.3; so short, it is its first block)."""
    return hmac.digest(key, info + b"\x01", "sha256")


def padded_length(length: int) -> int:
    """The length to pad to (Padmé): few distinct values, at most 12 % more, 256 at least."""
    if length <= _SMALLEST:
        return _SMALLEST
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return (length + step - 1) // step * step


def pad(data: bytes) -> bytes:
    """Length in 8 bytes, data, zeros up to `padded_length`."""
    framed = len(data).to_bytes(8, "big") + data
    return framed.ljust(padded_length(len(framed)), b"\0")


def unpad(padded: bytes) -> bytes:
    """The data given to `pad`. The input was authenticated, so its length field is trusted."""
    length = int.from_bytes(padded[:8], "big")
    return padded[8 : 8 + length]


def _seal(key: bytes, data: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return bytes([_VERSION]) + nonce + AESGCMSIV(key).encrypt(nonce, data, bound)


def _open(key: bytes, blob: bytes, bound: bytes) -> bytes:
    if blob[:1] != bytes([_VERSION]) or len(blob) < 1 + _NONCE + 16:
        raise KeyUnusable("sealed blob of an unknown version")
    try:
        return AESGCMSIV(key).decrypt(blob[1 : 1 + _NONCE], blob[1 + _NONCE :], bound)
    except InvalidTag:
        raise KeyUnusable("sealed blob does not open") from None


def seal_row(data_key: bytes, place: Place, data: bytes) -> bytes:
    """Seal one blob for one place."""
    return _seal(subkey(data_key, b"veildesk row v1"), pad(data), place.bound(_VERSION))


def open_row(data_key: bytes, place: Place, blob: bytes) -> bytes:
    """Open a blob. Raises `KeyUnusable` for a wrong key, a wrong place or a changed blob."""
    return unpad(_open(subkey(data_key, b"veildesk row v1"), blob, place.bound(_VERSION)))


def wrap_key(epoch_key: bytes, epoch: int, ticket: str, data_key: bytes) -> bytes:
    """Wrap a ticket's data key under an epoch key, bound to ticket and epoch."""
    return _seal(epoch_key, data_key, b"veildesk data key v1" + epoch.to_bytes(4, "big") + ticket.encode())


def unwrap_key(epoch_key: bytes, epoch: int, ticket: str, wrapped: bytes) -> bytes:
    """Unwrap a ticket's data key, by whom it was wrapped. Raises `KeyUnusable`."""
    if wrapped[:1] == bytes([intake_key.VERSION]):
        return intake_key.open_key(epoch_key, epoch, ticket, wrapped)
    return _open(epoch_key, wrapped, b"veildesk data key v1" + epoch.to_bytes(4, "big") + ticket.encode())
