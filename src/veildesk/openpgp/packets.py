"""Packet headers walked and structures allowed by list (RFC 9580 § 4 and § 10), without any crypto.

Decides before gpg is asked whether bytes are an encrypted message, a signed message, detached
signatures or a certificate, and refuses everything that is not exactly one of these. It looks into
no ciphertext and no compressed data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from veildesk.core.errors import KeyUnusable, LimitExceeded, NotSoundCiphertext, Unparsable
from veildesk.core.message import Integrity
from veildesk.openpgp.armor import find_blocks, outside

__all__ = [
    "LITERAL",
    "Certificate",
    "Kind",
    "Packet",
    "Shape",
    "classify",
    "fingerprint_of",
    "read_certificate",
    "signature_packets",
    "split_packets",
    "whole_body",
    "without_passphrases",
]

MAX_PACKETS = 4096
MAX_SESSION_KEYS = 100
MAX_SIGNATURES = 32
MAX_CERTIFICATE = 1024 * 1024

PKESK, SIGNATURE, SKESK, ONE_PASS, SECRET_KEY, PUBLIC_KEY, SECRET_SUBKEY = 1, 2, 3, 4, 5, 6, 7
COMPRESSED, SED, MARKER, LITERAL, TRUST, USER_ID, PUBLIC_SUBKEY = 8, 9, 10, 11, 12, 13, 14
USER_ATTRIBUTE, SEIPD, GNUPG_OCB, PADDING = 17, 18, 20, 21

_DATA = frozenset({COMPRESSED, SED, LITERAL, SEIPD, GNUPG_OCB})
_IN_CERTIFICATE = frozenset({PUBLIC_KEY, PUBLIC_SUBKEY, USER_ID, USER_ATTRIBUTE, SIGNATURE})


class Kind(StrEnum):
    """What a packet sequence is."""

    ENCRYPTED = "encrypted"
    SIGNED = "signed"
    COMPRESSED = "compressed"
    LITERAL = "literal"
    SIGNATURE = "signature"
    CERTIFICATE = "certificate"
    SECRET = "secret"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. `body` is whole for definite lengths; of partial or open ones only the first chunk.

    `raw` is header and body as they were.
    """

    tag: int
    body: bytes = field(repr=False)
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """Structure of a packet sequence.

    `recipients` are key ids or fingerprints (upper-case hex, zeros when hidden) in order.
    `signatures` counts signature packets that are visible from outside. `modern` marks forms that
    only other programs than GnuPG 2.2 read (RFC 9580 version 6 and SEIPD version 2).
    """

    kind: Kind
    integrity: Integrity | None = None
    recipients: tuple[str, ...] = ()
    passphrases: int = 0
    signatures: int = 0
    modern: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """A transferable public key reduced to packets that belong there; `fingerprint` upper-case hex."""

    fingerprint: str
    data: bytes = field(repr=False)


def split_packets(data: bytes) -> Iterator[Packet]:
    """Packets in order. Raises `Unparsable` on a bad header or length, `LimitExceeded` on too many."""
    position = count = 0
    while position < len(data):
        count += 1
        if count > MAX_PACKETS:
            raise LimitExceeded("packets")
        packet, position = _packet(data, position)
        yield packet


def _packet(data: bytes, at: int) -> tuple[Packet, int]:
    first = data[at]
    if not first & 0x80:
        raise Unparsable("packet-header")
    if first & 0x40:
        tag = first & 0x3F
        start, length, partial = _new_length(data, at + 1)
        if partial and tag not in _DATA:
            raise Unparsable("packet-partial")
        end = _skip_partial(data, start + length) if partial else start + length
    else:
        tag = (first >> 2) & 0x0F
        width = (1, 2, 4, 0)[first & 3]
        if width == 0 and tag not in _DATA:
            raise Unparsable("packet-open-length")
        start = at + 1 + width
        length = int.from_bytes(data[at + 1 : start], "big") if width else len(data) - start
        end = start + length
    if tag == 0 or start + length > len(data) or end > len(data):
        raise Unparsable("packet-length")
    return Packet(tag, data[start : start + length], data[at:end]), end


