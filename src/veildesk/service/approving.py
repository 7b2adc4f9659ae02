"""Let a held answer go although a rule stopped it, because a person says so."""

from __future__ import annotations

from veildesk.core.errors import WorkLost
from veildesk.core.ports import Spool
from veildesk.core.work import State, Work

__all__ = ["approve"]


async def approve(spool: Spool, message_id: str) -> Work:
    """Send this held answer as it is. Raises `WorkLost` when it is not held."""
    for work in await spool.listing((State.HELD,)):
        if work.message_id == message_id:
            return await spool.advance(work, State.COLLECTED, parts={"approved": b"1"})
    raise WorkLost("not held")
