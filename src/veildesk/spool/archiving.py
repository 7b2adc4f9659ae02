"""Backups in two classes, and restoring from them.

*Bulk* is everything sealed: all tables but the tickets' keys and the known people, and the files. It may be
kept long and anywhere: without the keys it opens nothing. *Keys* is the key ring, the wrapped ticket keys
and the known people, sealed: one copy, overwritten each time, guarded like the ring itself. A restored
ticket needs both; a ticket that was erased before the newest copy of the keys was made cannot be restored
from any bulk, however old.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import InputInvalid, KeyUnusable, SpoolUnavailable
from veildesk.spool.belonging import check_free, forget_binding
from veildesk.spool.contact_tables import contact, contact_name
from veildesk.spool.copying import copy_files, copy_tables, empty, named_files
from veildesk.spool.durable import sync_directory, write_file
from veildesk.spool.erasing import finish_erasing
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import Where
from veildesk.spool.folder_store import FolderStore
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import IMPORTING, set_version, stored_version, upgrade
from veildesk.spool.postgres_database import connect_engine
from veildesk.spool.schema import (
    SCHEMA_VERSION,
    erase_job,
    hold,
    metadata,
    part,
    ring_state,
    ticket,
    ticket_key,
)
from veildesk.spool.sealing import unwrap_key
from veildesk.spool.sqlite_database import open_engine, open_read_only
from veildesk.spool.vault import Vault

__all__ = ["back_up_bulk", "back_up_keys", "restore"]

_BULK, _KEYS = "bulk.db", "keys.db"
# Only in the newest copy: wrapped keys, what is held and what is still to be erased elsewhere, and the people
# known, who must be forgotten in backups too.
_NEWEST = (contact, contact_name, erase_job)
_BULK_TABLES = [table for table in metadata.sorted_tables if table not in (ticket_key, hold, *_NEWEST)]
_ATTEMPTS = 5


@contextmanager
def _moment(state_dir: Path, conninfo: str | None) -> Iterator[sa.Connection]:
    """A read-only transaction that sees one moment of the store, also while a gateway runs."""
    if conninfo is None:
        if not (state_dir / "spool.db").exists():
            raise InputInvalid("there is no store in the state directory")
        engine = open_read_only(state_dir / "spool.db")
    else:
        engine = connect_engine(conninfo)
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as connection:
            if stored_version(connection) != SCHEMA_VERSION:
                raise InputInvalid("the store is not of this version; start the gateway once, or see 'check'")
            yield connection
    finally:
        engine.dispose()


def _fresh(path: Path) -> sa.Engine:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    engine = open_engine(path)
    with engine.begin() as connection:
        upgrade(connection)
    return engine


def _finish(engine: sa.Engine, path: Path, final: Path) -> None:
    """Close a SQLite file so that it stands alone, make it durable, and give it its name."""
    raw = engine.raw_connection()
    raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    raw.driver_connection.execute("PRAGMA journal_mode=DELETE")  # type: ignore[union-attr]
    raw.close()
    engine.dispose()
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    path.rename(final)
    sync_directory(final.parent)


def back_up_bulk(state_dir: Path, conninfo: str | None, files: Where, folder: Path) -> dict[str, int]:
    """Write a bulk backup into an empty or new `folder`; returns rows per table and files missing.

    `files` is where the store keeps large parts; in the backup they are a folder.

    Raises `ConfigInvalid` when the folder holds a backup already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / _BULK).exists():
        raise InputInvalid("there is a backup in that folder already; nothing was changed")
    working = folder / (_BULK + ".new")
    source_files, kept = open_files(files), FolderStore(folder / "files")
    kept.make()
    for attempt in range(_ATTEMPTS):
        engine = _fresh(working)
        with _moment(state_dir, conninfo) as source, engine.begin() as target:
            copied = copy_tables(source, target, _BULK_TABLES)
            names = named_files(source)
        missing = copy_files(source_files, kept, names)
        # What is missing was finished or erased after that moment: look again, at a later one.
        if not missing or attempt == _ATTEMPTS - 1:
            break
        engine.dispose()
    kept.remove(kept.names() - set(names))
    source_files.close()
    _finish(engine, working, folder / _BULK)
    return {**copied, "files": len(names) - len(missing), "missing": len(missing)}


