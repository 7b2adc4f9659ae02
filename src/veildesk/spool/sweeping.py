"""Removing files that nobody will ever name, while the gateway works.

A file without a row may be about to get one, so it is an orphan only when its writer is gone. The database
says who lives; who seems gone is asked about once more after a while, because a process whose session broke
needs a moment to find that out and stop.
"""

from __future__ import annotations

import asyncio
import contextlib

import sqlalchemy as sa

from veildesk.core.errors import VeildeskError
from veildesk.spool.copying import named_files
from veildesk.spool.opening import Opened
from veildesk.spool.parts import PartFiles, named_of, owner_of
from veildesk.spool.writer import Writer

__all__ = ["sweep", "sweep_for_ever", "tidy"]

_PATIENCE = 60.0
_EVERY = 6 * 60


async def sweep(state: Opened, patience: float = _PATIENCE) -> int:
    """Remove orphans of processes that were gone `patience` seconds ago; returns how many."""
    files = state.files
    names = await files.names()
    strangers = {owner_of(name) for name in names} - {files.owner}
    if not strangers:
        return 0

    def gone(connection: sa.Connection) -> set[str]:
        alive = state.database.living(connection)
        return {owner for owner in strangers if not alive(owner)}

    await state.writer.do("read", gone)
    await asyncio.sleep(patience)

    def orphans(connection: sa.Connection) -> set[str]:
        # In this order: who is gone names nothing after that.
        dead = gone(connection)
        return {name for name in names if owner_of(name) in dead} - set(named_files(connection, every=True))

    found = await state.writer.do("read", orphans)
    await files.remove(found)
    return len(found)


async def tidy(writer: Writer, files: PartFiles) -> None:
    """Remove what this process itself has left: deletions that failed, and files whose commit never came."""
    # The writer has finished with a file that is asked about, and runs one thing after the other.
    await files.tidy(lambda names: writer.do("read", lambda connection: named_of(connection, names)))


async def sweep_for_ever(state: Opened) -> None:
    """Tidy up each minute, sweep at the start and every six hours. SQLite is swept at the start alone."""
    while True:
        if state.database.kind == "postgresql":
            with contextlib.suppress(VeildeskError):
                await sweep(state)
        for _ in range(_EVERY):
            await asyncio.sleep(60)
            with contextlib.suppress(VeildeskError):
                await tidy(state.writer, state.files)
