"""The SQLite engine: pragmas, explicit transactions, checkpoints, and what its errors mean.

WAL with synchronous=FULL survives a power cut; secure_delete overwrites what is deleted; a small
automatic checkpoint keeps the log short, so that space for erasing remains when the disk is full.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from veildesk.core.errors import SpoolUnavailable

__all__ = ["checkpoint", "database_error", "is_fatal", "open_engine"]

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
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: sa.Connection) -> None:
    # The driver's own transaction control is off; a write lock at once avoids upgrades that fail.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def checkpoint(engine: sa.Engine) -> bool:
    """Move the whole log into the database and truncate it; True when nothing was left behind."""
    connection = engine.raw_connection()
    try:
        row = connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # type: ignore[union-attr]
    finally:
        connection.close()
    return bool(row is not None and row[0] == 0)


def _primary(error: BaseException | None) -> int:
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF


def is_fatal(error: BaseException) -> bool:
    """Whether the disk can no longer be trusted: a failed read, write or fsync, or damage."""
    return _primary(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def database_error(error: BaseException) -> SpoolUnavailable:
    """A database error as a code word; its text may hold values and is not kept."""
    return SpoolUnavailable(_DETAILS.get(_primary(error), "database-error"))
