"""No Unix socket is taken from a process that still answers there.

A Unix socket can be replaced under whoever listens on it: a copy of a gateway whose configuration names the
same sockets would leave the first one running and deaf.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from veildesk.core.errors import ListenerUnavailable

__all__ = ["refuse_taken"]

_SECONDS: Final = 2.0


def refuse_taken(sockets: Iterable[tuple[str, Path]]) -> None:
    """Raise `ListenerUnavailable` for the first socket (its key in the configuration, path) that answers."""
    for name, path in sockets:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.settimeout(_SECONDS)
            try:
                one.connect(str(path))
            except TimeoutError:
                pass  # A full backlog: somebody listens there, and is busy.
            except OSError:
                continue
            raise ListenerUnavailable(f"{name}: another process answers on this socket")