def _new_length(data: bytes, at: int) -> tuple[int, int, bool]:
    """Start of the body, its length, and whether that is a first partial chunk (RFC 9580 § 4.2.1)."""
    if at >= len(data):
        raise Unparsable("packet-length")
    first = data[at]
    if first < 192:
        return at + 1, first, False
    if first < 224:
        if at + 1 >= len(data):
            raise Unparsable("packet-length")
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192, False
    if first == 255:
        if at + 5 > len(data):
            raise Unparsable("packet-length")
        return at + 5, int.from_bytes(data[at + 1 : at + 5], "big"), False
    return at + 1, 1 << (first & 0x1F), True


def _skip_partial(data: bytes, at: int) -> int:
    """End of a body in partial chunks; `at` is where the second length stands."""
    while True:
        start, length, partial = _new_length(data, at)
        at = start + length
        if at > len(data):
            raise Unparsable("packet-length")
        if not partial:
            return at


def whole_body(packet: Packet) -> bytes:
    """The body with the chunks of a partial length put together."""
    raw, at = packet.raw, 1
    if not raw[0] & 0x40 or not 224 <= raw[1] < 255:
        return packet.body
    chunks: list[bytes] = []
    partial = True
    while partial:
        start, length, partial = _new_length(raw, at)
        at = start + length
        chunks.append(raw[start:at])
    return b"".join(chunks)


def classify(data: bytes) -> Shape:
    """Tell what binary packets are.

    Raises `NotSoundCiphertext` for ciphertext without integrity protection, `Unparsable` for any
    sequence that is not on the list, `LimitExceeded` for too many session keys or signatures.
    """
    packets = [one for one in split_packets(data) if one.tag not in (MARKER, PADDING)]
    tags = [one.tag for one in packets]
    if not tags:
        raise Unparsable("packets-none")
    if SECRET_KEY in tags or SECRET_SUBKEY in tags:
        return Shape(Kind.SECRET)
    if tags[0] == PUBLIC_KEY:
        return Shape(Kind.CERTIFICATE)
    if SED in tags:
        raise NotSoundCiphertext("no-integrity-protection")
    if tags[0] in (PKESK, SKESK):
        return _encrypted(packets)
    if tags == [LITERAL]:
        return Shape(Kind.LITERAL)
    if tags == [COMPRESSED]:
        return Shape(Kind.COMPRESSED)
    return _signed(packets, tags)


def _encrypted(packets: list[Packet]) -> Shape:
    *keys, last = packets
    if last.tag not in (SEIPD, GNUPG_OCB) or any(one.tag not in (PKESK, SKESK) for one in keys):
        raise Unparsable("encrypted-structure")
    if len(keys) > MAX_SESSION_KEYS:
        raise LimitExceeded("session-keys")
    version = last.body[:1]
    if last.tag == SEIPD and version not in (b"\x01", b"\x02"):
        raise Unparsable("seipd-version")
    plain = last.tag == SEIPD and version == b"\x01"
    return Shape(
        Kind.ENCRYPTED,
        Integrity.MDC if plain else Integrity.AEAD,
        tuple(_recipient(one) for one in keys if one.tag == PKESK),
        sum(one.tag == SKESK for one in keys),
        modern=(last.tag == SEIPD and version == b"\x02") or any(one.body[:1] == b"\x06" for one in keys),
    )


def without_passphrases(data: bytes) -> bytes:
    """An encrypted message without its passphrase packets: a mail is opened with a key or not at all."""
    return b"".join(one.raw for one in split_packets(data) if one.tag != SKESK)


def _recipient(packet: Packet) -> str:
    if packet.body[:1] == b"\x03" and len(packet.body) > 9:
        return packet.body[1:9].hex().upper()
    if packet.body[:1] == b"\x06" and len(packet.body) > 2:
        length = packet.body[1]
        return packet.body[3 : 2 + length].hex().upper() if length else "0" * 16
    raise Unparsable("pkesk-version")


