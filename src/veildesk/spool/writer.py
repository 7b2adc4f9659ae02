"""The one thread that touches the database, with group commit.

Callers on the event loop hand in small functions; the thread takes all that wait, runs each within a
savepoint of one transaction, commits once, and only then tells the callers. So concurrent accepts share
an fsync. After a failed read, write or fsync nothing is accepted any more: what the kernel did with the
pages is unknown then, and trying again could call lost data safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.spool.crashpoint import WAKING, WRITES, crashpoint
from veildesk.spool.database import UNKNOWN_ERROR, Database
from veildesk.spool.durable import disk_error

__all__ = ["Operation", "Writer"]

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)
Out = TypeVar("Out", covariant=True)
Operation = Callable[[sa.Connection], T]


class Batch(Protocol[Item, Out]):
    """An operation over all items of a group; one result for each, in order."""

    def __call__(self, connection: sa.Connection, items: Sequence[Item]) -> Sequence[Out]:
        """Run it."""


_LOG = logging.getLogger("veildesk.spool")
READ = "read"
"""The kind of operations that change nothing."""

_GROUP = 256
_WAITING = 4096
_RACES = 6


# What an operation raises on purpose; it undoes that operation and no other.
_ON_PURPOSE = (VeildeskError, ValueError, LookupError)


class _Undone(Exception):
    """Rolls a transaction back whose only job has its error already."""


class _Spoiled(Exception):
    """Rolls a group back of which one operation has to be undone by itself; `error` is why."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@dataclass(slots=True, eq=False)
