"""Which sockets a process has, read from /proc: the proof that a test stayed on loopback."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from pathlib import Path

__all__ = ["foreign_addresses", "foreign_sockets"]


def foreign_sockets(pid: int) -> list[str]:
    """IP sockets of a process with a local or remote address that is neither loopback nor unset."""
    own = _inodes(pid)
    found: list[str] = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        found += [
            f"{table} {address}"
            for address in foreign_addresses(Path(f"/proc/{pid}/net/{table}").read_text(), own)
        ]
    return found


def foreign_addresses(table: str, inodes: Collection[str]) -> list[str]:
    """Addresses outside loopback in a /proc/net table, of the sockets with the given inodes."""
    found: list[str] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            found += [str(address) for address in map(_address, fields[1:3]) if _foreign(address)]
    return found


def _inodes(pid: int) -> set[str]:
    inodes: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: 32-bit words in host byte order."""
    digits = text.split(":")[0]
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    return ipaddress.ip_address(b"".join(socket.htonl(word).to_bytes(4, "big") for word in words))


def _foreign(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return not (address.is_loopback or address.is_unspecified)
