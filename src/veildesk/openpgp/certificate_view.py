"""A certificate's keys, user ids and their state, read by one strict rule set (RFC 9580 § 10.1).

Every self-signature that decides something is verified by rPGP, each by itself; what it decides (expiry,
revocation, what a key may do) is judged here, because the library leaves that to its callers. A certificate
that is not plain is `Declined`: weak or doubtful self-signatures, revoked user ids, designated revokers,
photographs, and any two places that tell a different expiry. gpg knows what to make of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openpgp.composed import SignedPublicKey
from openpgp.errors import Error as LibraryError
from openpgp.packet import Packet as LibraryPacket

from veildesk.core.ports import CertificateStatus
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.key_listing import address_of
from veildesk.openpgp.packets import (
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ID,
    Certificate,
    Packet,
    fingerprint_of,
    split_packets,
)
from veildesk.openpgp.signature_packet import STRONG_HASHES, SignatureFields, read_signature

__all__ = ["CertificateView", "KeyPart", "key_fingerprints", "read_view"]

RSA, ECDH, ECDSA, EDDSA, X25519, ED25519 = 1, 18, 19, 22, 25, 27
_SUPPORTED = frozenset({RSA, ECDH, ECDSA, EDDSA, X25519, ED25519})
_SIGN, _ENCRYPT = 0x02, 0x0C
_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
_USER_ID_REVOCATION, _BINDING, _BACK, _DIRECT = 0x30, 0x18, 0x19, 0x1F
_KEY_REVOCATION, _SUBKEY_REVOCATION = 0x20, 0x28
_RSA_BITS = 2048
_MAX_PACKETS = 300


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A primary key or subkey. `expires` is seconds since 1970, None for never; `key` verifies."""

    fingerprint: str
    algorithm: int
    created: int
    expires: int | None
    revoked: bool
    flags: int
    key: Any = field(repr=False)

    def expired(self, at: int) -> bool:
        """Whether it is past its end at this moment."""
        return self.expires is not None and self.expires <= at

    def usable(self, at: int) -> bool:
        """Whether it is neither past its end, nor revoked, nor not yet made."""
        return not self.revoked and not self.expired(at) and self.created <= at

    @property
    def can_sign(self) -> bool:
        """Whether it may sign data."""
        return bool(self.flags & _SIGN) and self.algorithm not in (ECDH, X25519)

    @property
    def can_encrypt(self) -> bool:
        """Whether data may be encrypted to it."""
        return bool(self.flags & _ENCRYPT) and self.algorithm in (RSA, ECDH, X25519)


@dataclass(frozen=True, slots=True)
class CertificateView:
    """`parts` begins with the primary key. `key` is the library's form; `aead` whether SEIPD 2 is wanted."""

    fingerprint: str
    parts: tuple[KeyPart, ...]
    addresses: tuple[str, ...]
    key: Any = field(repr=False)
    aead: bool = False

    @property
    def primary(self) -> KeyPart:
        """The key that certifies the others."""
        return self.parts[0]

    def signing(self, at: int) -> KeyPart | None:
        """The part to sign with: the newest usable subkey, else the primary key."""
        return self._newest(at, lambda part: part.can_sign)

    def encryption(self, at: int) -> KeyPart | None:
        """The part to encrypt to: the newest usable subkey."""
        return self._newest(at, lambda part: part.can_encrypt)

    def _newest(self, at: int, fits: Callable[[KeyPart], bool]) -> KeyPart | None:
        if not self.primary.usable(at):
            return None
        fitting = [part for part in self.parts[1:] if fits(part) and part.usable(at)]
        if fitting:
            return max(fitting, key=lambda part: part.created)
        return self.primary if fits(self.primary) else None

    def status(self, at: int) -> CertificateStatus:
        """What the certificate is good for at this moment. Raises `Declined` before it was made."""
        if self.primary.created > at:
            raise Declined("certificate-not-yet")
        revoked = self.primary.revoked
        return CertificateStatus(
            self.fingerprint,
            () if revoked else self.addresses,
            can_encrypt=self.encryption(at) is not None,
            can_sign=self.signing(at) is not None,
            expired=not revoked and self.primary.expired(at),
            revoked=revoked,
            expires=self.primary.expires,
            signing=tuple(one.fingerprint for one in self.parts if one is self.primary or one.can_sign),
        )


