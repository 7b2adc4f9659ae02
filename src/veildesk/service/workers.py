"""Loops that move messages on, poll helpdesks and sweep out what is old.

A fault never loses a message: passing ones are tried again with growing delays, lasting ones are parked
with a reason code and the state they were in, and a fault nobody foresaw is parked as "internal". The log
gets codes only; an exception's text may hold what it was working on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from veildesk.core.errors import FilesUnavailable, SpoolUnavailable, VeildeskError, WorkLost
from veildesk.core.limits import Limits
from veildesk.core.ports import Backend, Clock, Contacts, Listens, Spool
from veildesk.core.ticket import Erased
from veildesk.core.work import Direction, Reason, State, Work
from veildesk.replies.collect import collect_replies
from veildesk.service.eraser import Eraser
from veildesk.service.erasure import erase_in_helpdesk, place_in
from veildesk.service.inbound import Inbound
from veildesk.service.outages import Outages
from veildesk.service.outbound import Outbound
from veildesk.service.parking import Parking

__all__ = ["Poller", "Sweeper", "Worker", "reason_of"]

_log = logging.getLogger("veildesk.service")
_UNDER_WAY = (State.ACCEPTED, State.DELIVERING, State.COLLECTED, State.SENDING)
_GRACE_DAYS = 2
_UNNOTICED_DAYS = 2
_LEAST_PAUSE = 0.5
_QUARANTINE = frozenset(
    {
        Reason.UNPARSABLE,
        Reason.LIMIT,
        Reason.UNDECRYPTABLE,
        Reason.INTEGRITY,
        Reason.NOT_ENCRYPTED,
        Reason.NOT_SIGNED,
        Reason.SENDER,
    }
)


def reason_of(error: BaseException) -> Reason:
    """The code under which a fault is stored."""
    if isinstance(error, VeildeskError):
        try:
            return Reason(error.code)
        except ValueError:
            return Reason.NO_KEY if error.code == "key-unusable" else Reason.INTERNAL
    return Reason.INTERNAL


@dataclass(slots=True)
class Worker:
    """Claims work and runs the pipeline. `retry_seconds` is the first delay, doubled each time.

    500 attempts take five days, as long as mail servers try (RFC 5321 § 4.5.4.1).
    """

    spool: Spool
    inbound: Inbound
    outbound: Outbound
    retry_seconds: float = 5.0
    retry_ceiling: float = 900.0
    attempts: int = 500
    parking: Parking | None = None
    outages: Outages | None = None
    done: int = field(default=0)
    told: Callable[[Work], None] = lambda _: None
    _kept: list[Work] = field(default_factory=list)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._next()
        finally:
            with contextlib.suppress(VeildeskError):
                await self.spool.leave()

    async def _next(self) -> None:
        try:
            # A full disk recovers by itself; nobody else takes what we claimed and could not give back.
            while self._kept:
                await self.spool.release(self._kept[-1])
                self._kept.pop()
            claimed = await self.spool.claim(_UNDER_WAY, ahead=True)
            if not claimed:
                await self.spool.wait(15.0)
            for work in claimed:
                self._kept.append(work)
                await self.step(work)
                self._kept.pop()
        except SpoolUnavailable as error:
            _log.error("spool-unavailable reason=%s", error.code)
            await asyncio.sleep(1.0)

    async def step(self, work: Work) -> None:
        """One message, as far as it goes now."""
        try:
            if self.parking is not None and await self.parking.holds(work):
                await self.parking.park(work)
                return
            if work.direction is Direction.IN:
                finished = await self.inbound.run(work)
            else:
                finished = await self.outbound.run(work)
        except asyncio.CancelledError:
            with contextlib.suppress(VeildeskError):
                await asyncio.shield(self.spool.release(work))
            raise
        except WorkLost:
            _log.info("message-gone id=%s", work.message_id)
            current = await self._current(work)
            if (current.state, current.ticket_id) == (work.state, work.ticket_id):
                # Not this one is gone, but the ticket that it was to join.
                await self.spool.release(work)
        except Exception as error:
            # A message whose large parts cannot be had waits alone: see `FilesUnavailable`.
            if isinstance(error, SpoolUnavailable) and not isinstance(error, FilesUnavailable):
                _log.error("spool-unavailable message=%s", work.message_id)
                await asyncio.sleep(1.0)
                await self.spool.release(work)
                return
            try:
                await self._settle(work, error)
            except WorkLost:
                _log.info("message-gone id=%s", work.message_id)
        else:
            if finished.state is work.state:
                return
            self.done += 1
            if work.direction is Direction.OUT:
                self.told(finished)
            _log.info("message-done id=%s state=%s", finished.message_id, finished.state.value)
            if self.outages is not None:
                await self._bring_forward(self.outages, finished)

    async def _bring_forward(self, outages: Outages, finished: Work) -> None:
        if finished.state in (State.DELIVERED, State.SENT):
            with contextlib.suppress(SpoolUnavailable):
                await outages.done(finished)

    async def _settle(self, work: Work, error: Exception) -> None:
        reason = reason_of(error)
        # The stage may have moved the message on before it failed: go on from where it is now.
        current = await self._current(work)
        temporary = isinstance(error, VeildeskError) and error.temporary
        if temporary and current.attempts < self.attempts:
            delay = min(self.retry_seconds * 2.0 ** min(current.attempts, 16), self.retry_ceiling)
            _log.warning("message-postponed id=%s reason=%s", work.message_id, reason.value)
            await self.spool.postpone(current, reason, delay * random.uniform(0.8, 1.2))  # noqa: S311
            if self.outages is not None:
                with contextlib.suppress(SpoolUnavailable):
                    await self.outages.failed(current, reason)
            return
        if current.state is State.ACCEPTED and reason in _QUARANTINE:
            await self.spool.advance(current, State.QUARANTINED, reason=reason)
            _log.warning("message-quarantined id=%s reason=%s", work.message_id, reason.value)
            return
        # Told when it is true: the ticket may have been erased, which is what made a stage fail.
        parked = await self.spool.advance(current, State.PARKED, reason=reason)
        if reason is Reason.INTERNAL:
            _log.error("message-parked id=%s reason=internal", work.message_id, exc_info=error)
        else:
            _log.error("message-parked id=%s reason=%s", work.message_id, reason.value)
        if work.direction is Direction.OUT:
            self.told(parked)

    async def _current(self, work: Work) -> Work:
        found = await self.spool.listing(_UNDER_WAY, message_id=work.message_id)
        return found[0] if found else work


@dataclass(slots=True)
class Poller:
    """Asks one helpdesk for answers again and again. `nudge` makes it ask at once."""

    backend: Backend
    spool: Spool
    secret: bytes = field(repr=False)
    seconds: float
    limits: Limits = field(default_factory=Limits)
    healthy: bool = True
    outages: Outages | None = None
    _answered: bool = False
    _nudge: asyncio.Event = field(default_factory=asyncio.Event)

    def nudge(self) -> None:
        """Poll now."""
        self._nudge.set()

    async def run(self) -> None:
        """Poll until cancelled; a fault is logged and tried again. What is handed over is listened for."""
        async with asyncio.TaskGroup() as group:
            if isinstance(self.backend, Listens):
                group.create_task(self.backend.listen(self.nudge))
            group.create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            # Before the poll, so that whoever asks during it is answered by the next one.
            self._nudge.clear()
            try:
                await collect_replies(self.backend, self.spool, self.secret, place_in, self.limits)
                self.healthy = True
                if self.outages is not None and not self._answered:
                    await self.outages.answers(self.backend.name)
                self._answered = True
            except VeildeskError as error:
                self.healthy = self._answered = False
                _log.warning("poll-failed backend=%s reason=%s", self.backend.name, error.code)
            except Exception:
                self.healthy = self._answered = False
                _log.exception("poll-failed backend=%s reason=internal", self.backend.name)
            # However often it is asked, a helpdesk gets two polls a second at most.
            await asyncio.sleep(min(_LEAST_PAUSE, self.seconds))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.seconds - _LEAST_PAUSE)):
                    await self._nudge.wait()


@dataclass(slots=True)
class Sweeper:
    """Ends retention: the ticket's key first, then what the helpdesk holds.

    `clock` says what time has passed for certain, `latest` (seconds since 1970) what it may be at most.
    """

    spool: Spool
    backends: Mapping[str, Backend]
    clock: Clock
    rotate: Callable[[], Awaitable[int]] | None = None
    rotation_due: Callable[[], bool] = lambda: False
    contacts: Contacts | None = None
    retention_days: int = 14
    eraser: Eraser | None = None
    queue_days: Mapping[str, int] = field(default_factory=dict)
    expunge_before: Callable[[int], Awaitable[None]] | None = None
    latest: Callable[[], int] | None = None
    _expunged_day: int = 0
    seconds: float = 3600.0

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.shorten()
                await self.sweep()
                await self.forget_contacts()
                await self._rotate()
                await self.expunge_old_mail()
            except VeildeskError as error:
                _log.warning("sweep-failed reason=%s", error.code)
            except Exception:
                _log.exception("sweep-failed reason=internal")
            await asyncio.sleep(self.seconds)

    async def _rotate(self) -> None:
        """What was erased becomes unreadable in backups too once the old epoch keys are gone."""
        if self.rotate is not None and self.rotation_due():
            _log.info("rotated keys=%d", await self.rotate())

    async def forget_contacts(self) -> int:
        """Forget keys that nobody used for the days of retention; returns how many."""
        if self.contacts is None:
            return 0
        forgotten = await self.contacts.forget_before(self.clock.now() // 86400 - self.retention_days)
        if forgotten:
            _log.info("swept contacts=%d", forgotten)
        return forgotten

    async def expunge_old_mail(self) -> None:
        """Once a day, empty the source mailbox of mails that are past retention, whatever became of them.

        Not while a hold is on: its mails may be among them.
        """
        today = self.clock.now() // 86400
        if self.expunge_before is None or self._expunged_day == today:
            return
        if self.eraser is not None and await self.eraser.holds.any(today):
            return
        await self.expunge_before(today - self.retention_days)
        self._expunged_day = today

    async def shorten(self) -> int:
        """What came while the clock was ahead stays no longer than the rest; returns how many tickets.

        A clock that is behind by as little as goes unnoticed shortens nothing.
        """
        now = self.clock.now() if self.latest is None else self.latest()
        shortened = await self.spool.shorten(now // 86400 + self.retention_days + _UNNOTICED_DAYS)
        if shortened:
            _log.info("shortened tickets=%d", shortened)
        return shortened

    async def sweep(self) -> int:
        """Erase every ticket whose time is over; returns how many.

        While the helpdesk cannot be asked, its ticket waits for the next sweep, for two days at most:
        then our copy goes all the same, and the log names what the helpdesk still holds.
        """
        today = self.clock.now() // 86400
        if self.eraser is not None:
            return await self._sweep_by_jobs(self.eraser, today)
        overdue = set(await self.spool.expired(today - _GRACE_DAYS))
        erased = 0
        for ticket in await self.spool.expired(today):
            try:
                place = await self.spool.backend_ref(ticket)
                if place is not None:
                    outcome = await erase_in_helpdesk(self.backends, place, ticket)
                    if outcome is not Erased.GONE:
                        _log.warning("erase-incomplete ticket=%s outcome=%s", ticket, outcome.value)
            except VeildeskError as error:
                _log.error("erase-failed ticket=%s reason=%s", ticket, error.code)
                if ticket not in overdue:
                    continue
            await self.spool.erase(ticket)
            erased += 1
        if erased:
            _log.info("swept tickets=%d", erased)
        return erased

    async def _sweep_by_jobs(self, eraser: Eraser, today: int) -> int:
        """Erase what is over, here at once; a job sees to the helpdesk, however long that takes."""
        erased = 0
        # What a job is at already gets no second one each hour.
        begun = {job.ticket_id for job in await eraser.jobs.all() if not job.finished}
        for ticket in await self.spool.expired(today, self.queue_days):
            if ticket in begun:
                continue
            try:
                deletion = await eraser.erase(ticket, wished=False)
            except VeildeskError as error:
                _log.error("erase-failed ticket=%s reason=%s", ticket, error.code)
                continue
            erased += deletion.outcome is not Erased.KEPT
        if erased:
            _log.info("swept tickets=%d", erased)
        return erased
