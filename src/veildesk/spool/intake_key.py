"""The intake key: who only accepts can seal a new ticket's data key with it, and open nothing.

Each epoch has an HPKE key pair (RFC 9180, KEM ML-KEM-768 with X25519), derived from the epoch key, so that
it ends with it. The public half lies in the database beside the epoch. A tag under the *intake secret*,
which every accepting process has, keeps who can write there from putting a half of his own in its place.

Wrapped key: version 2, then encapsulated key and ciphertext of 32 bytes. Public half: version 1, ML-KEM-768
(1184), X25519 (32).
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from veildesk.core.errors import KeyUnusable

__all__ = ["VERSION", "check_public", "open_key", "public_half", "seal_key", "tag_of"]

VERSION = 2
"""First byte of a data key that was wrapped by the public half."""

_HPKE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_MLKEM_PUBLIC, _MLKEM_SEED, _X25519 = 1184, 64, 32


@lru_cache(maxsize=4)
def _pair(epoch_key: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    length = _MLKEM_SEED + _X25519
    seed = HKDFExpand(hashes.SHA256(), length, info=b"veildesk intake key v1").derive(epoch_key)
    return (
        MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED]),
        X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED:]),
    )


def public_half(epoch_key: bytes) -> bytes:
    """The public half of an epoch."""
    mlkem, x25519 = _pair(epoch_key)
    return b"\x01" + mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def tag_of(intake_secret: bytes, epoch: int, public: bytes) -> bytes:
    """What shows that a public half is this gateway's and of this epoch."""
    return hmac.digest(
        intake_secret, b"veildesk intake public|" + epoch.to_bytes(4, "big") + public, "sha256"
    )


def check_public(intake_secret: bytes, epoch: int, public: bytes | None, tag: bytes | None) -> bytes:
    """The public half, if its tag is right. Raises `KeyUnusable`."""
    if public is None or tag is None or not hmac.compare_digest(tag_of(intake_secret, epoch, public), tag):
        raise KeyUnusable("the store's intake key is not this gateway's")
    return public


def _bound(epoch: int, ticket: str) -> bytes:
    return b"veildesk data key v2" + epoch.to_bytes(4, "big") + ticket.encode()


def seal_key(public: bytes, epoch: int, ticket: str, data_key: bytes) -> bytes:
    """Wrap a data key so that only the key ring opens it. Raises `KeyUnusable` for no public half."""
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public[1 : 1 + _MLKEM_PUBLIC])
        x25519 = X25519PublicKey.from_public_bytes(public[1 + _MLKEM_PUBLIC :])
        key = hpke.MLKEM768X25519PublicKey(mlkem, x25519)
        return bytes([VERSION]) + _HPKE.encrypt(data_key, key, info=_bound(epoch, ticket))
    except ValueError:
        raise KeyUnusable("intake key not valid") from None


def open_key(epoch_key: bytes, epoch: int, ticket: str, wrapped: bytes) -> bytes:
    """Unwrap what `seal_key` made. Raises `KeyUnusable`."""
    private = hpke.MLKEM768X25519PrivateKey(*_pair(epoch_key))
    try:
        return _HPKE.decrypt(wrapped[1:], private, info=_bound(epoch, ticket))
    except (InvalidTag, ValueError):
        raise KeyUnusable("wrapped key does not open") from None
