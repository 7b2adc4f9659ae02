"""Tell agents what became of their answers, as remarks that only they see.

Never in the way: a remark that cannot be written is tried again with growing pauses, for about a day, while
those for other helpdesks go on. After a start the answers of the last two days are gone through once more,
since what waited was in memory; a remark that is there already is not written twice. `veildesk spool list`
always knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.errors import VeildeskError, WorkLost
from veildesk.core.ports import Backend, Clock, Spool
from veildesk.core.submission import dedup_key
from veildesk.core.ticket import TicketChange
from veildesk.core.work import Direction, Reason, State, Work
from veildesk.service.erasure import split_place

__all__ = ["Reporter", "remark"]

_log = logging.getLogger("veildesk.service")
_TRIES: Final = 100
_WAITING: Final = 1000
_CEILING: Final = 900.0
_DAYS: Final = 1
_HELD: Final = {
    Reason.GUARD: "it holds a secret such as a password or a key",
    Reason.OTHER_PEOPLE: "it names an address, a number or an account of somebody else",
    Reason.INTERNAL_ADDRESS: "it names an address inside our own network",
    Reason.HELPDESK_LINK: "it links to this helpdesk, which the person must not see",
    Reason.NO_KEY: "the person wrote encrypted and there is no usable key to answer with",
    Reason.NO_CONTACT: "there is no way to reach the person",
    Reason.FILES: "a file of it cannot be passed on",
    Reason.EMPTY: "it has no text of its own",
    Reason.MERGED: "tickets of different people were merged here. It would go to the person whose ticket "
    "this was before, and may be meant for the other",
    Reason.BY_MAIL: "it came by mail, and anybody can write a mail in your name; answer in the helpdesk",
    Reason.FORWARDED: "it is a mail to somebody else or a note about a call, not an answer to the person",
}


def remark(work: Work) -> str:
    """One sentence for agents; empty when there is nothing to say yet."""
    if work.state is State.SENT:
        return "Veildesk: this answer was handed over to the person's mail or portal thread."
    if work.state is State.HELD:
        why = _HELD.get(work.reason, "a rule stopped it")
        return (
            f"Veildesk: the last answer was NOT sent: {why}. Write it again without that, or ask the "
            f"operator to look at message {work.message_id}."
        )
    if work.state is State.PARKED:
        return (
            "Veildesk: the last answer could NOT be sent. The operator sees why with 'veildesk spool list' "
            f"(message {work.message_id})."
        )
    return ""


@dataclass(slots=True)
class Reporter:
    """Writes remarks one after the other. `pause` is the wait in seconds after a fault, doubled each time."""

    spool: Spool
    backends: Mapping[str, Backend]
    secret: bytes = field(repr=False)
    clock: Clock
    pause: float = 5.0
    _waiting: list[tuple[float, int, Work, int]] = field(default_factory=list)
    _count: int = 0
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, work: Work) -> None:
        """Queue a remark; with a thousand waiting, this one is dropped."""
        if remark(work) and len(self._waiting) < _WAITING:
            self._put(work, 1, 0.0)
            self._told.set()

    def _put(self, work: Work, attempt: int, delay: float) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (self.clock.monotonic() + delay, self._count, work, attempt))

    async def run(self) -> None:
        """Write remarks until cancelled."""
        await self._recall()
        while True:
            now = self.clock.monotonic()
            if self._waiting and self._waiting[0][0] <= now:
                _, _, work, attempt = heapq.heappop(self._waiting)
                await self._try(work, attempt)
                continue
            self._told.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._waiting[0][0] - now if self._waiting else None):
                    await self._told.wait()

    async def _recall(self) -> None:
        """Whatever was waiting when the process before this one ended."""
        first = self.clock.now() // 86400 - _DAYS
        try:
            rows = await self.spool.listing((State.SENT, State.HELD, State.PARKED), since=first)
        except VeildeskError as error:
            _log.warning("remarks-not-recalled reason=%s", error.code)
            return
        for row in rows:
            if row.direction is Direction.OUT:
                self.tell(row)

    async def _try(self, work: Work, attempt: int) -> None:
        try:
            await self.report(work)
        except WorkLost:
            return
        except VeildeskError as error:
            _log.info("remark-failed message=%s reason=%s", work.message_id, error.code)
            if error.temporary and attempt < _TRIES:
                self._put(work, attempt + 1, min(self.pause * 2.0 ** min(attempt - 1, 16), _CEILING))
        except Exception:
            _log.exception("remark-failed message=%s reason=internal", work.message_id)

    async def report(self, work: Work) -> None:
        """Write one remark now; the same one twice is one."""
        if await self.spool.part(work.message_id, "note") is not None:
            # A note of our own to the person, not an answer of an agent.
            return
        place = await self.spool.backend_ref(work.ticket_id)
        name, ref = split_place(place or "")
        backend = self.backends.get(name)
        if backend is None or not ref:
            return
        digest = dedup_key(self.secret, b"remark", work.message_id.encode(), work.state.encode())
        change = TicketChange(note=remark(work), note_key=digest.hex()[:32])
        await backend.update(ref, change)
