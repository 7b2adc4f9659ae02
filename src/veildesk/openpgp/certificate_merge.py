"""Two copies of one certificate as one, as gpg's import does it: nothing that either of them says is lost.

A copy that lacks a revocation is an old one, or one that somebody stripped; it takes nothing away. Pure; no
signature is checked here, whether one counts is for the engine to say (RFC 9580 § 10.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from veildesk.core.errors import KeyUnusable
from veildesk.openpgp.packets import (
    PUBLIC_SUBKEY,
    SIGNATURE,
    Packet,
    read_certificate,
    split_packets,
)

__all__ = ["merged"]

_MOST = 128 * 1024
_REVOCATIONS = frozenset({0x20, 0x28, 0x30})


@dataclass(slots=True)
class _Group:
    """A key or user id and the signatures that follow it."""

    packet: Packet
    signatures: list[Packet] = field(default_factory=list)

    @property
    def name(self) -> tuple[int, bytes]:
        return self.packet.tag, self.packet.body


def merged(kept: bytes, fresh: bytes) -> bytes:
    """The binary certificate `kept` with whatever `fresh`, a copy of the same one, adds to it.

    Beyond 128 KiB only `fresh` is given back, and only if no revocation is lost by that. Raises
    `KeyUnusable` if that cannot be, or if they are not two copies of one certificate.
    """
    before, after = read_certificate(kept), read_certificate(fresh)
    if before.fingerprint != after.fingerprint:
        raise KeyUnusable("certificate-another")
    groups, added = _groups(before.data), _groups(after.data)
    revoked = set(_revocations(groups))
    for one in added:
        _put(groups, one)
    data = b"".join(packet.raw for group in groups for packet in (group.packet, *group.signatures))
    if len(data) <= max(_MOST, len(before.data)):
        return data
    if not revoked <= set(_revocations(added)):
        raise KeyUnusable("certificate-size")
    return after.data


def _groups(data: bytes) -> list[_Group]:
    groups: list[_Group] = []
    for packet in split_packets(data):
        if packet.tag == SIGNATURE:
            groups[-1].signatures.append(packet)
        else:
            groups.append(_Group(packet))
    return groups


def _put(groups: list[_Group], one: _Group) -> None:
    """Add what is new of one group. Subkeys stand behind everything else."""
    own = next((group for group in groups if group.name == one.name), None)
    if own is not None:
        known = {packet.body for packet in own.signatures}
        own.signatures += [packet for packet in one.signatures if packet.body not in known]
        return
    subkeys = (at for at, group in enumerate(groups) if group.packet.tag == PUBLIC_SUBKEY)
    last = len(groups)
    groups.insert(last if one.packet.tag == PUBLIC_SUBKEY else next(subkeys, last), one)


def _revocations(groups: Sequence[_Group]) -> Iterator[tuple[tuple[int, bytes], bytes]]:
    for group in groups:
        for packet in group.signatures:
            # The kind stands in the second octet from version 4 on (§ 5.2.3).
            if len(packet.body) > 1 and packet.body[1] in _REVOCATIONS:
                yield group.name, packet.body