@dataclass(slots=True)
class _Group:
    """One key or user id and the signatures that follow it."""

    packet: Packet
    signatures: list[tuple[Packet, SignatureFields]] = field(default_factory=list)


def key_fingerprints(data: bytes, *, ours: bool = False) -> tuple[str, ...]:
    """Fingerprints of all keys in a certificate, primary first; nothing is verified.

    Unless it is one of ours, raises `Declined` for a key that is written oddly, such as with a number that
    claims another length than it has: programs put it right in silence before they hash it, and then know it
    by another fingerprint.
    """
    tags = (PUBLIC_KEY, PUBLIC_SUBKEY)
    found: list[str] = []
    for packet in split_packets(data):
        if packet.tag in tags:
            found.append(fingerprint_of(packet))
            if ours:
                continue
            try:
                known = str(_library(packet.tag, packet.body).fingerprint).upper()
            except LibraryError:
                raise Declined("key-form") from None
            if known != found[-1]:
                raise Declined("key-form")
    return tuple(found)


def read_view(certificate: Certificate, now: int) -> CertificateView:
    """Verify and judge a certificate. Raises `Declined`."""
    try:
        return _read(certificate, now)
    except LibraryError:
        raise Declined("certificate-signature") from None


def _read(certificate: Certificate, now: int) -> CertificateView:
    primary, names, subkeys = _groups(certificate, now)
    direct = _newest(one for one in primary.signatures if one[1].kind == _DIRECT)
    revocations = [one for one in primary.signatures if one[1].kind == _KEY_REVOCATION]
    if len(revocations) + (direct is not None) < len(primary.signatures) and any(
        one[1].kind not in (_DIRECT, _KEY_REVOCATION) for one in primary.signatures
    ):
        raise Declined("certificate-direct")
    key = _library(PUBLIC_KEY, primary.packet.body)
    for packet, _ in [*revocations, *([direct] if direct else [])]:
        _library(SIGNATURE, packet.body).verify_key(key)
    deciding = _deciding(primary.packet, direct, names)
    addresses = _addresses(names)
    created = _created(primary.packet)
    main = _part(primary.packet, key, deciding, created, bool(revocations), None)
    parts = [main, *(_subkey(primary.packet, key, one, main) for one in subkeys)]
    whole = SignedPublicKey.from_bytes(certificate.data)
    return CertificateView(
        certificate.fingerprint, tuple(parts), addresses, whole, bool(deciding.features & 8)
    )


def _groups(certificate: Certificate, now: int) -> tuple[_Group, list[_Group], list[_Group]]:
    groups: list[_Group] = []
    for count, packet in enumerate(split_packets(certificate.data)):
        if count >= _MAX_PACKETS:
            raise Declined("certificate-size")
        if packet.tag != SIGNATURE:
            groups.append(_Group(packet))
        elif (fields := _self_signature(packet, certificate.fingerprint, now)) is not None:
            keys = [one.packet for one in (groups[0], groups[-1]) if one.packet.tag != USER_ID]
            if fields.created < max(map(_created, keys)):
                raise Declined("self-signature-before-key")
            groups[-1].signatures.append((packet, fields))
    tags = [one.packet.tag for one in groups]
    names = [one for one in groups if one.packet.tag == USER_ID]
    subkeys = [one for one in groups if one.packet.tag == PUBLIC_SUBKEY]
    if tags != [PUBLIC_KEY] + [USER_ID] * len(names) + [PUBLIC_SUBKEY] * len(subkeys):
        raise Declined("certificate-structure")
    return groups[0], [one for one in names if one.signatures], [one for one in subkeys if one.signatures]


def _self_signature(packet: Packet, fingerprint: str, now: int) -> SignatureFields | None:
    """Fields of a signature by the primary key itself; None for anybody else's."""
    fields = read_signature(packet.body)
    short = fingerprint[-16:] if len(fingerprint) == 40 else fingerprint[:16]
    if fields.issuer not in (fingerprint, short):
        if fields.kind in (_KEY_REVOCATION, _SUBKEY_REVOCATION, _USER_ID_REVOCATION):
            raise Declined("revocation-by-others")
        return None
    if fields.hash_id not in STRONG_HASHES or fields.created > now or fields.expires_after:
        raise Declined("self-signature")
    return fields


def _newest(
    signatures: Iterator[tuple[Packet, SignatureFields]],
) -> tuple[Packet, SignatureFields] | None:
    return max(signatures, key=lambda one: one[1].created, default=None)


