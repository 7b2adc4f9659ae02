"""The fields of a signature packet (RFC 9580 § 5.2.3), as far as a verdict needs them.

Only hashed subpackets count, except for the issuer, which is a hint that the verification itself checks.
Whatever could be read in two ways is `Declined`: another engine decides then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from veildesk.openpgp.declining import Declined

__all__ = ["HASHES", "STRONG_HASHES", "SignatureFields", "intended_recipients", "read_signature"]

HASHES = {
    1: "md5",
    2: "sha1",
    3: "ripemd160",
    8: "sha256",
    9: "sha384",
    10: "sha512",
    11: "sha224",
    12: "sha3-256",
    14: "sha3-512",
}
STRONG_HASHES = frozenset({8, 9, 10, 12, 14})

CREATED, EXPIRES, KEY_EXPIRES, REVOCATION_KEY, ISSUER = 2, 3, 9, 12, 16
PRIMARY_USER_ID, KEY_FLAGS, FEATURES, EMBEDDED, ISSUER_FINGERPRINT, INTENDED = 25, 27, 30, 32, 33, 35
# Known, and of no consequence for a verdict: exportable, trust, regular expression, revocable, preferences,
# notation, servers, policy, signer's user id, reason, target, preferred AEAD.
_HARMLESS = frozenset({4, 5, 6, 7, 11, 20, 21, 22, 23, 24, 26, 28, 29, 31, 34, 39})
_ONCE = frozenset({CREATED, EXPIRES, KEY_EXPIRES, KEY_FLAGS, FEATURES, PRIMARY_USER_ID, ISSUER_FINGERPRINT})
_READ = frozenset({REVOCATION_KEY, ISSUER, EMBEDDED, INTENDED}) | _ONCE
_CRITICAL_HARMLESS = _HARMLESS - {6, 20}
_SALT_SIZES = {8: 16, 9: 24, 10: 32, 11: 16, 12: 16, 14: 32}


@dataclass(frozen=True, slots=True)
class SignatureFields:
    """Times are seconds; `expires_after` and `key_expires_after` count from creation, 0 is never.

    `issuer` is a fingerprint or, where there is none, a key id (upper-case hex).
    """

    version: int
    kind: int
    algorithm: int
    hash_id: int
    created: int
    issuer: str
    expires_after: int = 0
    key_expires_after: int = 0
    key_flags: int | None = None
    features: int = 0
    primary: bool = False
    embedded: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def expires(self) -> int | None:
        """When the signature ends, None for never."""
        return self.created + self.expires_after if self.expires_after else None


def read_signature(body: bytes) -> SignatureFields:
    """Fields of one signature packet. Raises `Declined`."""
    if len(body) < 10 or body[0] not in (4, 6):
        raise Declined("signature-version")
    width = 2 if body[0] == 4 else 4
    hashed, at = _area(body, 4, width)
    unhashed, at = _area(body, at, width)
    if body[0] == 6 and (at + 2 >= len(body) or body[at + 2] != _SALT_SIZES.get(body[3])):
        raise Declined("signature-salt")
    found: dict[int, list[bytes]] = {}
    for number, critical, value in _subpackets(hashed):
        if number not in _READ and number not in (_CRITICAL_HARMLESS if critical else _HARMLESS):
            # Unknown ones are ignored unless critical (§ 5.2.3.7).
            if critical:
                raise Declined("subpacket-critical")
            continue
        found.setdefault(number, []).append(value)
    if any(len(found.get(number, ())) > 1 for number in _ONCE) or REVOCATION_KEY in found:
        raise Declined("subpacket-repeated")
    hints = [(number, value) for number, _, value in _subpackets(unhashed)]
    return SignatureFields(
        version=body[0],
        kind=body[1],
        algorithm=body[2],
        hash_id=body[3],
        created=_number(found, CREATED),
        issuer=_issuer(body[0], found, hints),
        expires_after=_number(found, EXPIRES, 0),
        key_expires_after=_number(found, KEY_EXPIRES, 0),
        key_flags=_flags(found[KEY_FLAGS][0]) if KEY_FLAGS in found else None,
        features=_flags(found[FEATURES][0]) if FEATURES in found else 0,
        primary=found.get(PRIMARY_USER_ID, [b"\x00"])[0] != b"\x00",
        embedded=tuple(found.get(EMBEDDED, ())) + tuple(value for n, value in hints if n == EMBEDDED),
    )


def intended_recipients(body: bytes) -> frozenset[str]:
    """Primary fingerprints that a signature says it was encrypted for; empty when it says nothing.

    A signature that names others was taken out of a message to them and encrypted anew to us, to look as if
    it had been meant for us (RFC 9580 § 5.2.3.36).
    """
    try:
        area, _ = _area(body, 4, 2 if body[:1] == b"\x04" else 4)
        return frozenset(v[1:].hex().upper() for number, _, v in _subpackets(area) if number == INTENDED)
    except Declined:
        return frozenset()


def _area(body: bytes, at: int, width: int) -> tuple[bytes, int]:
    start = at + width
    end = start + int.from_bytes(body[at:start], "big")
    if end > len(body):
        raise Declined("signature-length")
    return body[start:end], end


def _subpackets(area: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Number, whether critical, value (§ 5.2.3.7)."""
    at = 0
    while at < len(area):
        first = area[at]
        if first < 192:
            length, at = first, at + 1
        elif first < 255:
            if at + 2 > len(area):
                raise Declined("subpacket-length")
            length, at = ((first - 192) << 8) + area[at + 1] + 192, at + 2
        else:
            length, at = int.from_bytes(area[at + 1 : at + 5], "big"), at + 5
        if length < 1 or at + length > len(area):
            raise Declined("subpacket-length")
        yield area[at] & 0x7F, bool(area[at] & 0x80), area[at + 1 : at + length]
        at += length


def _number(found: dict[int, list[bytes]], number: int, default: int | None = None) -> int:
    values = found.get(number)
    if values is None:
        if default is None:
            raise Declined("subpacket-missing")
        return default
    if len(values[0]) != 4:
        raise Declined("subpacket-size")
    return int.from_bytes(values[0], "big")


def _flags(value: bytes) -> int:
    """Flag octets, the first one lowest."""
    return int.from_bytes(value[:4], "little")


def _issuer(version: int, found: dict[int, list[bytes]], hints: list[tuple[int, bytes]]) -> str:
    """Who says to have signed; all places that say it must agree."""
    prints = found.get(ISSUER_FINGERPRINT, []) + [value for n, value in hints if n == ISSUER_FINGERPRINT]
    ids = found.get(ISSUER, []) + [value for n, value in hints if n == ISSUER]
    names = {_fingerprint(value) for value in prints}
    short = {value.hex().upper() for value in ids}
    if len(names) > 1 or len(short) > 1:
        raise Declined("issuer-ambiguous")
    if names and short:
        (name,), (key_id,) = names, short
        if key_id != (name[-16:] if len(name) == 40 else name[:16]):
            raise Declined("issuer-ambiguous")
    # gpg knows the key of a version 4 signature by its id alone.
    if not (short if version == 4 else names):
        raise Declined("issuer-missing")
    return next(iter(names or short))


def _fingerprint(value: bytes) -> str:
    if (len(value), value[:1]) not in ((21, b"\x04"), (33, b"\x06")):
        raise Declined("issuer-form")
    return value[1:].hex().upper()
