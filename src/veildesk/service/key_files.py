"""Key files given on the command line: certificates taken apart, one by one.

Reading only; nothing is imported here, and a file with secret keys gives no certificate.
"""

from __future__ import annotations

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.packets import split_packets

__all__ = ["certificates_in", "passphrases_in"]

_PUBLIC_KEY = 6
_SECRET = frozenset({5, 7})


def certificates_in(data: bytes) -> tuple[bytes, ...]:
    """Each transferable public key of a file, armored or binary, as binary.

    Raises `KeyUnusable` when there is none or when the file holds secret keys.
    """
    try:
        wires = [data] if data[:1] and data[0] & 0x80 else [one.data for one in find_blocks(data)]
        found: list[list[bytes]] = []
        for wire in wires:
            for packet in split_packets(wire):
                if packet.tag in _SECRET:
                    raise KeyUnusable("certificate-secret")
                if packet.tag == _PUBLIC_KEY:
                    found.append([])
                if found:
                    found[-1].append(packet.raw)
    except KeyUnusable:
        raise
    except VeildeskError as error:
        raise KeyUnusable("certificate-unreadable") from error
    if not found:
        raise KeyUnusable("certificate-none")
    return tuple(b"".join(packets) for packets in found)


def passphrases_in(data: bytes) -> tuple[bytes, ...]:
    """One passphrase a line; empty lines are left out."""
    return tuple(line for line in data.replace(b"\r\n", b"\n").split(b"\n") if line)
