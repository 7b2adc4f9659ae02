"""Where a mail domain publishes the key of an address, and what of the answer counts.

Web Key Directory (draft-koch-openpgp-webkey-service § 3.1): the local part in lower case, SHA-1, z-base-32.
Only user ids with the address that was asked for are kept, so that nobody's directory speaks for others.
Pure; nothing is fetched here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.mail.address import valid_address
from veildesk.openpgp.key_index import KeyIndex, index_of
from veildesk.openpgp.key_listing import address_of
from veildesk.openpgp.packets import Packet, split_packets

__all__ = ["WkdPlace", "published_keys", "wkd_hash", "wkd_places"]

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
_PUBLIC_KEY, _USER_ID, _USER_ATTRIBUTE, _PUBLIC_SUBKEY = 6, 13, 17, 14
_MAX_KEYS = 4


@dataclass(frozen=True, slots=True)
class WkdPlace:
    """An HTTPS resource: `host` and `target` (path with query)."""

    host: str
    target: str


def wkd_hash(local: str) -> str:
    """The 32 characters that stand for a local part; only ASCII letters are made lower-case."""
    lower = "".join(char.lower() if char.isascii() else char for char in local)
    digest = hashlib.sha1(lower.encode("utf-8"), usedforsecurity=False).digest()
    number = int.from_bytes(digest, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(155, -1, -5))


def wkd_places(address: str) -> tuple[WkdPlace, WkdPlace] | None:
    """The advanced and the direct place of an address; None for one that has none.

    The direct place counts only where the host of the advanced one does not exist.
    """
    local, _, domain = address.rpartition("@")
    if not valid_address(address) or not domain.isascii() or "." not in domain or local.startswith('"'):
        return None
    domain = domain.lower().rstrip(".")
    name, query = wkd_hash(local), quote(local, safe="")
    return (
        WkdPlace(f"openpgpkey.{domain}", f"/.well-known/openpgpkey/{domain}/hu/{name}?l={query}"),
        WkdPlace(domain, f"/.well-known/openpgpkey/hu/{name}?l={query}"),
    )


def published_keys(data: bytes, address: str) -> tuple[KeyIndex, ...]:
    """Keys of an answer that name the address, reduced to the user ids that do; at most four.

    An answer that is not plainly public keys gives none.
    """
    try:
        packets = tuple(split_packets(data))
    except VeildeskError:
        return ()
    found = []
    for group in list(_by_key(packets))[:_MAX_KEYS]:
        try:
            key = index_of(b"".join(one.raw for one in _reduced(group, address.lower())))
        except KeyUnusable:
            continue
        if address.lower() in key.addresses:
            found.append(key)
    return tuple(found)


def _by_key(packets: Sequence[Packet]) -> Iterator[list[Packet]]:
    """One list for each primary key; whatever stands before the first is of no key."""
    group: list[Packet] = []
    for packet in packets:
        if packet.tag == _PUBLIC_KEY:
            if group:
                yield group
            group = [packet]
        elif group:
            group.append(packet)
    if group:
        yield group


def _reduced(group: Sequence[Packet], address: str) -> Iterator[Packet]:
    """The packets without user ids of other addresses and what is signed over them."""
    keep = True
    for packet in group:
        if packet.tag in (_PUBLIC_KEY, _PUBLIC_SUBKEY):
            keep = True
        elif packet.tag == _USER_ATTRIBUTE:
            keep = False
        elif packet.tag == _USER_ID:
            keep = address_of(packet.body) == address
        if keep:
            yield packet
