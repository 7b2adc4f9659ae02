"""A program that runs where the worker runs and says what it could do there that it should not.

Standard output gets one word per gap, nothing when the sandbox holds. Nothing is changed: a file it
managed to create is removed, and no packet leaves a machine by asking for a route.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

__all__ = ["gaps"]


def gaps() -> list[str]:
    """Words for what is open: "network", "files", "processes", "write"."""
    return [
        word
        for word, is_open in (
            ("network", _network()),
            ("files", any(_readable(path) for path in ("/etc/passwd", "/etc/hostname", "/proc/self/status"))),
            ("processes", os.getppid() > 1),
            ("write", any(_writable(path) for path in ("/", "/tmp", "/dev", "/usr", "/dev/shm"))),  # noqa: S108
        )
        if is_open
    ]


def _network() -> bool:
    # Connecting a datagram socket only looks for a route; 192.0.2.1 is for documentation (RFC 5737).
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return True
    return False


def _readable(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except OSError:
        return False


def _writable(folder: str) -> bool:
    path = Path(folder) / f".veildesk-probe-{os.getpid()}"
    try:
        path.open("xb").close()
    except OSError:
        return False
    path.unlink()
    return True


if __name__ == "__main__":
    sys.stdout.write("\n".join(gaps()))
