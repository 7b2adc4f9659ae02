"""Delete a ticket everywhere: here at once and for certain, elsewhere as soon as it can be done.

In this order: a sealed job that knows where else it lies; the ticket's key and everything under it; then
the helpdesk and the source mailbox, again and again until they did it or said that they cannot. The job
and its code outlive the ticket by 30 days, so that who asked can learn how it ended.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.contact import decode_contact
from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.core.ports import Backend, Clock, Spool
from veildesk.core.ticket import Deletion, Erased, Erasure
from veildesk.core.work import State
from veildesk.service.erasure import erase_in_helpdesk
from veildesk.spool.erase_jobs import EraseJob, EraseJobs
from veildesk.spool.holds import Holds

__all__ = ["Eraser", "look_up_erasure"]

_log = logging.getLogger("veildesk.service")
_DAYS: Final = 30
_FIRST_PAUSE: Final = 60
_LAST_PAUSE: Final = 6 * 3600
_ASK_AGAIN: Final = 86400
_NOW: Final = 20.0
_UNDER_WAY: Final = 900


@dataclass(slots=True)
class Eraser:
    """`expunge` removes mails by Message-ID from the source mailbox and says whether they are gone; None
    when there is no such mailbox. `random_bytes(n)` is a secure source."""

    spool: Spool
    backends: Mapping[str, Backend]
    jobs: EraseJobs
    holds: Holds
    clock: Clock
    random_bytes: Callable[[int], bytes]
    expunge: Callable[[Sequence[str]], Awaitable[None]] | None = None
    seconds: float = 30.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def erase(self, ticket_id: str, *, wished: bool = True) -> Deletion:
        """Delete one ticket, because somebody `wished` it or because its time is over.

        Raises `SpoolUnavailable` when our own deletion must be repeated.
        """
        until = await self.holds.held(ticket_id, self.clock.now() // 86400)
        if until is not None:
            return Deletion(Erased.KEPT, kept_until=until)
        code = base64.b32encode(self.random_bytes(10)).decode().lower()
        job = dataclasses.replace(await self._plan(ticket_id, code), wished=wished)
        await self.jobs.put(job)
        unfinished: SpoolUnavailable | None = None
        try:
            await self.spool.erase(ticket_id)
        except SpoolUnavailable as error:
            unfinished = error
        try:
            async with asyncio.timeout(_NOW):
                job = await self.attempt(job, here=unfinished is None)
        except TimeoutError:
            job = await self.jobs.get(job.name) or job
        if unfinished is not None and job.here != "gone":
            raise unfinished
        return Deletion(_outcome(job), code)

    async def _plan(self, ticket_id: str, code: str) -> EraseJob:
        place = await self.spool.backend_ref(ticket_id)
        delivering = await self.spool.listing((State.DELIVERING,), ticket_id=ticket_id)
        stored = await self.spool.ticket_part(ticket_id, "contact")
        # Not what they say that they answer: that may be other people's mail.
        mails = decode_contact(stored).received if stored else ()
        return EraseJob(
            name=self.jobs.name_of(code),
            ticket_id=ticket_id,
            place=place or "",
            mails=tuple(mails),
            helpdesk="open" if place else "gone",
            mailbox="open" if mails and self.expunge is not None else "gone",
            due=self.clock.now(),
            asked_day=self.clock.now() // 86400,
            asked_hour=self.clock.now() // 3600,
            again=bool(place and delivering),
            here="open",
        )

    async def attempt(self, job: EraseJob, *, here: bool = False) -> EraseJob:
        """Try what is still open once, and store how far it came. `here`: our own copy has just gone."""
        async with self._turn:
            job = await self.jobs.get(job.name) or job
            # After a crash in between, the ticket itself may still be there: it goes before its copies. What
            # keeps its files here (a bucket that does not answer) keeps nobody from asking the others.
            job, why = (dataclasses.replace(job, here="gone"), "") if here else await self._erase_here(job)
            if job.helpdesk in ("open", "requested"):
                try:
                    found = await erase_in_helpdesk(self.backends, job.place, job.ticket_id)
                    if found is Erased.GONE and job.again:
                        # A call that was under way may have made a ticket after we looked.
                        job, why = dataclasses.replace(job, again=False), why or "delivery-under-way"
                        found = Erased.REQUESTED
                    job = dataclasses.replace(job, helpdesk=found.value)
                    why = why or {
                        Erased.REQUESTED: "host-command-needed",
                        Erased.UNSUPPORTED: "cannot-delete",
                    }.get(found, "")
                except VeildeskError as error:
                    why = why or error.code
                except Exception:
                    _log.exception("erase-failed reason=internal")
                    why = why or "internal"
            if job.mailbox == "open" and self.expunge is not None:
                try:
                    await self.expunge(job.mails)
                    job = dataclasses.replace(job, mailbox="gone", mails=())
                except VeildeskError as error:
                    why = why or error.code
                except Exception:
                    _log.exception("expunge-failed reason=internal")
                    why = why or "internal"
            job = self._after(job, why)
            await self.jobs.put(job)
            if why:
                _log.warning("erase-incomplete helpdesk=%s mailbox=%s why=%s", job.helpdesk, job.mailbox, why)
            return job

    async def _erase_here(self, job: EraseJob) -> tuple[EraseJob, str]:
        try:
            await self.spool.erase(job.ticket_id)
        except SpoolUnavailable as error:
            return job, error.code
        return dataclasses.replace(job, here="gone"), ""

    def _after(self, job: EraseJob, why: str) -> EraseJob:
        if job.finished:
            # Nothing is left to look for: what leads back to the ticket goes.
            hours = max(0, -(-self.clock.now() // 3600) - job.asked_hour)
            return dataclasses.replace(job, why=why, ticket_id="", place="", mails=(), hours=hours)
        pause = min(_FIRST_PAUSE * 2 ** min(job.attempts, 16), _LAST_PAUSE)
        if why == "delivery-under-way":
            pause = _UNDER_WAY
        elif job.helpdesk == "requested" and job.mailbox == job.here == "gone":
            pause = _ASK_AGAIN
        return dataclasses.replace(job, why=why, attempts=job.attempts + 1, due=self.clock.now() + pause)

    async def work(self) -> int:
        """Try every job that is due, and drop those whose 30 days are over; returns how many were tried."""
        now, tried = self.clock.now(), 0
        for job in await self.jobs.all():
            if job.asked_day + _DAYS < now // 86400:
                if not job.finished:
                    _log.error("erase-given-up helpdesk=%s mailbox=%s", job.helpdesk, job.mailbox)
                await self.jobs.drop(job.name)
            # What lies further ahead than any pause was noted by a clock that was wrong.
            elif not job.finished and not 0 < job.due - now <= _ASK_AGAIN:
                await self.attempt(job)
                tried += 1
        return tried

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.work()
            except VeildeskError as error:
                _log.warning("erase-jobs-failed reason=%s", error.code)
            except Exception:
                _log.exception("erase-jobs-failed reason=internal")
            await asyncio.sleep(self.seconds)

    async def look_up(self, code: str) -> EraseJob | None:
        """The job with this code; None for an unknown one, or one whose days are over."""
        plain = "".join(code.split()).replace("-", "").lower()
        return await self.jobs.get(self.jobs.name_of(plain)) if plain.isalnum() and plain.isascii() else None

    async def counts(self) -> dict[str, int]:
        """Deletions of the last 30 days: all, not finished ones, those of them that were asked for before
        yesterday, those that somebody wished, and how many hours the finished ones took, half of them and
        all."""
        jobs, today = await self.jobs.all(), self.clock.now() // 86400
        hours = sorted(job.hours for job in jobs if job.finished and job.hours >= 0)
        return {
            "asked": len(jobs),
            "unfinished": sum(not job.finished for job in jobs),
            "late": sum(not job.finished and job.asked_day < today - 1 for job in jobs),
            "wished": sum(job.wished for job in jobs),
            "median_hours": hours[len(hours) // 2] if hours else 0,
            "most_hours": hours[-1] if hours else 0,
        }


def _outcome(job: EraseJob) -> Erased:
    """What may be said now: an attempt that has to be repeated was asked for, and is not done."""
    return {"gone": Erased.GONE, "unsupported": Erased.UNSUPPORTED}.get(job.helpdesk, Erased.REQUESTED)


async def look_up_erasure(eraser: Eraser, code: str) -> Erasure | None:
    """What may be told to whoever has the code; None for an unknown one."""
    job = await eraser.look_up(code)
    if job is None:
        return None
    return Erasure(job.helpdesk, job.mailbox, job.why, job.finished, job.attempts, job.asked_day)
