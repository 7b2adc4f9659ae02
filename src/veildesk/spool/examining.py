"""`veildesk check`: what can be said about a store at rest or in use, without changing anything.

Looks at every page, every key and every file, not at a sample. What an unfinished erase, rotation or move
left behind is told as a warning: the next start finishes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.examining_files import examine_files
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import Where
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import IMPORTING, MOVED, stored_version
from veildesk.spool.postgres_database import connect_engine, server_checks, server_error
from veildesk.spool.schema import SCHEMA_VERSION, ticket, ticket_key
from veildesk.spool.sealing import unwrap_key
from veildesk.spool.sqlite_database import database_error, open_read_only, page_check
from veildesk.spool.vault import Vault

__all__ = ["examine_store"]

_ROOM = 1 << 20
_RESTORE = "Stop the gateway and restore the newest backup ('veildesk restore')."


def examine_store(state_dir: Path, conninfo: str | None, ring_path: Path, files: Where) -> list[CheckResult]:
    """All checks that still make sense; one that fails in a way that hides the rest ends the list."""
    results: list[CheckResult] = []
    try:
        ring = KeyRing.load(ring_path)
        results.append(_ok("spool.ring", "The key ring can be read", f"epochs {_said(ring.epochs)}"))
    except KeyUnusable as error:
        ring = None
        results.append(_fail("spool.ring", "The key ring can be read", error.detail, error.hint))
    try:
        with _read_only(state_dir, conninfo) as connection:
            results += _all(connection, conninfo, ring, files)
    except (sa.exc.SQLAlchemyError, VeildeskError) as error:
        known = error if isinstance(error, VeildeskError) else _explained(error, state_dir, conninfo)
        passing = isinstance(known, ConfigInvalid) or known.detail in SpoolUnavailable.hints
        fix = known.hint if passing and known.detail != "damaged" else _RESTORE
        results.append(_fail("spool.readable", "The database can be read", known.detail, fix))
    return results


def _explained(error: Exception, state_dir: Path, conninfo: str | None) -> SpoolUnavailable:
    """What a fault of the database means; a full disk is none of its own."""
    known = database_error(error) if conninfo is None else server_error(error)
    if conninfo is None and known.detail in ("io-error", "read-only"):
        # SQLite needs room beside the file also to read.
        space = os.statvfs(state_dir)
        if space.f_bavail * space.f_frsize < _ROOM or (space.f_files and not space.f_favail):
            return SpoolUnavailable("disk-full")
    return known


@contextmanager
def _read_only(state_dir: Path, conninfo: str | None) -> Iterator[sa.Connection]:
    if conninfo is None:
        if not (state_dir / "spool.db").exists():
            raise ConfigInvalid("there is no store in the state directory")
        engine = open_read_only(state_dir / "spool.db")
    else:
        engine = connect_engine(conninfo).execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as connection:
            if conninfo is not None:
                connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            yield connection
    finally:
        engine.dispose()


def _all(
    connection: sa.Connection, conninfo: str | None, ring: KeyRing | None, files: Where
) -> list[CheckResult]:
    pages = server_checks(connection) if conninfo is not None else [page_check(connection, every=True)]
    version = _version(connection)
    results = [*pages, version]
    if Level.FAIL in {result.level for result in results} or stored_version(connection) != SCHEMA_VERSION:
        return results
    if ring is not None:
        results += [_belongs(connection, ring), *_keys(connection, ring), _rotation(ring)]
    store = open_files(files)
    try:
        return [*results, _halves(connection), *examine_files(connection, ring, store)]
    finally:
        store.close()


def _version(connection: sa.Connection) -> CheckResult:
    title = "The tables are of this version"
    found = stored_version(connection)
    if found == SCHEMA_VERSION:
        return _ok("spool.version", title, found)
    if found is None:
        return CheckResult("spool.version", title, Level.WARN, "no tables yet", SCHEMA_VERSION)
    if found == IMPORTING:
        return _fail("spool.version", title, "an unfinished move", "Run the same command again.")
    if found == MOVED:
        fix = "Name the PostgreSQL database in [store] database."
        return _fail("spool.version", title, "moved to PostgreSQL", fix)
    if found > SCHEMA_VERSION or not found.isdigit():
        fix = "Use the version of Veildesk that wrote it; nothing was changed."
        return _fail("spool.version", title, f"written by a newer version ({found})", fix)
    fix = "The gateway upgrades it at its next start. Make a backup before."
    return CheckResult("spool.version", title, Level.WARN, found, SCHEMA_VERSION, fix)


def _belongs(connection: sa.Connection, ring: KeyRing) -> CheckResult:
    title = "The key ring belongs to this store"
    try:
        Vault(ring).check(connection)
    except KeyUnusable as error:
        return _fail("spool.belongs", title, error.detail or "", "Use the key ring of this store.")
    return _ok("spool.belongs", title)


def _keys(connection: sa.Connection, ring: KeyRing) -> Iterator[CheckResult]:
    opened = closed = 0
    for row in connection.execute(sa.select(ticket_key).execution_options(yield_per=1000)):
        try:
            unwrap_key(ring.epoch_key(row.epoch), row.epoch, row.ticket_id, row.wrapped)
            opened += 1
        except KeyUnusable:
            closed += 1
    title = "The key ring opens every ticket's key"
    if closed:
        fix = "Put the key ring that belongs to this database in its place."
        yield _fail("spool.keys", title, f"{closed} of {opened + closed} do not open", fix)
    else:
        yield _ok("spool.keys", title, f"{opened} tried")


def _rotation(ring: KeyRing) -> CheckResult:
    title = "No rotation was interrupted"
    if len(ring.epochs) == 1:
        return _ok("spool.rotation", title)
    fix = "The next start finishes it, or 'veildesk check --repair' now."
    return CheckResult("spool.rotation", title, Level.WARN, f"epochs {_said(ring.epochs)}", "one", fix)


def _halves(connection: sa.Connection) -> CheckResult:
    title = "No erase was interrupted"
    keyless = sa.select(sa.func.count()).where(ticket.c.id.not_in(sa.select(ticket_key.c.ticket_id)))
    count = connection.execute(keyless).scalar_one()
    if not count:
        return _ok("spool.erasing", title)
    fix = "The next start finishes it, or 'veildesk check --repair' now."
    return CheckResult("spool.erasing", title, Level.WARN, f"{count} tickets without a key", "0", fix)


def _said(epochs: tuple[int, ...]) -> str:
    return ", ".join(map(str, epochs))


def _ok(name: str, title: str, found: str = "") -> CheckResult:
    return CheckResult(name, title, Level.OK, found)


def _fail(name: str, title: str, found: str, fix: str) -> CheckResult:
    return CheckResult(name, title, Level.FAIL, found, fix=fix)
