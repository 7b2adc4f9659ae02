"""Our own key as an Autocrypt header (Autocrypt 1.1 § 2), for mails to people who write in the clear.

The key data is what the standard wants: primary key, one user id with its newest self-signature, the newest
encryption subkey with its binding. A key that cannot be brought into this form, or is larger than 10 KiB,
is not sent. Pure; the key is our own, so no signature is checked here.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from veildesk.core.errors import VeildeskError
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.key_listing import address_of
from veildesk.openpgp.packets import (
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ID,
    Packet,
    read_certificate,
    split_packets,
)
from veildesk.openpgp.signature_packet import SignatureFields, read_signature

__all__ = ["autocrypt_value"]

_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
_BINDING, _REVOCATION, _ENCRYPT = 0x18, 0x28, 0x0C
_MAX = 10 * 1024
_LINE = 64


def autocrypt_value(certificate: bytes, address: str) -> str | None:
    """The header's value, with blanks where it may be folded; None if there is no fitting key."""
    try:
        read = read_certificate(certificate)
        packets = tuple(split_packets(read.data))
        user = _user_id(packets, address.lower(), read.fingerprint)
        subkey = _subkey(packets)
    except (VeildeskError, Declined):
        return None
    if not user or not subkey:
        return None
    data = b"".join(one.raw for one in (packets[0], *user, *subkey))
    text = base64.b64encode(data).decode("ascii")
    lines = " ".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
    value = f"addr={address}; keydata= {lines}"
    return value if len(value) <= _MAX else None


def _signed(packets: Sequence[Packet], index: int) -> list[tuple[Packet, SignatureFields]]:
    """The signatures that stand behind a packet."""
    found = []
    for packet in packets[index + 1 :]:
        if packet.tag != SIGNATURE:
            break
        found.append((packet, read_signature(packet.body)))
    return found


def _user_id(packets: Sequence[Packet], address: str, fingerprint: str) -> tuple[Packet, ...]:
    for index, packet in enumerate(packets):
        if packet.tag != USER_ID or address_of(packet.body) != address:
            continue
        own = [
            (fields.created, signature)
            for signature, fields in _signed(packets, index)
            if fields.kind in _CERTIFICATIONS and fields.issuer and fingerprint.endswith(fields.issuer)
        ]
        if own:
            return packet, max(own, key=lambda one: one[0])[1]
    return ()


def _subkey(packets: Sequence[Packet]) -> tuple[Packet, ...]:
    """The encryption subkey that was bound last and is not revoked."""
    found: list[tuple[int, Packet, Packet]] = []
    for index, packet in enumerate(packets):
        signatures = _signed(packets, index) if packet.tag == PUBLIC_SUBKEY else []
        if any(fields.kind == _REVOCATION for _, fields in signatures):
            continue
        found += [
            (fields.created, packet, signature)
            for signature, fields in signatures
            if fields.kind == _BINDING and (fields.key_flags or 0) & _ENCRYPT
        ]
    return max(found, key=lambda one: one[0])[1:] if found else ()
