"""One gateway for a state directory: a second start by mistake would take the first one's sockets."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veildesk.core.errors import AlreadyRunning, OtherUser, SpoolUnavailable

__all__ = ["only_gateway"]


@contextmanager
def only_gateway(state: Path) -> Iterator[None]:
    """Hold the state directory until the end, or the process's. Raises `AlreadyRunning`.

    Raises `SpoolUnavailable` where the directory cannot be written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0 and state.stat().st_uid != 0:
            # What root wrote there the gateway's own user could not write again.
            raise OtherUser("root, not the user that owns the state directory")
        handle = os.open(state / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolUnavailable(f"state directory: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning("on this state directory") from None
        yield
    finally:
        os.close(handle)
