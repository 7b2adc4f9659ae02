"""The one thread that touches the database, with group commit.

Callers on the event loop hand in small functions; the thread takes all that wait, runs each within a
savepoint of one transaction, commits once, and only then tells the callers. So concurrent accepts share
an fsync. After a failed read, write or fsync nothing is accepted any more: what the kernel did with the
pages is unknown then, and trying again could call lost data safe.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.spool.crashpoint import WRITES, crashpoint
from veildesk.spool.database import database_error, is_fatal

__all__ = ["Operation", "Writer"]

T = TypeVar("T")
Operation = Callable[[sa.Connection], T]

_LOG = logging.getLogger("veildesk.spool")
_GROUP = 256
_WAITING = 4096


@dataclass(slots=True)
class _Job:
    kind: str
    run: Callable[[sa.Connection], Any] | None
    alone: Callable[[sa.Engine], Any] | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs operations on `engine` in a thread of its own.

    `do` joins others in a shared transaction; `alone` gets the engine for operations that need several
    transactions or checkpoints. `fatal` is called once, in the thread, when the disk failed.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._failed: str | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="veildesk-spool", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> str | None:
        """The code of the failure after which nothing is accepted, None when all is well."""
        return self._failed

    def fail(self, detail: str) -> None:
        """Accept nothing from now on."""
        if self._failed is None:
            self._failed = detail
            _LOG.critical("spool-failed code=%s", detail)

    async def do(self, kind: str, run: Operation[T]) -> T:
        """Run one operation within the next group; returns after its commit.

        Raises what `run` raises, or `SpoolUnavailable`; in both cases nothing of it was kept.
        """
        result: T = await self._submit(kind, run, None)
        return result

    async def alone(self, kind: str, run: Callable[[sa.Engine], T]) -> T:
        """Run `run` between two groups; it makes its own transactions."""
        result: T = await self._submit(kind, None, run)
        return result

    def _submit(
        self, kind: str, run: Operation[Any] | None, alone: Callable[[sa.Engine], Any] | None
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed or self._failed is not None:
            future.set_exception(SpoolUnavailable(self._failed or "closed"))
        elif self._jobs.qsize() >= _WAITING:
            future.set_exception(SpoolUnavailable("busy"))
        else:
            self._jobs.put(_Job(kind, run, alone, loop, future))
        return future

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        try:
            self._serve()
        finally:
            self._engine.dispose()  # SQLite wants it done by the thread that opened it.

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            ending = False
            while job.alone is None and len(group) < _GROUP:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ending = True
                    break
                group.append(more)
                job = more
            self._run_group([member for member in group if member.run is not None])
            for member in group:
                if member.alone is not None:
                    self._run_alone(member)
            if ending:
                break

    def _run_group(self, group: list[_Job]) -> None:
        if not group:
            return
        if self._failed is not None:
            self._refuse(group, SpoolUnavailable(self._failed))
            return
        try:
            with self._engine.begin() as connection:
                for job in group:
                    self._run_one(connection, job)
                self._mark(group, "before-commit")
        except Exception as error:  # Whatever it was: nothing of this group was kept.
            self._refuse(group, self._translate(error))
            return
        self._mark(group, "after-commit")
        for job in group:
            _tell(job)

    def _run_one(self, connection: sa.Connection, job: _Job) -> None:
        assert job.run is not None
        savepoint = connection.begin_nested()
        try:
            job.result = job.run(connection)
        except (VeildeskError, ValueError, LookupError) as error:
            savepoint.rollback()
            job.error = error
        else:
            savepoint.commit()

    def _run_alone(self, job: _Job) -> None:
        assert job.alone is not None
        if self._failed is not None:
            job.error = SpoolUnavailable(self._failed)
        else:
            try:
                job.result = job.alone(self._engine)
            except VeildeskError as error:
                job.error = error
            except Exception as error:
                job.error = self._translate(error)
        _tell(job)

    @staticmethod
    def _mark(group: list[_Job], when: str) -> None:
        for job in group:
            if job.error is None and job.kind in WRITES:
                crashpoint(f"{job.kind}.{when}")

    def _translate(self, error: BaseException) -> SpoolUnavailable:
        unavailable = error if isinstance(error, SpoolUnavailable) else database_error(error)
        if is_fatal(error):
            self.fail(unavailable.detail)
        else:
            _LOG.error("spool-unavailable code=%s", unavailable.detail)
        return unavailable

    @staticmethod
    def _refuse(group: list[_Job], error: SpoolUnavailable) -> None:
        for job in group:
            job.error = SpoolUnavailable(error.detail)
            _tell(job)


def _tell(job: _Job) -> None:
    def settle() -> None:
        if job.future.done():
            return
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:  # The loop ended while its caller was still waiting; what was done stays done.
        _LOG.debug("spool-caller-gone")
