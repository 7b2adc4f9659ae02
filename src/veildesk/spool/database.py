"""What the store needs from a database beyond SQL: ownership by liveness, leases, waking, what errors mean.

Two implementations, `SqliteDatabase` and `PostgresDatabase`. Everything else in this package is one code
path for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable
from veildesk.core.ticket import CheckResult

__all__ = ["UNKNOWN_ERROR", "Database"]

UNKNOWN_ERROR = "database-error"
"""The code of an error that says nothing about disk, locks or connection."""


class Database(Protocol):
    """One open database. All methods that take a connection run in the writer thread.

    `owner` is this process's name among the claims, 16 random hex digits. `kind` is "sqlite" or
    "postgresql".
    """

    kind: str
    owner: str
    engine: sa.Engine

    def living(self, connection: sa.Connection) -> Callable[[str], bool]:
        """Who is alive: a question that may be asked until the next look."""

    def forget_dead(self) -> None:
        """Remove what dead processes left, after their claims were freed."""

    def lock_schema(self, connection: sa.Connection) -> None:
        """Keep other processes from upgrading tables until this transaction ends."""

    def checkpoint(self) -> bool:
        """Bring deleted pages out of the log where the database can; False when a reader kept it."""

    def version(self, connection: sa.Connection) -> int:
        """A number that changes when another process wrote; always 0 where `listen` tells."""

    def announce(self, connection: sa.Connection) -> None:
        """Tell other processes, with this transaction's commit, that there may be work."""

    def listen(self, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        """From now on call `changed` (another process wrote) and `lost` (we no longer own our claims).

        Both are called from a thread.
        """

    def lease(self, name: str) -> bool:
        """Try to become the one process that does `name`; kept until this process ends. Any thread."""

    def checks(self, connection: sa.Connection) -> list[CheckResult]:
        """What the doctor asks: pages sound, commits durable."""

    def is_race(self, error: BaseException) -> bool:
        """Whether another process was faster, so that the same transaction may succeed when repeated."""

    def is_fatal(self, error: BaseException) -> bool:
        """Whether the database can no longer be trusted or reached: nothing more is accepted."""

    def explain(self, error: BaseException) -> SpoolUnavailable:
        """An error as a code word; its text may hold values and is not kept."""

    def close(self) -> None:
        """Give up ownership and leases. The writer thread has disposed of the engine before."""