def _signed(packets: list[Packet], tags: list[int]) -> Shape:
    signatures = tags.count(SIGNATURE)
    if signatures > MAX_SIGNATURES:
        raise LimitExceeded("signatures")
    if signatures == len(tags):
        return Shape(Kind.SIGNATURE, signatures=signatures, modern=_modern(packets))
    one_pass = [ONE_PASS] * signatures
    after = [SIGNATURE] * signatures
    if signatures and tags in ([*one_pass, LITERAL, *after], [*after, LITERAL]):
        return Shape(Kind.SIGNED, signatures=signatures, modern=_modern(packets))
    raise Unparsable("message-structure")


def _modern(packets: list[Packet]) -> bool:
    known = {SIGNATURE: (b"\x03", b"\x04"), ONE_PASS: (b"\x03",)}
    return any(one.tag in known and one.body[:1] not in known[one.tag] for one in packets)


def signature_packets(data: bytes) -> tuple[Packet, ...]:
    """Detached signatures, armored or not; empty when the bytes are anything else."""
    try:
        packets = tuple(split_packets(_unarmored(data, ("SIGNATURE",))))
    except (Unparsable, LimitExceeded):
        return ()
    kept = tuple(one for one in packets if one.tag not in (MARKER, PADDING))
    sound = all(one.tag == SIGNATURE for one in kept) and len(kept) <= MAX_SIGNATURES
    return kept if sound else ()


def read_certificate(data: bytes) -> Certificate:
    """Exactly one transferable public key, armored or not.

    Packets that do not belong into one (such as a keyring's trust packets, which would tell gpg what
    it found out before) are dropped. Raises `KeyUnusable` for secret packets, several keys, none, or
    more than 1 MiB.
    """
    # The same few are asked for several times for each mail.
    return _read_small(bytes(data)) if len(data) <= _SMALL else _read(data)


def _read(data: bytes) -> Certificate:
    if len(data) > MAX_CERTIFICATE * 2:
        raise KeyUnusable("certificate-size")
    try:
        packets = list(split_packets(_unarmored(data, ("PUBLIC KEY BLOCK",))))
    except (Unparsable, LimitExceeded) as error:
        raise KeyUnusable("certificate-unreadable") from error
    tags = [one.tag for one in packets]
    if SECRET_KEY in tags or SECRET_SUBKEY in tags:
        raise KeyUnusable("certificate-secret")
    kept = [one for one in packets if one.tag in _IN_CERTIFICATE]
    if not kept or kept[0].tag != PUBLIC_KEY or tags.count(PUBLIC_KEY) != 1:
        raise KeyUnusable("certificate-not-one-key")
    clean = b"".join(one.raw for one in kept)
    if len(clean) > MAX_CERTIFICATE:
        raise KeyUnusable("certificate-size")
    return Certificate(fingerprint_of(kept[0]), clean)


_SMALL = 16 * 1024
_read_small = lru_cache(maxsize=64)(_read)


def fingerprint_of(packet: Packet) -> str:
    """Fingerprint of a key packet (RFC 9580 § 5.5.4). Raises `KeyUnusable` for other versions."""
    body, size = packet.body, len(packet.body)
    if body[:1] == b"\x04" and size <= 0xFFFF:
        framed = b"\x99" + size.to_bytes(2, "big") + body
        return hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()
    if body[:1] == b"\x06":
        return hashlib.sha256(b"\x9b" + size.to_bytes(4, "big") + body).hexdigest().upper()
    raise KeyUnusable("certificate-version")


def _unarmored(data: bytes, labels: tuple[str, ...]) -> bytes:
    """Binary packets of bytes that are binary already, or one or more blocks with these labels."""
    if data[:1] and data[0] & 0x80:
        return data
    blocks = find_blocks(data)
    if not blocks or any(one.label not in labels for one in blocks) or outside(data, blocks).strip():
        raise Unparsable("armor-label")
    return b"".join(one.data for one in blocks)
