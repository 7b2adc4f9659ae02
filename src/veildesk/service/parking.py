"""Parking: new portal tickets are kept but handed on only when the operator says so.

For a flood that all other defences let through. Whether it is on survives a restart. A ticket that the
helpdesk has already goes on, so that nobody is cut off in the middle.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from veildesk.core.errors import VeildeskError
from veildesk.core.ports import Spool
from veildesk.core.submission import Channel
from veildesk.core.work import Direction, Reason, State, Work

__all__ = ["Parking"]


class Parking:
    """On while the file at `path` exists."""

    def __init__(self, path: Path, spool: Spool) -> None:
        self._path, self._spool = path, spool
        self._on = path.exists()
        self._released: set[str] = set()

    @property
    def on(self) -> bool:
        """Whether new tickets wait."""
        return self._on

    def switch(self, on: bool) -> None:
        """Begin or end parking. Raises `OSError` when that cannot be kept."""
        if on:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.utime(self._path, (0, 0))
        else:
            self._path.unlink(missing_ok=True)
        self._on = on

    def let_through(self, message_id: str) -> None:
        """One message shall not wait (any more)."""
        self._released.add(message_id)

    async def holds(self, work: Work) -> bool:
        """Whether a claimed message has to wait."""
        if not self._on or work.message_id in self._released:
            return False
        fresh = (work.channel, work.direction, work.state) == (Channel.PORTAL, Direction.IN, State.ACCEPTED)
        return fresh and await self._spool.backend_ref(work.ticket_id) is None

    async def park(self, work: Work) -> None:
        """Set a message aside."""
        await self._spool.advance(work, State.PARKED, reason=Reason.OPERATOR)

    async def waiting(self) -> list[Work]:
        """What was set aside."""
        parked = await self._spool.listing((State.PARKED,))
        return [work for work in parked if work.reason is Reason.OPERATOR]

    async def release(self) -> int:
        """Hand everything on that waits; returns how many messages. Parking itself stays as it is."""
        count = 0
        for work in await self.waiting():
            self.let_through(work.message_id)
            with contextlib.suppress(VeildeskError):  # deleted by its owner meanwhile
                await self._spool.retry(work.message_id)
                count += 1
        return count
