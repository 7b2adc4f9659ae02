"""Opening the state directory: files and locks, tables, and finishing what a crash interrupted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from veildesk.spool.claiming import free_dead
from veildesk.spool.cursors import Cursors
from veildesk.spool.database import Database
from veildesk.spool.durable import disk_error
from veildesk.spool.erasing import finish_erasing
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import stored_version, upgrade
from veildesk.spool.parts import PartFiles
from veildesk.spool.schema import SCHEMA_VERSION, part
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
        self.database.close()


def open_state(
    directory: Path, folder: Path, ring: KeyRing, conninfo: str | None, loop: asyncio.AbstractEventLoop
) -> Opened:
    """Make or open the directory and the database and start the writer thread for `loop`.

    Raises `SpoolUnavailable`, or `ConfigInvalid` for a database that cannot keep promises.
    """
    database, files = open_database(directory, folder, conninfo)
    vault = Vault(ring)
    return Opened(directory, ring, database, Writer(database, loop), vault, files, Cursors(vault))


def open_database(directory: Path, folder: Path, conninfo: str | None) -> tuple[Database, PartFiles]:
    """Make or open the directory, the database and the folder of files. Raises as `open_state`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database: Database = SqliteDatabase(directory) if conninfo is None else _postgres(conninfo)
        return database, PartFiles(folder, database.owner)
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
        leftovers = finish_erasing(connection)
    state.files.remove(leftovers)
    state.database.forget_dead()
    with engine.begin() as connection:
        query = sa.select(part.c.file).where(part.c.file.is_not(None))
        alive = state.database.living(connection)
        state.files.sweep(set(connection.execute(query).scalars()), alive)
