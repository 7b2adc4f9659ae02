"""Tell the service manager how we are: the sd_notify protocol over a datagram socket."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["notify", "watchdog_seconds"]


def notify(*fields: str) -> bool:
    """Send fields such as "READY=1" or "STATUS=...". False when no manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    with sender, contextlib.suppress(OSError):
        sender.connect(address)
        sender.sendall("\n".join(fields).encode())
        return True
    return False


def watchdog_seconds() -> float | None:
    """Half of the interval in which the manager wants a sign of life; None when it wants none."""
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2_000_000
    except (KeyError, ValueError):
        return None
