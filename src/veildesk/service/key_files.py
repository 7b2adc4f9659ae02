"""Key files given on the command line: certificates taken apart, one by one.

Reading only; nothing is imported here, and a file with secret keys gives no certificate.
"""

from __future__ import annotations

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.packets import split_packets

__all__ = ["certificates_in", "only_in_process", "passphrases_in", "secret_packets"]

_SECRET_KEY, _PUBLIC_KEY = 5, 6
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


def secret_packets(data: bytes) -> bytes:
    """The binary packets of a file with secret keys; empty when it is not readable."""
    try:
        return data if data[:1] and data[0] & 0x80 else b"".join(one.data for one in find_blocks(data))
    except VeildeskError:
        return b""


def only_in_process(data: bytes) -> bool:
    """Whether all secret keys of a file are of version 6, which GnuPG does not read."""
    try:
        keys = [one for one in split_packets(secret_packets(data)) if one.tag == _SECRET_KEY]
    except VeildeskError:
        return False
    return bool(keys) and all(one.body[:1] == b"\x06" for one in keys)


def passphrases_in(data: bytes) -> tuple[bytes, ...]:
    """One passphrase a line; empty lines are left out."""
    return tuple(line for line in data.replace(b"\r\n", b"\n").split(b"\n") if line)