class _Job:
    """One caller's request; exactly one of `run`, `batch` and `alone` is set."""

    kind: str
    future: asyncio.Future[Any]
    run: Operation[Any] | None = None
    batch: Batch[Any, Any] | None = None
    item: Any = None
    alone: Callable[[sa.Engine], Any] | None = None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs operations on `database` in a thread of its own.

    `do` and `many` join others in a shared transaction; `alone` gets the engine for operations that need
    several transactions or checkpoints.
    """

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._engine = database.engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._failed: str | None = None
        self._closed = False
        self._loop = loop
        self._connection: sa.Connection | None = None
        self._told: deque[_Job] = deque()
        self._telling = False
        self.ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="veildesk-spool", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> str | None:
        """The code of the failure after which nothing is accepted, None when all is well."""
        return self._failed

    @property
    def waiting(self) -> int:
        """Operations that wait."""
        return self._jobs.qsize()

    def fail(self, detail: str) -> None:
        """Accept nothing from now on. May be called from any thread."""
        if self._failed is None and not self._closed:
            self._failed = detail
            _LOG.critical("spool-failed code=%s", detail)
            with contextlib.suppress(RuntimeError):  # The loop is gone, and so is who could wait.
                self._loop.call_soon_threadsafe(self.ended.set)

    async def do(self, kind: str, run: Operation[T]) -> T:
        """Run one operation within the next group; returns after its commit.

        Raises what `run` raises, or `SpoolUnavailable`; in both cases nothing of it was kept.
        """
        result: T = await self._submit(_Job(kind, self._loop.create_future(), run=run))
        return result

    async def many(self, kind: str, batch: Batch[Item, T], item: Item) -> T:
        """Like `do` for operations that are cheaper together: `batch` gets all items of a group."""
        result: T = await self._submit(_Job(kind, self._loop.create_future(), batch=batch, item=item))
        return result

    async def alone(self, kind: str, run: Callable[[sa.Engine], T]) -> T:
        """Run `run` between two groups; it makes its own transactions."""
        result: T = await self._submit(_Job(kind, self._loop.create_future(), alone=run))
        return result

    def _submit(self, job: _Job) -> asyncio.Future[Any]:
        if self._closed or self._failed is not None:
            raise SpoolUnavailable(self._failed or "closed")
        if self._jobs.qsize() >= _WAITING:
            raise SpoolUnavailable("busy")
        self._jobs.put(job)
        return job.future

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # ------------------------------------------------------------------ in the thread

    def _work(self) -> None:
        try:
            while self._serve(self._jobs.get()):
                pass
        finally:
            # Also when the thread dies of a fault of ours: nobody may wait for ever.
            self.fail("ended")
            self._refuse_rest()
            self._let_go()
            self._engine.dispose()  # SQLite wants it done by the thread that opened it.

    def _refuse_rest(self) -> None:
        while not self._jobs.empty():
            if (job := self._jobs.get()) is not None:
                job.error = SpoolUnavailable("ended")
                self._tell([job])

    def _serve(self, job: _Job | None) -> bool:
        """Run `job` and what else waits. False when the end was reached."""
        group: list[_Job] = []
        while job is not None and job.alone is None:
            group.append(job)
            if len(group) >= _GROUP:
                self._run_group(group)
                return True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                self._run_group(group)
                return True
        self._run_group(group)
        if job is None:
            return False
        self._run_alone(job)
        return True

    def _run_group(self, group: list[_Job]) -> None:
        if not group:
            return
        try:
            self._repeat(lambda: self._transact(group))
        except Exception as error:  # Whatever it was: nothing of this group was kept.
            if len(group) > 1 and self._is_of_one(error):
                for job in group:
                    self._run_group([job])
                return
            unavailable = self._translate(error)
            for job in group:
                job.error = SpoolUnavailable(unavailable.detail)
        else:
            _mark(group, "after-commit")
        self._tell(group)

    def _is_of_one(self, error: Exception) -> bool:
        """Whether one operation spoils the group for the others: each is run by itself then."""
        if isinstance(error, (SpoolUnavailable, OSError)) or self._database.is_fatal(error):
            return False
        return self._database.is_race(error) or self._database.explain(error).detail == UNKNOWN_ERROR

    def _transact(self, group: list[_Job]) -> None:
        for job in group:
            job.error = None
        if self._failed is not None:
            raise SpoolUnavailable(self._failed)
        if len(group) == 1:
            self._transact_one(group[0])
            return
        try:
            self._transact_all(group, _together)
        except _Spoiled:
            for job in group:
                job.error = None
            self._transact_all(group, _within_savepoint)

    def _transact_all(self, group: list[_Job], within: Callable[..., None]) -> None:
        with self._transaction() as connection:
            self._run_batches(connection, [job for job in group if job.batch is not None], within)
            for job in group:
                if job.run is not None:
                    within(connection, [job], job.run)
            if any(job.error is None and job.kind in WAKING for job in group):
                self._database.announce(connection)
            _mark(group, "before-commit")

    def _transact_one(self, job: _Job) -> None:
        """The common case: one job, which needs no savepoint to be undone by itself."""
        with contextlib.suppress(_Undone), self._transaction() as connection:
            try:
                if job.batch is not None:
                    (job.result,) = job.batch(connection, [job.item])
                else:
                    assert job.run is not None
                    job.result = job.run(connection)
            except _ON_PURPOSE as error:
                job.error = _without_frames(error)
                raise _Undone from None
            if job.kind in WAKING:
                self._database.announce(connection)
            _mark([job], "before-commit")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """On a connection that is kept: fetching one from the pool costs more than an empty transaction."""
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                yield self._connection
        except (_Undone, _Spoiled):
            raise
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # What matters was said by the error before.
                connection.close()

    def _repeat(self, run: Callable[[], T]) -> T:
        """Run until no other process was faster; the last time let the error through."""
        for attempt in range(_RACES):
            try:
                return run()
            except Exception as error:
                if not self._database.is_race(error):
                    raise
                time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311
        return run()

    @staticmethod
    def _run_batches(connection: sa.Connection, jobs: list[_Job], within: Callable[..., None]) -> None:
        by_batch: dict[Batch[Any, Any], list[_Job]] = {}
        for job in jobs:
            assert job.batch is not None
            by_batch.setdefault(job.batch, []).append(job)
        for batch, members in by_batch.items():
            within(connection, members, partial(batch, items=[job.item for job in members]))

    def _run_alone(self, job: _Job) -> None:
        assert job.alone is not None
        try:
            if self._failed is not None:
                raise SpoolUnavailable(self._failed)
            alone = job.alone
            job.result = self._repeat(lambda: alone(self._engine))
        except VeildeskError as error:
            job.error = _without_frames(error)
        except Exception as error:
            job.error = self._translate(error)
        self._tell([job])

    def _tell(self, jobs: Sequence[_Job]) -> None:
        """Hand results to the event loop, with one wake-up for all that it has not taken yet."""
        self._told.extend(jobs)
        if self._telling:
            return
        self._telling = True
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # The loop ended while its caller was still waiting; what was done stays done.
            _LOG.debug("spool-caller-gone")

    def _settle(self) -> None:
        """On the event loop. Whoever tells from now on calls again; what was told before is taken here."""
        self._telling = False
        while self._told:
            job = self._told.popleft()
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)

    def _translate(self, error: Exception) -> SpoolUnavailable:
        if isinstance(error, SpoolUnavailable):
            return error
        unavailable = disk_error(error) if isinstance(error, OSError) else self._database.explain(error)
        if self._database.is_fatal(error):
            self.fail(unavailable.detail)
        else:
            _LOG.error("spool-unavailable code=%s", unavailable.detail)
        return unavailable


def _without_frames(error: Exception) -> Exception:
    """Frames that an error leads to would hold what was sealed until somebody looks for cycles.

    Of a fault nobody foresaw they are worth that.
    """
    if isinstance(error, VeildeskError):
        error.__context__ = None
        return error.with_traceback(None)
    return error


def _together(connection: sa.Connection, jobs: list[_Job], run: Operation[Any]) -> None:
    """Run for one job, or for several that share a result list. Raises `_Spoiled` for an error on purpose.

    They are rare, and savepoints cost as much as the statements within.
    """
    try:
        result = run(connection)
    except _ON_PURPOSE as error:
        if jobs[0].kind != READ:
            raise _Spoiled(_without_frames(error)) from None
        jobs[0].error = _without_frames(error)  # There is nothing to undo.
        return
    for job, value in zip(jobs, result if jobs[0].batch is not None else [result], strict=True):
        job.result = value


def _within_savepoint(connection: sa.Connection, jobs: list[_Job], run: Operation[Any]) -> None:
    """As `_together`; an error on purpose undoes only these."""
    # By the driver: SQLAlchemy's own nested transactions cost several times as much.
    cursor = connection.connection.cursor()
    cursor.execute("SAVEPOINT one")
    try:
        _together(connection, jobs, run)
    except _Spoiled as spoiled:
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        for job in jobs:
            job.error = spoiled.error
    cursor.execute("RELEASE SAVEPOINT one")


def _mark(group: list[_Job], when: str) -> None:
    for job in group:
        if job.error is None and job.kind in WRITES:
            crashpoint(f"{job.kind}.{when}")
