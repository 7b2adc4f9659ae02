"""Opening the state directory: files and locks, tables, and finishing what a crash interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from veildesk.spool.claiming import free_dead
from veildesk.spool.cursors import Cursors
from veildesk.spool.database import open_engine
from veildesk.spool.durable import disk_error
from veildesk.spool.erasing import finish_erasing
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import upgrade
from veildesk.spool.parts import PartFiles
from veildesk.spool.rotation import finish_rotation
from veildesk.spool.schema import part
from veildesk.spool.vault import Vault
from veildesk.spool.workers import Liveness
from veildesk.spool.writer import Writer

__all__ = ["Opened", "open_state", "prepare"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The pieces of an open store."""

    directory: Path
    ring: KeyRing
    engine: sa.Engine
    writer: Writer
    vault: Vault
    files: PartFiles
    cursors: Cursors
    liveness: Liveness

    def look_around(self, connection: sa.Connection) -> tuple[int, int]:
        """Free the claims of dead processes; returns how many, and a number other writers change."""
        version = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        return free_dead(connection, self.liveness.alive), int(version)

    def close(self) -> None:
        """Let go of the lock; the writer has ended and closed the connection before."""
        self.liveness.close()


def open_state(directory: Path, ring: KeyRing) -> Opened:
    """Make or open the directory and start the writer thread. Raises `SpoolUnavailable`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        liveness = Liveness(directory / "workers")
        files = PartFiles(directory / "files", liveness.id)
    except OSError as error:
        raise disk_error(error) from None
    engine = open_engine(directory / "spool.db")
    return Opened(directory, ring, engine, Writer(engine), Vault(ring), files, Cursors(ring), liveness)


def prepare(engine: sa.Engine, state: Opened) -> None:
    """Upgrade tables, check the ring, finish erasing and rotating, free claims, sweep orphans."""
    with engine.begin() as connection:
        upgrade(connection)
        state.vault.attach(connection)
        free_dead(connection, state.liveness.alive)
        leftovers = finish_erasing(connection)
    state.files.remove(leftovers)
    for owner in state.liveness.dead():
        state.liveness.forget(owner)
    finish_rotation(engine, state.ring, state.vault)
    with engine.begin() as connection:
        query = sa.select(part.c.file).where(part.c.file.is_not(None))
        state.files.sweep(set(connection.execute(query).scalars()), state.liveness.alive)
