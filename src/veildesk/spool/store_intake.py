"""Taking over: the half of a store that a process without the key ring has too.

`StoreIntake` seals and keeps. `SqlSpool` builds on it; `AcceptOnlySpool` is it alone, with keys that open
nothing, for a process that does nothing but answer SMTP, LMTP or the portal's first post.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.core.ports import Clock
from veildesk.core.submission import Accepted, Submission
from veildesk.core.work import Direction
from veildesk.spool import accepting, anchored, rewording
from veildesk.spool.accepting import Incoming, Known, Target
from veildesk.spool.belonging import check_bound
from veildesk.spool.database import Database
from veildesk.spool.file_store import Where
from veildesk.spool.migrate import stored_version
from veildesk.spool.opening import open_database
from veildesk.spool.parts import PartFiles, Stored
from veildesk.spool.schema import SCHEMA_VERSION
from veildesk.spool.sealing import Place, new_data_key
from veildesk.spool.sweeping import tidy
from veildesk.spool.vault import DataKeys, IntakeKeys
from veildesk.spool.writer import Operation, Writer

__all__ = ["TRIES", "AcceptOnlySpool", "StoreIntake", "yield_to_others"]

T = TypeVar("T")
_DAY = 86_400
TRIES = 40
_LOOK_SECONDS = 2.0
_TIDY_EVERY = 30


@dataclass(frozen=True, slots=True)
class Mark:
    """Below `min_free` bytes of free space at `directory` nothing is accepted."""

    directory: Path
    min_free: int

    def check(self) -> None:
        """Raises `SpoolUnavailable`."""
        try:
            space = os.statvfs(self.directory)
        except OSError:
            raise SpoolUnavailable("state directory not readable") from None
        if space.f_bavail * space.f_frsize < self.min_free:
            raise SpoolUnavailable("disk-full")


class StoreIntake:
    """`changed` is called after each commit that others may wait for."""

    def __init__(
        self,
        writer: Writer,
        keys: DataKeys,
        files: PartFiles,
        clock: Clock,
        retention_days: int,
        mark: Mark,
        changed: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._keys = keys
        self._files = files
        self._clock = clock
        self._retention_days = retention_days
        self._mark = mark
        self._changed = changed

    async def accept(self, submission: Submission) -> Accepted:
        """Keep a submission; returns after the fsync that made it safe. Raises `SpoolUnavailable`."""
        self._mark.check()
        anchor = submission.anchor
        lookup = None if anchor is None else anchor.lookup_id
        for attempt in range(TRIES):
            known = Known(None, None)
            if anchor is not None or len(submission.payload) > 65536:
                known = await self._read(
                    lambda connection: accepting.find_known(connection, self._keys, submission.dedup, lookup)
                )
            if known.accepted is not None:
                return known.accepted
            target = known.target or Target(accepting.new_id(), new_data_key(), 0, fresh=True)
            incoming = await self._incoming(submission, target)
            accepted = await self._settle(
                incoming, await self._writer.many("accept", self._accept_all, incoming)
            )
            if accepted is not None:
                return accepted
            await yield_to_others(attempt)
        raise SpoolUnavailable("busy")

    async def _incoming(self, submission: Submission, target: Target) -> Incoming:
        message_id = submission.message_id or accepting.new_id()
        parts = [await self._seal(target, message_id, "raw", submission.payload)]
        sealed_anchor: bytes | None = None
        if submission.anchor is not None:
            sealed_anchor = anchored.seal_anchor(target, submission.anchor)
            if submission.thread_entry is not None:
                name = accepting.thread_part(target.position)
                parts.append(await self._seal(target, "", name, submission.thread_entry))
        spares = submission.spares if target.fresh else ()
        parts += [await self._seal(target, "", rewording.spare_part(s.digest), s.sealed) for s in spares]
        return Incoming(
            message=message_id,
            target=target,
            direction=Direction.IN,
            channel=submission.channel,
            queue=submission.queue,
            dedup=submission.dedup,
            day=self._today(),
            expires_day=self._today() + self._retention_days,
            parts=parts,
            lookup=None if submission.anchor is None else submission.anchor.lookup_id,
            sealed_anchor=sealed_anchor,
            markers=[spare.digest for spare in spares],
        )

    def _accept_all(self, connection: sa.Connection, items: Sequence[Incoming]) -> list[Accepted | None]:
        return accepting.keep_all(connection, self._keys, items)

    async def _settle(self, incoming: Incoming, accepted: Accepted | None) -> Accepted | None:
        if accepted is None or not accepted.fresh:
            await self._discard(incoming.parts)
        else:
            self._changed()
        return accepted

    async def _seal(self, target: Target, message_id: str, name: str, data: bytes) -> Stored:
        try:
            return await self._files.seal(target.key, Place(target.ticket, message_id, name), data)
        except SpoolUnavailable as error:
            if error.detail == "io-error":
                self._writer.fail(error.detail)
            raise

    async def _discard(self, parts: Iterable[Stored]) -> None:
        await self._forget([stored.file for stored in parts if stored.file is not None])

    async def _forget(self, files: Collection[str]) -> None:
        # The rows are gone: a file that cannot be removed now is removed later.
        if files:
            with contextlib.suppress(SpoolUnavailable):
                await self._files.remove(files)

    def _today(self) -> int:
        return self._clock.now() // _DAY

    async def _read(self, run: Operation[T]) -> T:
        return await self._writer.do("read", run)


class AcceptOnlySpool(StoreIntake):
    """A store opened without the key ring: it keeps mails and first posts, and cannot read any of them.

    A further post to a thread is refused with `KeyUnusable`: its ticket's key is not to be had here.
    """

    def __init__(
        self, database: Database, writer: Writer, files: PartFiles, secret: bytes, clock: Clock, days: int,
        mark: Mark,
    ) -> None:  # fmt: skip
        self._database = database
        self._intake_keys = IntakeKeys(secret)
        self._watch: asyncio.Task[None] | None = None
        super().__init__(writer, self._intake_keys, files, clock, days, mark, lambda: None)

    @classmethod
    async def open(
        cls,
        state_dir: Path,
        intake_secret: bytes,
        clock: Clock,
        retention_days: int,
        *,
        database: str | None = None,
        files: Where | None = None,
        min_free: int = 64 * 1024 * 1024,
    ) -> Self:
        """Open a store that a gateway made; nothing in it is upgraded, finished or swept from here.

        `intake_secret` is `KeyRing.intake_secret`; the rest as in `SqlSpool.open`. Raises `ConfigInvalid`
        (no store, or of another version), `KeyUnusable` (another gateway's), `SpoolUnavailable`.
        """
        if database is None and not (state_dir / "spool.db").exists():
            raise ConfigInvalid("there is no store in the state directory; start the gateway once")
        loop = asyncio.get_running_loop()
        found, kept = await asyncio.to_thread(
            open_database, state_dir, files or state_dir / "files", database
        )
        writer = Writer(found, loop)
        spool = cls(found, writer, kept, intake_secret, clock, retention_days, Mark(state_dir, min_free))
        try:
            await writer.do("read", spool._look)
            await asyncio.to_thread(check_bound, kept.store, intake_secret)
        except BaseException:
            await spool.close()
            raise
        found.listen(lambda: None, writer.fail)
        spool._watch = asyncio.create_task(spool._look_again(), name="veildesk-spool-look")
        return spool

    def _look(self, connection: sa.Connection) -> None:
        version = stored_version(connection)
        if version != SCHEMA_VERSION:
            raise ConfigInvalid("the store is not of this version; start the gateway once")
        self._intake_keys.check(connection)

    async def _look_again(self) -> None:
        """A store that was moved away or upgraded under us takes nothing more from here."""
        for number in itertools.count(1):
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._read(self._look)
                if number % _TIDY_EVERY == 0:
                    await tidy(self._writer, self._files)
            except (ConfigInvalid, KeyUnusable):
                self._writer.fail("moved")
                return
            except SpoolUnavailable:
                continue

    async def failure(self) -> str:
        """Return when the store refuses for good, with the reason's code."""
        await self._writer.ended.wait()
        return self._writer.failed or "closed"

    async def close(self) -> None:
        """Finish what waits and let go of locks and files."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._writer.close()
        self._files.store.close()
        await asyncio.to_thread(self._database.close)


async def yield_to_others(attempt: int) -> None:
    """After another entry of the same thread was faster: wait a moment, longer each time."""
    await asyncio.sleep(random.uniform(0, 0.002 * min(attempt + 1, 25)))  # noqa: S311
