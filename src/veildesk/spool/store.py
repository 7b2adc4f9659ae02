"""`SqlSpool`: the store behind `core.ports.Spool`, over SQLite or PostgreSQL.

It holds no rules of its own: it seals outside the transaction, hands operations to the writer thread,
and wakes those who wait. One store may be opened by several processes (SQLite: of one host); claims,
rotation and orphan sweeps respect the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable, VeildeskError, WorkLost
from veildesk.core.ports import Clock
from veildesk.core.submission import Accepted, Channel, PortalAnchor, SpareCode
from veildesk.core.ticket import CheckResult
from veildesk.core.work import Direction, Reason, State, Work
from veildesk.spool import accepting, anchored, checks, claiming, erasing, joining, rewording, rotation
from veildesk.spool.accepting import Incoming, Target
from veildesk.spool.ahead import ClaimsAhead
from veildesk.spool.brought import Load, load_all
from veildesk.spool.contacts import StoredContacts
from veildesk.spool.erase_jobs import EraseJobs, rewrap_jobs
from veildesk.spool.file_store import Where
from veildesk.spool.holds import Holds
from veildesk.spool.keyring import KeyRing
from veildesk.spool.opening import Opened, open_state, prepare
from veildesk.spool.parts import Stored
from veildesk.spool.reading import StoreReader
from veildesk.spool.store_intake import TRIES, Mark, StoreIntake, yield_to_others
from veildesk.spool.sweeping import sweep_for_ever
from veildesk.spool.wake import Wake

__all__ = ["SqlSpool"]

_LEASE_SECONDS = 1.0


class SqlSpool(StoreIntake, StoreReader):
    """A spool in `state_dir`: files/, and for SQLite spool.db with its log and workers/.

    Open it with `await SqlSpool.open(...)` on the event loop that will use it, and `await close()` it.
    `contacts` is the contact store in the same database.
    """

    def __init__(self, state: Opened, clock: Clock, retention_days: int, min_free: int) -> None:
        self._wake = Wake()
        StoreReader.__init__(self, state)
        StoreIntake.__init__(
            self,
            state.writer,
            state.vault,
            state.files,
            clock,
            retention_days,
            Mark(state.directory, min_free),
            self._wake.changed,
        )
        self._owner = state.database.owner
        self.contacts = StoredContacts(state.writer, state.vault)
        self.holds = Holds(state.writer, state.vault)
        self.erase_jobs = EraseJobs(state.writer, state.vault, state.ring)
        self._ahead = ClaimsAhead()
        self._rotating = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        state_dir: Path,
        keyring: KeyRing,
        clock: Clock,
        retention_days: int,
        *,
        database: str | None = None,
        files: Where | None = None,
        min_free: int = 64 * 1024 * 1024,
        reap_seconds: float = 2.0,
    ) -> Self:
        """Open or create the store, finish what a crash interrupted, free the claims of the dead.

        `database` is a libpq connection string, None for SQLite in `state_dir`; `files` where large
        parts lie if not in `state_dir`; below `min_free` bytes of free space nothing is accepted.
        Raises `ConfigInvalid` (store newer than the code), `KeyUnusable` (other ring), `SpoolUnavailable`.
        """
        state = await asyncio.to_thread(
            open_state, state_dir, files or state_dir / "files", keyring, database, asyncio.get_running_loop()
        )
        spool = cls(state, clock, retention_days, min_free)
        try:
            await state.writer.alone("open", lambda engine: prepare(engine, state))
            spool._listen()
            if len(keyring.epochs) > 1:
                await state.writer.alone(
                    "rotate", lambda engine: rotation.adopt(engine, state.vault, keyring)
                )
                await spool._rewrap()
        except BaseException:
            await spool.close()
            raise
        spool._tasks = [
            asyncio.create_task(spool._reap(reap_seconds), name="veildesk-spool-reaper"),
            asyncio.create_task(sweep_for_ever(state), name="veildesk-spool-sweeper"),
        ]
        return spool

    async def close(self) -> None:
        """Finish what waits and let go of claims, locks and files."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._writer.close()
        await asyncio.to_thread(self._state.close)

    @property
    def failed(self) -> bool:
        """True after a fault of the disk or loss of the database: all is refused until opened anew."""
        return self._writer.failed is not None

    async def failure(self) -> str:
        """Return when the store refuses for good, with the reason's code.

        Whoever uses the store must stop at once then: another process may take over its work.
        """
        await self._writer.ended.wait()
        return self._writer.failed or "closed"

    async def lease(self, name: str) -> None:
        """Return when this process is the one that does `name`; it stays so until it ends.

        When the process that had it dies, the next one gets it within seconds.
        """
        while not await asyncio.to_thread(self._state.database.lease, name):  # noqa: ASYNC110
            await asyncio.sleep(_LEASE_SECONDS)

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()

        def within(run: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # The loop ended first.
                loop.call_soon_threadsafe(run)

        self._state.database.listen(lambda: within(self._wake.changed), self._writer.fail)

    # ------------------------------------------------------------------ taking over

    async def _settle(self, incoming: Incoming, accepted: Accepted | None) -> Accepted | None:
        if accepted is not None and accepted.fresh and incoming.target.fresh:
            self._brought.accepted(incoming.message, incoming.target.ticket, incoming.target.key)
        return await super()._settle(incoming, accepted)

    async def collect(
        self, ticket_id: str, dedup: bytes, parts: Mapping[str, bytes], cursor: tuple[str, str] | None
    ) -> Accepted:
        """Take over an answer of an agent. Raises `WorkLost` when the ticket is gone."""
        self._mark.check()
        for attempt in range(TRIES):
            target = await self._target(ticket_id)
            message_id = accepting.new_id()
            incoming = Incoming(
                message=message_id,
                target=target,
                direction=Direction.OUT,
                channel=Channel.BACKEND,
                queue="",
                dedup=dedup,
                day=self._today(),
                expires_day=self._today() + self._retention_days,
                parts=[await self._seal(target, message_id, name, data) for name, data in parts.items()],
            )
            run = partial(self._collect, incoming=incoming, cursor=cursor)
            accepted = await self._settle(incoming, await self._writer.do("collect", run))
            if accepted is not None:
                return accepted
            await yield_to_others(attempt)
        raise SpoolUnavailable("busy")

    def _collect(
        self, connection: sa.Connection, incoming: Incoming, cursor: tuple[str, str] | None
    ) -> Accepted | None:
        accepted = accepting.keep(connection, self._vault, incoming)
        if accepted is not None and cursor is not None:
            self._state.cursors.store(connection, *cursor)
        return accepted

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        """New words for a thread; False when something came between. Raises `WorkLost`."""
        found = await self._read(lambda connection: anchored.thread_of(connection, self._vault, lookup_id))
        if found is None:
            raise WorkLost("ticket gone")
        places = [stored.place for stored in found.entries]
        if len(places) != len(entries):
            return False
        target = Target(found.ticket, found.key, len(entries))
        full = {place.part: entry for place, entry in zip(places, entries, strict=True)}
        full |= {rewording.spare_part(spare.digest): spare.sealed for spare in spares}
        sealed = [await self._seal(target, "", name, data) for name, data in full.items()]
        change = rewording.Rewording(
            ticket=found.ticket,
            lookup=lookup_id,
            new_lookup=anchor.lookup_id,
            sealed_anchor=anchored.seal_anchor(target, anchor),
            places=places,
            parts=sealed,
            digests=[spare.digest for spare in spares],
        )
        files = await self._writer.do("reword", lambda connection: rewording.reword(connection, change))
        if files is None:
            await self._discard(sealed)
            return False
        await self._forget(files)
        # What the old words open leaves the log too, as soon as no reader holds it.
        await self._writer.alone("checkpoint", lambda _: self._state.database.checkpoint())
        return True

    # ------------------------------------------------------------------ work

    async def claim(self, states: Collection[State], limit: int = 1, *, ahead: bool = False) -> list[Work]:
        """Claim due work; a message waits while an earlier one of its ticket is on its way."""
        self._wake.look()
        if ahead:
            self._ahead.go_on(states)
        if claimed := self._ahead.take():
            return claimed
        claimed, loads = await self._writer.do("claim", partial(self._claim, states=states, limit=limit))
        self._brought.keep(loads)
        return claimed

    async def leave(self) -> None:
        """Give back what was claimed ahead for this task."""
        for work in self._ahead.leave():
            await self.release(work)

    def _claim(
        self, connection: sa.Connection, states: Collection[State], limit: int
    ) -> tuple[list[Work], list[Load]]:
        works = claiming.claim(connection, self._owner, states, limit, self._now())
        return works, load_all(connection, self._vault, works, self._brought.known)

    async def wait(self, timeout: float) -> None:
        """Return when something changed since this task's last claim, or when work becomes due."""
        now = self._now()
        due = await self._writer.do("read", lambda connection: claiming.next_due(connection, now))
        await self._wake.wait(timeout if due is None else min(timeout, due - now))

    async def advance(
        self,
        work: Work,
        to: State,
        *,
        reason: Reason = Reason.NONE,
        parts: Mapping[str, bytes | None] | None = None,
        ticket_parts: Mapping[str, bytes | None] | None = None,
        backend_ref: str | None = None,
        marker: bytes | None = None,
        thread_entry: bytes | None = None,
    ) -> Work:
        """Change state with everything that belongs to it, in one commit.

        Raises ValueError for a transition that does not exist, `WorkLost` when the message is gone or
        another process has it, `SpoolUnavailable`.
        """
        claiming.check_transition(work, to)
        blobs = anchored.blobs(work, parts or {}, ticket_parts or {}, backend_ref)
        for attempt in range(TRIES):
            target = await self._sealing(work, blobs, thread_entry)
            full = blobs
            if target is not None and thread_entry is not None:
                full = {**blobs, ("", accepting.thread_part(target.position)): thread_entry}
            sealed = await self._seal_all(target, full)
            change = anchored.Change(
                work, to, reason, sealed, tuple(full), target, marker, thread_entry is not None
            )
            wanted = () if to in claiming.MOVING else self._ahead.wanted()
            run = partial(self._advance, change=change, wanted=wanted)
            over = True
            try:
                changed, claimed, loads = await self._writer.do("advance", run)
                over = to not in claiming.MOVING
            finally:
                self._changed_by(work, over)
            self._brought.keep(loads)
            self._ahead.put(claimed)
            if changed is not None:
                await self._forget(changed.names)
                self._wake.changed(but_me=to in (State.DELIVERING, State.SENDING))
                return changed.work
            await self._discard(sealed)
            await yield_to_others(attempt)
        raise SpoolUnavailable("busy")

    def _advance(
        self, connection: sa.Connection, change: anchored.Change, wanted: Collection[State]
    ) -> tuple[anchored.Changed | None, list[Work], list[Load]]:
        changed = anchored.apply(connection, self._vault, self._owner, change)
        if changed is None or not wanted:
            return changed, [], []
        return changed, *self._claim(connection, wanted, 1)

    async def _sealing(
        self, work: Work, blobs: Mapping[tuple[str, str], bytes | None], thread_entry: bytes | None
    ) -> Target | None:
        """What to seal for, None when nothing is to be sealed. Where the next entry goes is asked for."""
        if thread_entry is not None:
            return await self._target(work.ticket_id)
        if not blobs:
            return None
        key = self._brought.key(work)
        return await self._target(work.ticket_id) if key is None else Target(work.ticket_id, key, 0)

    def _changed_by(self, work: Work, over: bool) -> None:
        self._brought.changed(work.ticket_id)
        if over:
            self._brought.ended(work)

    async def postpone(self, work: Work, reason: Reason, delay: float) -> None:
        """Count a failed attempt; due again in `delay` seconds, a day at most. Raises `WorkLost`."""
        self._brought.ended(work)
        seconds = int(min(max(delay, 0.0), claiming.LONGEST_DELAY) + 0.999)
        due_at = self._now() + seconds if seconds else 0
        await self._writer.do(
            "postpone",
            lambda connection: claiming.postpone(connection, self._owner, work, reason, due_at),
        )
        self._wake.changed(but_me=True)

    async def release(self, work: Work) -> None:
        """Give a claim back unchanged."""
        self._brought.ended(work)
        await self._writer.do("release", lambda connection: claiming.release(connection, self._owner, work))
        self._wake.changed(but_me=True)

    async def retry(self, message_id: str) -> Work:
        """Bring a parked, held, quarantined or postponed message back, due at once.

        Raises `WorkLost` for an unknown message, ValueError for a finished one.
        """
        work = await self._writer.do("retry", lambda connection: claiming.retry(connection, message_id))
        self._wake.changed()
        return work

    async def hasten(self, reason: Reason, queues: Collection[str] | None) -> int:
        """Make what is postponed for `reason`, of these queues or all, due at once; returns how many."""
        count = await self._writer.do(
            "retry", lambda connection: claiming.hasten(connection, self._now(), reason, queues)
        )
        if count:
            self._wake.changed()
        return count

    async def join(self, work: Work, ticket_id: str) -> Work:
        """Move a claimed message into another ticket; its old ticket goes if nothing else is in it.

        Raises `WorkLost` when the message or the other ticket is gone.
        """
        if ticket_id == work.ticket_id:
            return work
        self._brought.ended(work)
        source, target, held = await self._read(
            lambda connection: joining.both(connection, self._vault, work, ticket_id)
        )
        opened = {stored.place.part: await self._files.open(source.key, stored) for stored in held}
        sealed = [await self._seal(target, work.message_id, name, data) for name, data in opened.items()]
        expires_day = self._today() + self._retention_days

        def run(connection: sa.Connection) -> tuple[Work, list[str], list[Load]]:
            moved, files = joining.join(
                connection, self._vault, self._owner, work, target, sealed, expires_day
            )
            # What the ticket holds already is asked for next.
            return moved, files, load_all(connection, self._vault, [moved], lambda _: None)

        moved, files, loads = await self._writer.do("join", run)
        self._brought.keep(loads)
        await self._forget(files)
        return moved

    async def set_cursor(self, backend: str, position: str) -> None:
        """Store a position."""
        await self._writer.do(
            "cursor", lambda connection: self._state.cursors.store(connection, backend, position)
        )

    async def forget_markers(self, ticket_id: str) -> int:
        """Let no marker lead to a mail ticket any more; returns how many did."""
        return await self._writer.do(
            "markers", lambda connection: anchored.forget_markers(connection, ticket_id)
        )

    # ------------------------------------------------------------------ destroying and checking

    async def erase(self, ticket_id: str) -> None:
        """Destroy a ticket's key, then files and rows; the log is truncated when this returns.

        Raises `SpoolUnavailable` when another reader kept the log ("log-in-use") or files could not be
        removed; repeat it then.
        """
        self._brought.erased(ticket_id)
        try:
            database, today = self._state.database, self._today()
            await erasing.erase(self._writer, database, self._vault, self._files, ticket_id, today)
        finally:  # Claimed while it waited.
            self._brought.erased(ticket_id)
        self._wake.changed()

    async def rotate(self) -> int:
        """Wrap all data keys under a fresh epoch key and destroy the old ones; returns how many keys.

        Afterwards no older copy of the database opens with today's ring.
        """
        async with self._rotating:
            await self._writer.alone(
                "rotate", lambda engine: rotation.begin(engine, self._vault, self._state.ring)
            )
            return await self._rewrap()

    async def _rewrap(self) -> int:
        changed = 0
        end = partial(rotation.finish, self._state.database, self._state.ring)
        while True:
            after: str | None = ""
            while after is not None:
                run = partial(self._vault.rewrap, after=after)
                after, count = await self._writer.do("rotate", run)
                changed += count
            changed += await self._rewrap_the_rest()
            if await self._writer.alone("rotate", lambda _: end()):
                return changed

    async def _rewrap_the_rest(self) -> int:
        """What hangs on no ticket: contacts, erase jobs, positions."""
        changed, more = 0, True
        while more:
            more, count = await self._writer.do("rotate", self.contacts.rewrap)
            changed += count

        def small(connection: sa.Connection) -> int:
            return self._state.cursors.rewrap(connection) + rewrap_jobs(connection, self._vault)

        return changed + await self._writer.do("rotate", small)

    async def check(self) -> list[CheckResult]:
        """What can be said about the store's health, without changing anything."""
        return await self._writer.alone(
            "check", lambda engine: checks.check(engine, self._state, self._mark.min_free)
        )

    # ------------------------------------------------------------------ inside

    def _now(self) -> int:
        return self._clock.now()

    async def _target(self, ticket_id: str) -> Target:
        target = await self._read(lambda connection: accepting.target_of(connection, self._vault, ticket_id))
        if target is None:
            raise WorkLost("ticket gone")
        return target

    async def _seal_all(
        self, target: Target | None, blobs: Mapping[tuple[str, str], bytes | None]
    ) -> list[Stored]:
        if target is None:
            return []
        return [
            await self._seal(target, message_id, name, data)
            for (message_id, name), data in blobs.items()
            if data is not None
        ]

    async def _reap(self, seconds: float) -> None:
        version: int | None = None
        while True:
            await asyncio.sleep(seconds)
            self._brought.forget_old()
            with contextlib.suppress(VeildeskError):
                freed, current = await self._writer.do("look", self._state.look_around)
                if freed or current != version:
                    version = current
                    self._wake.changed()
