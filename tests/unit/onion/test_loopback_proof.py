"""The check that a test stayed on loopback must itself be able to fail."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address

import pytest

from testbed.tor_sockets import foreign_addresses, foreign_sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local, remote, inode="77"):
    return (
        f"{HEAD}   0: {local} {remote} 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
    )


@pytest.mark.parametrize(
    ("local", "remote", "foreign"),
    [
        ("0100007F:1F90", "0100007F:2382", []),
        ("00000000:1F90", "00000000:0000", []),
        ("0100007F:1F90", "010200C0:01BB", ["192.0.2.1"]),
        ("0A00000A:1F90", "0100007F:01BB", ["10.0.0.10"]),
        ("00000000000000000000000001000000:1F90", "00000000000000000000000000000000:0000", []),
        (
            "0000000000000000FFFF00000100007F:1F90",
            "0000000000000000FFFF0000010200C0:01BB",
            ["::ffff:192.0.2.1"],
        ),
        ("B80D0120000000000000000001000000:1F90", "00000000000000000000000001000000:01BB", ["2001:db8::1"]),
    ],
)
def test_addresses_outside_loopback_are_found(local, remote, foreign):
    found = foreign_addresses(line(local, remote), {"77"})
    assert [ip_address(address) for address in found] == [ip_address(address) for address in foreign]


def test_sockets_of_others_do_not_count():
    assert foreign_addresses(line("0100007F:1F90", "010200C0:01BB", "78"), {"77"}) == []


def test_own_sockets_are_seen_through_proc():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert all("127.0.0.1" not in found for found in foreign_sockets(os.getpid()))
