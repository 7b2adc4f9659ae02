"""Under which names a certificate is found: fingerprints of its keys, and addresses of its user ids.

Read from packets alone, without gpg and without checking a signature: a name here says where to look,
never whose key it is. What a certificate is good for is for the engine to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from veildesk.core.errors import KeyUnusable
from veildesk.openpgp.key_listing import address_of
from veildesk.openpgp.packets import fingerprint_of, read_certificate, split_packets

__all__ = ["KeyIndex", "index_of"]

_USER_ID, _PUBLIC_SUBKEY = 13, 14
_MAX_NAMES = 64


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """`certificate` is binary; `fingerprint` that of its primary key, `keys` those of all its keys,
    `addresses` the lower-case addr-specs of its user ids."""

    certificate: bytes
    fingerprint: str
    keys: tuple[str, ...]
    addresses: tuple[str, ...]


def index_of(data: bytes) -> KeyIndex:
    """Names of one certificate, armored or not, at most 64 of each kind.

    Raises `KeyUnusable` for whatever is not exactly one public key; see `read_certificate`.
    """
    certificate = read_certificate(data)
    keys: dict[str, None] = {certificate.fingerprint: None}
    addresses: dict[str, None] = {}
    for packet in split_packets(certificate.data):
        if packet.tag == _PUBLIC_SUBKEY and len(keys) < _MAX_NAMES:
            try:
                keys[fingerprint_of(packet)] = None
            except KeyUnusable:
                continue
        elif packet.tag == _USER_ID and len(addresses) < _MAX_NAMES:
            address = address_of(packet.body)
            if address is not None:
                addresses[address] = None
    return KeyIndex(certificate.data, certificate.fingerprint, tuple(keys), tuple(addresses))
