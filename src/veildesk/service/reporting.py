"""Tell agents what became of their answers, as remarks that only they see.

Best effort and never in the way: a remark that cannot be written is tried again a few times and then
dropped; `veildesk spool list` always knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.errors import VeildeskError, WorkLost
from veildesk.core.ports import Backend, Spool
from veildesk.core.submission import dedup_key
from veildesk.core.ticket import TicketChange
from veildesk.core.work import Reason, State, Work
from veildesk.service.erasure import split_place

__all__ = ["Reporter", "remark"]

_log = logging.getLogger("veildesk.service")
_TRIES: Final = 5
_WAITING: Final = 1000
_HELD: Final = {
    Reason.GUARD: "it holds a secret such as a password or a key",
    Reason.OTHER_PEOPLE: "it names an address, a number or an account of somebody else",
    Reason.INTERNAL_ADDRESS: "it names an address inside our own network",
    Reason.HELPDESK_LINK: "it links to this helpdesk, which the person must not see",
    Reason.NO_KEY: "the person wrote encrypted and there is no usable key to answer with",
    Reason.NO_CONTACT: "there is no way to reach the person",
    Reason.FILES: "a file of it cannot be passed on",
    Reason.EMPTY: "it has no text of its own",
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
    pause: float = 5.0
    _jobs: asyncio.Queue[tuple[Work, int]] = field(default_factory=lambda: asyncio.Queue(_WAITING))

    def tell(self, work: Work) -> None:
        """Queue a remark; with a thousand waiting, this one is dropped."""
        if remark(work) and not self._jobs.full():
            self._jobs.put_nowait((work, 1))

    async def run(self) -> None:
        """Write remarks until cancelled."""
        while True:
            work, attempt = await self._jobs.get()
            try:
                await self.report(work)
            except WorkLost:
                continue
            except VeildeskError as error:
                _log.info("remark-failed message=%s reason=%s", work.message_id, error.code)
                if attempt < _TRIES and not self._jobs.full():
                    self._jobs.put_nowait((work, attempt + 1))
                await asyncio.sleep(self.pause * 2 ** (attempt - 1))
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
