"""Who is alive: each process holds a lock on a file of its own, and the kernel drops it at death.

Claims name their owner. A claim ends when the owner's lock is free, never by a clock: a process that
was stopped for an hour still holds its lock, so nobody does its work a second time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from veildesk.core.errors import SpoolUnavailable

__all__ = ["Liveness"]


class Liveness:
    """This process's own lock, and a look at the others'. `id` is 16 random hex digits."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self.id = secrets.token_hex(8)
        # Locked under a hidden name first: under its own name the file is never seen unlocked.
        hidden = directory / f".{self.id}"
        self._handle = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        hidden.rename(directory / self.id)
        self._leases: dict[str, int] = {}

    def lease(self, name: str) -> bool:
        """Try to be the one process that holds `name`; kept until `close` or death."""
        if name in self._leases:
            return True
        path = self._directory / f".lease-{name}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._leases[name] = handle
        return True

    def alive(self, owner: str) -> bool:
        """Whether the process that calls itself `owner` still holds its lock."""
        if owner == self.id:
            return True
        try:
            handle = os.open(self._directory / owner, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            raise SpoolUnavailable("liveness unknown") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def dead(self) -> list[str]:
        """Names of lock files whose process is gone."""
        names = [entry.name for entry in self._directory.iterdir() if not entry.name.startswith(".")]
        return [name for name in names if not self.alive(name)]

    def others(self) -> list[str]:
        """Names of other processes that are alive."""
        names = [entry.name for entry in self._directory.iterdir() if not entry.name.startswith(".")]
        return [name for name in names if name != self.id and self.alive(name)]

    def forget(self, owner: str) -> None:
        """Remove the lock file of a dead owner, after its claims were freed."""
        (self._directory / owner).unlink(missing_ok=True)

    def close(self) -> None:
        """Give up the own lock and all leases; closing again does nothing."""
        while self._leases:
            os.close(self._leases.popitem()[1])
        handle, self._handle = self._handle, -1
        if handle >= 0:
            (self._directory / self.id).unlink(missing_ok=True)
            os.close(handle)