def _deciding(
    primary: Packet, direct: tuple[Packet, SignatureFields] | None, names: Sequence[_Group]
) -> SignatureFields:
    """The signature that tells the primary key's expiry and use; all that tell it must agree."""
    telling: list[SignatureFields] = []
    for group in names:
        if any(one[1].kind not in _CERTIFICATIONS for one in group.signatures):
            raise Declined("user-id-revoked")
        newest = _newest(iter(group.signatures))
        assert newest is not None
        _check_user_id(primary, group.packet, newest[0])
        telling.append(newest[1])
    if direct is not None and (primary.body[:1] == b"\x06" or direct[1].key_flags is not None):
        telling = [direct[1]] if primary.body[:1] == b"\x06" else [direct[1], *telling]
    if not telling or len({(one.key_flags, one.key_expires_after) for one in telling}) != 1:
        raise Declined("certificate-ambiguous")
    return telling[0]


def _check_user_id(primary: Packet, name: Packet, signature: Packet) -> None:
    """The library verifies certifications only of whole certificates, so it gets one with nothing else."""
    alone = SignedPublicKey.from_bytes(primary.raw + name.raw + signature.raw)
    if [len(user.signatures) for user in alone.details.users] != [1]:
        raise Declined("user-id")
    alone.verify_bindings()


def _addresses(names: Sequence[_Group]) -> tuple[str, ...]:
    def first(group: _Group) -> bool:
        newest = _newest(iter(group.signatures))
        return newest is None or not newest[1].primary

    found = [address_of(group.packet.body) for group in sorted(names, key=first)]
    return tuple(dict.fromkeys(one for one in found if one))


def _subkey(primary: Packet, key: Any, group: _Group, main: KeyPart) -> KeyPart:
    """A subkey; it never outlives the primary key."""
    binding = _newest(one for one in group.signatures if one[1].kind == _BINDING)
    revocations = [one[0] for one in group.signatures if one[1].kind == _SUBKEY_REVOCATION]
    if binding is None or any(one[1].kind not in (_BINDING, _SUBKEY_REVOCATION) for one in group.signatures):
        raise Declined("subkey-signature")
    bound = _library(PUBLIC_SUBKEY, group.packet.body)
    for packet in [binding[0], *revocations]:
        _library(SIGNATURE, packet.body).verify_subkey_binding(key, bound)
    if (binding[1].key_flags or 0) & (_SIGN | 0x01):
        _check_back_signature(binding[1], key, bound)
    # As a primary key's packet it can be asked to verify data; the body is the same (§ 5.5.1.2).
    as_key = _library(PUBLIC_KEY, group.packet.body)
    created = _created(group.packet)
    return _part(group.packet, as_key, binding[1], created, bool(revocations) or main.revoked, main.expires)


def _check_back_signature(binding: SignatureFields, primary: Any, subkey: Any) -> None:
    """A key that signs must have signed that it belongs here (§ 5.2.1.9)."""
    if len(binding.embedded) != 1:
        raise Declined("back-signature")
    fields = read_signature(binding.embedded[0])
    if fields.kind != _BACK or fields.hash_id not in STRONG_HASHES or fields.expires_after:
        raise Declined("back-signature")
    _library(SIGNATURE, binding.embedded[0]).verify_primary_key_binding(subkey, primary)


def _part(
    packet: Packet, key: Any, fields: SignatureFields, created: int, revoked: bool, limit: int | None
) -> KeyPart:
    algorithm = packet.body[5]
    if str(key.fingerprint).upper() != fingerprint_of(packet):
        raise Declined("key-form")
    if algorithm not in _SUPPORTED or key.public_params.is_supported is False:
        raise Declined("key-algorithm")
    if algorithm == RSA and (key.public_params.rsa_bits or 0) < _RSA_BITS:
        raise Declined("key-size")
    if fields.key_flags is None:
        raise Declined("key-flags")
    ends = [one for one in (limit, created + fields.key_expires_after) if one is not None]
    expires = min(ends) if fields.key_expires_after else limit
    return KeyPart(fingerprint_of(packet), algorithm, created, expires, revoked, fields.key_flags, key)


def _created(packet: Packet) -> int:
    return int.from_bytes(packet.body[1:5], "big")


def _library(tag: int, body: bytes) -> Any:
    """The library's object for one packet."""
    framed = bytes((0xC0 | tag, 255)) + len(body).to_bytes(4, "big") + body
    return LibraryPacket.from_bytes(framed).value
