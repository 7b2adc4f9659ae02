"""SQLite, embedded: pragmas, explicit transactions, checkpoints, file locks, and what its errors mean.

WAL with synchronous=FULL survives a power cut; secure_delete overwrites what is deleted; a small
automatic checkpoint keeps the log short, so that space for erasing remains when the disk is full.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from veildesk.core.errors import SpoolUnavailable
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.database import UNKNOWN_ERROR
from veildesk.spool.workers import Liveness

__all__ = ["SqliteDatabase", "database_error", "open_engine", "open_read_only", "page_check"]

_PRAGMAS = (
    "auto_vacuum=INCREMENTAL",  # Takes effect only before the first table is made.
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "wal_autocheckpoint=128",
    "journal_size_limit=1048576",
    "busy_timeout=5000",
    "trusted_schema=OFF",
)

_DETAILS = {
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "read-only",
    sqlite3.SQLITE_IOERR: "io-error",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}


def open_engine(path: Path) -> sa.Engine:
    """An engine with one connection, for one thread. Makes the file with mode 0600 if need be."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        raise SpoolUnavailable("read-only") from None
    # The path is not put into a URL: it may hold any character.
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(path, isolation_level=None),
        poolclass=StaticPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _configure)
    # Not by the "begin" event: with a listener there, every statement pays for looking for listeners.
    engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]
    return engine


def open_read_only(path: Path) -> sa.Engine:
    """An engine that cannot change the file; each transaction sees one moment."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, isolation_level=None),
        poolclass=StaticPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: Any) -> None:
    # The driver's own transaction control is off; a write lock at once avoids upgrades that fail.
    connection.cursor().execute("BEGIN IMMEDIATE")


class SqliteDatabase:
    """`Database` in one file of `directory`; processes of one host may share it."""

    kind = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._liveness = Liveness(directory / "workers")
        self.owner = self._liveness.id
        self.engine = open_engine(directory / "spool.db")

    def living(self, connection: sa.Connection) -> Callable[[str], bool]:
        """By the locks on the files under workers/."""
        return self._liveness.alive

    def forget_dead(self) -> None:
        """Remove lock files of the dead."""
        for owner in self._liveness.dead():
            self._liveness.forget(owner)

    def lock_schema(self, connection: sa.Connection) -> None:
        """Nothing to do: every transaction holds the write lock from its beginning."""

    def checkpoint(self) -> bool:
        """Move the whole log into the database and truncate it; True when nothing was left behind."""
        connection = self.engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            row = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        return bool(row is not None and row[0] == 0)

    def version(self, connection: sa.Connection) -> int:
        """`PRAGMA data_version`."""
        return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def announce(self, connection: sa.Connection) -> None:
        """Nothing to do: other processes look at the version."""

    def listen(self, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Nothing to do: a file lock is lost only with the process."""

    def lease(self, name: str) -> bool:
        """By a lock on a file."""
        return self._liveness.lease(name)

    def checks(self, connection: sa.Connection) -> list[CheckResult]:
        """Pages and pragmas."""
        return [page_check(connection), _durability(connection)]

    def is_race(self, error: BaseException) -> bool:
        """Never: there is one writer at a time."""
        return False

    def is_fatal(self, error: BaseException) -> bool:
        """A failed read, write or fsync, or damage."""
        return _primary(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

    def explain(self, error: BaseException) -> SpoolUnavailable:
        """By the primary result code."""
        return database_error(error)

    def close(self) -> None:
        """Let go of the locks."""
        self._liveness.close()


def database_error(error: BaseException) -> SpoolUnavailable:
    """A SQLite error as a code word."""
    return SpoolUnavailable(_DETAILS.get(_primary(error), UNKNOWN_ERROR))


def page_check(connection: sa.Connection, *, every: bool = False) -> CheckResult:
    """SQLite's own check of its pages; with `every` also that indexes and rows agree, which takes longer."""
    title = "Database pages are sound"
    pragma = "integrity_check" if every else "quick_check"
    try:
        answer = connection.exec_driver_sql(f"PRAGMA {pragma}(1)").scalar_one()
    except exc.DatabaseError:
        answer = "unreadable"
    level = Level.OK if answer == "ok" else Level.FAIL
    fix = "" if level is Level.OK else "Stop the gateway and restore the newest backup."
    return CheckResult("spool.integrity", title, level, fix=fix)


def _durability(connection: sa.Connection) -> CheckResult:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    sync = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    wipe = connection.exec_driver_sql("PRAGMA secure_delete").scalar_one()
    level = Level.OK if (mode, sync, wipe) == ("wal", 2, 1) else Level.FAIL
    found = f"journal {mode}, synchronous {sync}, secure_delete {wipe}"
    title = "Commits survive a power cut and deletes overwrite"
    return CheckResult("spool.durability", title, level, found, "journal wal, synchronous 2, secure_delete 1")


def _primary(error: BaseException | None) -> int:
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF
