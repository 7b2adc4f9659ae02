"""What the doctor asks of the store. Nothing here changes it; what cannot be checked is a skip."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.copying import named_files
from veildesk.spool.opening import Opened
from veildesk.spool.schema import ticket_key

__all__ = ["check"]

_SAMPLE = 1000


def check(engine: sa.Engine, state: Opened, min_free: int) -> list[CheckResult]:
    """All checks of the store, run alone in the writer thread."""
    with engine.begin() as connection:
        results = [
            *state.database.checks(connection),
            _keys(connection, state),
            _files(connection, state),
        ]
    return [*results, _space(state.directory, min_free), _modes(state)]


def _keys(connection: sa.Connection, state: Opened) -> CheckResult:
    tickets = connection.execute(sa.select(ticket_key.c.ticket_id).limit(_SAMPLE)).scalars().all()
    closed = 0
    for ticket_id in tickets:
        try:
            state.vault.get(connection, ticket_id)
        except VeildeskError:
            closed += 1
    level = Level.FAIL if closed else Level.OK
    found = f"{len(tickets) - closed} of {len(tickets)} tried"
    fix = "Restore the key ring that belongs to this database." if closed else ""
    return CheckResult("spool.keys", "The key ring opens the tickets' keys", level, found, fix=fix)


def _files(connection: sa.Connection, state: Opened) -> CheckResult:
    missing = len(set(named_files(connection)) - state.files.store.names())
    level = Level.FAIL if missing else Level.OK
    fix = "Restore files/ from the backup that belongs to this database." if missing else ""
    return CheckResult(
        "spool.files", "All sealed files are there", level, f"{missing} missing", "0 missing", fix
    )


def _space(directory: Path, min_free: int) -> CheckResult:
    title = "Free space above the mark below which nothing is accepted"
    try:
        space = os.statvfs(directory)
    except OSError:
        return CheckResult("spool.space", title, Level.SKIP)
    free = space.f_bavail * space.f_frsize
    level = Level.FAIL if free < min_free else Level.WARN if free < 4 * min_free else Level.OK
    fix = "" if level is Level.OK else "Free space on the disk of the state directory."
    return CheckResult("spool.space", title, level, f"{free >> 20} MiB", f"{min_free >> 20} MiB", fix)


def _modes(state: Opened) -> CheckResult:
    title = "State directory and key ring are closed to other users"
    try:
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (state.directory, state.ring.path)]
    except OSError:
        return CheckResult("spool.modes", title, Level.SKIP)
    level = Level.FAIL if any(mode & 0o077 for mode in modes) else Level.OK
    fix = "" if level is Level.OK else "Remove all rights of group and others (chmod go=)."
    return CheckResult("spool.modes", title, level, " ".join(oct(mode) for mode in modes), fix=fix)