def back_up_keys(state_dir: Path, conninfo: str | None, ring: KeyRing, folder: Path) -> int:
    """Write the newest copy of the keys over the one before; returns how many ticket keys."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    working = folder / (_KEYS + ".new")
    engine = _fresh(working)
    with ring.exclusive(), _moment(state_dir, conninfo) as source:
        with engine.begin() as target:
            target.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            tickets = sa.select(ticket).where(ticket.c.id.in_(sa.select(ticket_key.c.ticket_id)))
            for rows in source.execute(tickets.execution_options(yield_per=1000)).mappings().partitions():
                target.execute(sa.insert(ticket), [dict(row) for row in rows])
            copied = copy_tables(source, target, [ticket_key, hold, ring_state, *_NEWEST])
        _finish(engine, working, folder / _KEYS)
        write_file(folder / "ring", [ring.plain()], lambda _: None)
    return copied["ticket_key"]


def restore(
    bulk: Path, keys: Path, *, state_dir: Path, conninfo: str | None, ring_path: Path, files: Where
) -> dict[str, int]:
    """Fill an empty store from both classes; returns tickets restored and dropped.

    Dropped are tickets whose keys are not there any more: they were erased. The ring at `ring_path` is
    used if there is one, else that of the backup is put there. Nothing existing is overwritten: raises
    `ConfigInvalid`, or `KeyUnusable` when the keys do not belong together.
    """
    for path in (bulk / _BULK, keys / _KEYS, keys / "ring"):
        if not path.exists():
            raise InputInvalid(f"{path.name} is missing in the backup")
    ring = KeyRing.load(ring_path if ring_path.exists() else keys / "ring")
    target_files = open_files(files)
    check_free(target_files)
    bulk_engine, keys_engine = open_read_only(bulk / _BULK), open_read_only(keys / _KEYS)
    try:
        with bulk_engine.begin() as source, keys_engine.begin() as key_source:
            _check_keys(source, key_source, ring)
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = _files_with_keys(source, key_source)
            done = _fill(source, key_source, state_dir, conninfo)
    finally:
        bulk_engine.dispose()
        keys_engine.dispose()
    target_files.make()
    missing = copy_files(FolderStore(bulk / "files"), target_files, names)
    target_files.close()
    if not ring_path.exists():
        ring_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(ring_path, [(keys / "ring").read_bytes()], lambda _: None)
    _open(state_dir, conninfo)
    return {**done, "missing": len(missing)}


def _files_with_keys(bulk: sa.Connection, keys: sa.Connection) -> list[str]:
    kept = set(keys.execute(sa.select(ticket_key.c.ticket_id)).scalars())
    rows = bulk.execute(sa.select(part.c.ticket_id, part.c.file).where(part.c.file.is_not(None)))
    return [row.file for row in rows if row.ticket_id in kept]


def _check_keys(bulk: sa.Connection, keys: sa.Connection, ring: KeyRing) -> None:
    if {stored_version(bulk), stored_version(keys)} != {SCHEMA_VERSION}:
        raise InputInvalid("the backup is of another version; restore it with that version")
    for connection in (bulk, keys):
        Vault(ring).check(connection)
    for row in keys.execute(sa.select(ticket_key)):
        if row.epoch not in ring.epochs:
            raise KeyUnusable("the key ring was rotated after this copy of the keys was made")
        unwrap_key(ring.epoch_key(row.epoch), row.epoch, row.ticket_id, row.wrapped)


def _fill(
    source: sa.Connection, keys: sa.Connection, state_dir: Path, conninfo: str | None
) -> dict[str, int]:
    final = state_dir / "spool.db"
    if conninfo is None and final.exists() and not _unfinished(final):
        raise InputInvalid("there is a store in the state directory already; nothing was changed")
    working = state_dir / "spool.db.new"
    engine = _fresh(working) if conninfo is None else connect_engine(conninfo)
    try:
        with engine.begin() as target:
            _make_empty(target)
            copied = copy_tables(source, target, _BULK_TABLES)
            target.execute(sa.delete(ring_state))
            present = set(target.execute(sa.select(ticket.c.id)).scalars())
            rows = [dict(row) for row in keys.execute(sa.select(ticket_key)).mappings()]
            wanted = [row for row in rows if row["ticket_id"] in present]
            held = [dict(row) for row in keys.execute(sa.select(hold)).mappings()]
            for table, kept in ((ticket_key, wanted), (hold, held)):
                if kept := [row for row in kept if row["ticket_id"] in present]:
                    target.execute(sa.insert(table), kept)
            copy_tables(keys, target, [ring_state, *_NEWEST])
            forget_binding(target)
            finish_erasing(target)
            set_version(target, IMPORTING)
        if conninfo is None:
            _finish(engine, working, final)
    finally:
        engine.dispose()
    return {"tickets": len(wanted), "dropped": copied["ticket"] - len(wanted), "messages": copied["message"]}


def _unfinished(path: Path) -> bool:
    """Whether a SQLite file is what an interrupted restore left."""
    engine = open_read_only(path)
    try:
        with engine.begin() as connection:
            return stored_version(connection) == IMPORTING
    except sa.exc.SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _make_empty(target: sa.Connection) -> None:
    version = stored_version(target)
    if version == IMPORTING:
        set_version(target, SCHEMA_VERSION)
    elif version is None:
        upgrade(target)
    elif target.execute(sa.select(ticket.c.id).limit(1)).first() is not None:
        raise InputInvalid("there are tickets in the database already; nothing was changed")
    empty(target)


def _open(state_dir: Path, conninfo: str | None) -> None:
    """The last step: files and ring are in place, so the store may be used."""
    engine = open_engine(state_dir / "spool.db") if conninfo is None else connect_engine(conninfo)
    try:
        with engine.begin() as connection:
            set_version(connection, SCHEMA_VERSION)
    except sa.exc.SQLAlchemyError:
        raise SpoolUnavailable("database-error") from None
    finally:
        engine.dispose()
