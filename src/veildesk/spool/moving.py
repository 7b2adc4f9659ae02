"""Moving a SQLite store into PostgreSQL, also while a gateway still runs on it.

Order: SQLite is locked for writing, everything is copied in one PostgreSQL transaction that leaves the
database marked as unfinished, the SQLite store is marked as moved and its tables get other names, then
the PostgreSQL mark is taken away. A gateway that still runs on SQLite fails at its next statement and
ends; killed at any point, the same command finishes. Nothing is deleted.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid, SpoolUnavailable
from veildesk.spool.belonging import check_free
from veildesk.spool.copying import copy_files, copy_tables, empty, named_files
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import FileStore, Where
from veildesk.spool.folder_store import FolderStore
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import IMPORTING, MOVED, set_version, stored_version, upgrade
from veildesk.spool.postgres_database import PostgresDatabase
from veildesk.spool.schema import SCHEMA_VERSION, message, ring_state, ticket
from veildesk.spool.sqlite_database import database_error, open_engine
from veildesk.spool.vault import Vault
from veildesk.spool.workers import Liveness

__all__ = ["move"]

_PATIENCE = 30.0


def move(state_dir: Path, ring: KeyRing, conninfo: str, files: Where) -> dict[str, int]:
    """Move; returns rows per table, nothing when only the end of an earlier move was missing.

    `files` is where large parts lie from now on. Raises `ConfigInvalid` (nothing to move, or the
    database holds something else), `KeyUnusable` (wrong ring), `SpoolUnavailable`.
    """
    if not (state_dir / "spool.db").exists():
        raise ConfigInvalid("there is no SQLite store in the state directory")
    target = PostgresDatabase(conninfo)
    source = open_engine(state_dir / "spool.db")
    old_files, new_files = FolderStore(state_dir / "files"), open_files(files)
    try:
        copied = _move(source, target, Vault(ring), old_files, new_files)
        with target.engine.begin() as connection:
            if stored_version(connection) == IMPORTING:
                set_version(connection, SCHEMA_VERSION)
        crashpoint("move.opened")
    except sa.exc.DBAPIError as error:
        sqlite = isinstance(error.orig, sqlite3.Error)
        raise (database_error(error) if sqlite else target.explain(error)) from None
    finally:
        source.dispose()
        target.engine.dispose()
        target.close()
        new_files.close()
    _wait_for_the_old(state_dir)
    return copied


def _move(
    source: sa.Engine, target: PostgresDatabase, vault: Vault, old_files: FolderStore, new_files: FileStore
) -> dict[str, int]:
    with source.begin() as old:
        if stored_version(old) == MOVED:
            return {}
        upgrade(old)
        vault.attach(old)
        if missing := set(named_files(old)) - old_files.names():
            raise SpoolUnavailable(f"{len(missing)} sealed files are missing; see 'veildesk check'")
        check_free(new_files)
        _copy(old, old_files, new_files)
        with target.engine.begin() as new:
            target.lock_schema(new)
            _make_room(new)
            copied = copy_tables(old, new)
            set_version(new, IMPORTING)
        # Once more: before rows named them, a gateway on that database could have swept them away.
        _copy(old, old_files, new_files)
        crashpoint("move.copied")
        set_version(old, MOVED)
        for table in (message, ticket):
            old.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO moved_{table.name}")
    crashpoint("move.marked")
    return copied


def _copy(old: sa.Connection, old_files: FolderStore, new_files: FileStore) -> None:
    if isinstance(new_files, FolderStore) and new_files.folder.resolve() == old_files.folder.resolve():
        return
    new_files.make()
    if copy_files(old_files, new_files, named_files(old)):
        raise SpoolUnavailable("sealed files vanished while they were copied")


def _make_room(new: sa.Connection) -> None:
    version = stored_version(new)
    if version == IMPORTING:
        empty(new)
        set_version(new, SCHEMA_VERSION)
        return
    upgrade(new)
    if new.execute(sa.select(ticket.c.id).limit(1)).first() is not None:
        raise ConfigInvalid("[store] database: there are tickets in it already; nothing was changed")
    new.execute(sa.delete(ring_state))
    empty(new)


def _wait_for_the_old(state_dir: Path) -> None:
    """Return when no process works on the old store any more; it notices within seconds."""
    liveness = Liveness(state_dir / "workers")
    try:
        end = time.monotonic() + _PATIENCE
        while others := liveness.others():
            if time.monotonic() > end:
                raise SpoolUnavailable(f"{len(others)} gateway still runs on the old store: stop it now")
            time.sleep(0.2)
    finally:
        liveness.close()
