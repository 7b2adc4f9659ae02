"""Secret keys that this process may use: unprotected Curve25519 and Ed25519 keys and nothing else.

RSA keys are left with gpg: the library's RSA is not constant in time (RUSTSEC-2023-0071). Keys with a
passphrase and stubs of tokens are left out too. A form that is not known exactly is no error: gpg has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openpgp.composed import SignedSecretKey
from openpgp.errors import Error as LibraryError

from veildesk.core.errors import VeildeskError
from veildesk.openpgp.decryption import DecryptionKey, ecdh_parameters, held_here
from veildesk.openpgp.packets import (
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SECRET_KEY,
    SECRET_SUBKEY,
    Packet,
    fingerprint_of,
    split_packets,
)

__all__ = ["SecretKeys", "read_secret_keys"]

_ECDH, _EDDSA, _X25519, _ED25519 = 18, 22, 25, 27
_SIGNING = frozenset({_EDDSA, _ED25519})
_OID = bytes.fromhex("0a2b060104019755010501")
_UNPROTECTED = 0


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """`decryption` keys in order; `signing` maps the fingerprint of a key or subkey to the library's form, or
    to one that asks gpg-agent."""

    decryption: tuple[DecryptionKey, ...] = ()
    signing: dict[str, Any] = field(default_factory=dict, repr=False)


def read_secret_keys(data: bytes) -> SecretKeys:
    """Keys in binary transferable secret keys (RFC 9580 § 10.2) that can be used here."""
    decryption: list[DecryptionKey] = []
    signing: dict[str, Any] = {}
    for packets in _transferable(data):
        for packet in packets:
            if packet.tag in (SECRET_KEY, SECRET_SUBKEY) and (key := _decryption_key(packet)) is not None:
                decryption.append(key)
        signing.update(_signing_keys(b"".join(one.raw for one in packets)))
    return SecretKeys(tuple(decryption), signing)


def _transferable(data: bytes) -> Iterator[list[Packet]]:
    """Packets of one transferable secret key after another."""
    packets: list[Packet] = []
    try:
        for packet in split_packets(data):
            if packet.tag == SECRET_KEY and packets:
                yield packets
                packets = []
            packets.append(packet)
    except VeildeskError:
        return
    if packets:
        yield packets


def _decryption_key(packet: Packet) -> DecryptionKey | None:
    body = packet.body
    algorithm = body[5] if len(body) > 6 else 0
    start = 10 if body[:1] == b"\x06" else 6
    try:
        if algorithm == _ECDH and body[0] == 4 and body[start : start + 11] == _OID:
            return _legacy(packet, start + 11)
        if algorithm == _X25519:
            public, protection, secret = body[start : start + 32], body[start + 32], body[start + 33 :][:32]
            return _key(packet, _X25519, start + 32, protection, secret, public, public)
    except (IndexError, ValueError):
        return None
    return None


def _legacy(packet: Packet, at: int) -> DecryptionKey | None:
    """ECDH with Curve25519Legacy (RFC 9580 § 5.5.5.6): the scalar is a big-endian MPI."""
    body = packet.body
    size = (int.from_bytes(body[at : at + 2], "big") + 7) // 8
    point, at = body[at + 2 : at + 2 + size], at + 2 + size
    kdf, at = ecdh_parameters(body), at + 4
    if kdf is None:
        return None
    length = (int.from_bytes(body[at + 1 : at + 3], "big") + 7) // 8
    scalar = body[at + 3 : at + 3 + length].rjust(32, b"\x00")[::-1]
    return _key(packet, _ECDH, at, body[at], scalar, point[1:], kdf)


def _key(
    packet: Packet, algorithm: int, end: int, protection: int, secret: bytes, public: bytes, parameters: bytes
) -> DecryptionKey | None:
    """A key whose secret part lies unprotected and belongs to its public part."""
    if protection != _UNPROTECTED or len(secret) != 32:
        return None
    private = X25519PrivateKey.from_private_bytes(secret)
    if private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != public:
        return None
    tag = PUBLIC_KEY if packet.tag == SECRET_KEY else PUBLIC_SUBKEY
    half = Packet(tag, packet.body[:end], b"")
    return DecryptionKey(fingerprint_of(half), algorithm, parameters, exchange=held_here(private))


def _signing_keys(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        whole = SignedSecretKey.from_bytes(data)
        candidates: list[tuple[Any, Any]] = [
            (whole.primary_key, whole),
            *((one.key, one) for one in whole.secret_subkeys),
        ]
    except LibraryError:
        return found
    for key, usable in candidates:
        if key.algorithm.id in _SIGNING and key.secret_s2k.usage_id == _UNPROTECTED:
            found[key.fingerprint.upper()] = usable
    return found
