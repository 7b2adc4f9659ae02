"""Opening the state directory: files and locks, tables, and finishing what a crash interrupted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from veildesk.spool.belonging import bind_files
from veildesk.spool.claiming import free_dead
from veildesk.spool.copying import named_files
from veildesk.spool.cursors import Cursors
from veildesk.spool.database import Database
from veildesk.spool.durable import disk_error
from veildesk.spool.erasing import files_of, finish_erasing, keyless
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import Where
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import stored_version, upgrade
from veildesk.spool.parts import PartFiles
from veildesk.spool.schema import SCHEMA_VERSION
from veildesk.spool.sqlite_database import SqliteDatabase
from veildesk.spool.vault import Vault
from veildesk.spool.writer import Writer

__all__ = ["Opened", "open_database", "open_state", "prepare"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The pieces of an open store."""

    directory: Path
    ring: KeyRing
    database: Database
    writer: Writer
    vault: Vault
    files: PartFiles
    cursors: Cursors

    def look_around(self, connection: sa.Connection) -> tuple[int, int]:
        """Free the claims of dead processes; returns how many, and a number other writers change."""
        if stored_version(connection) != SCHEMA_VERSION:
            # Another process moved or upgraded the store under us.
            self.writer.fail("moved")
        alive = self.database.living(connection)
        return free_dead(connection, alive), self.database.version(connection)

    def close(self) -> None:
        """Let go of locks; the writer has ended and closed its connection before."""
        self.files.store.close()
        self.database.close()


def open_state(
    directory: Path, files: Where, ring: KeyRing, conninfo: str | None, loop: asyncio.AbstractEventLoop
) -> Opened:
    """Make or open the directory and the database and start the writer thread for `loop`.

    Raises `SpoolUnavailable`, or `ConfigInvalid` for a database that cannot keep promises.
    """
    database, kept = open_database(directory, files, conninfo)
    vault = Vault(ring)
    return Opened(directory, ring, database, Writer(database, loop), vault, kept, Cursors(vault))


def open_database(directory: Path, files: Where, conninfo: str | None) -> tuple[Database, PartFiles]:
    """Make or open the directory, the database and the place of files. Raises as `open_state`."""
    store = open_files(files)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database: Database = SqliteDatabase(directory) if conninfo is None else _postgres(conninfo)
        store.make()
        return database, PartFiles(store, database.owner)
    except OSError as error:
        raise disk_error(error) from None


def _postgres(conninfo: str) -> Database:
    # Loaded only where it is used: its driver takes five megabytes.
    from veildesk.spool.postgres_database import PostgresDatabase

    return PostgresDatabase(conninfo)


def prepare(engine: sa.Engine, state: Opened) -> None:
    """Upgrade tables, check the ring, finish erasing, free claims, sweep orphans."""
    with engine.begin() as connection:
        state.database.lock_schema(connection)
        upgrade(connection)
        state.vault.attach(connection)
        free_dead(connection, state.database.living(connection))
        halves = keyless(connection)
        leftovers = [name for ticket_id in halves for name in files_of(connection, ticket_id)]
    if halves:
        # Files before the rows that name them, as in `erasing`.
        state.files.store.remove(leftovers)
        with engine.begin() as connection:
            finish_erasing(connection)
    state.database.forget_dead()
    bind_files(engine, state.database, state.cursors, state.files.store, state.ring.intake_secret)
    if state.database.kind == "sqlite":
        # With several gateways it takes longer to tell who is gone: `sweeping`.
        with engine.begin() as connection:
            alive = state.database.living(connection)
            state.files.sweep(set(named_files(connection, every=True)), alive)
