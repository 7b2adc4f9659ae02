"""What `veildesk check` says about sealed files: each that a row names is there and opens."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from veildesk.core.errors import FilesUnavailable, KeyUnusable
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.chunks import open_chunks
from veildesk.spool.copying import named_files
from veildesk.spool.file_store import FileStore
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import part, ticket_key
from veildesk.spool.sealing import Place, unwrap_key

__all__ = ["examine_files"]

_RESTORE = "Put files/ of the newest bulk backup beside what is there; nothing is overwritten by that."


def examine_files(connection: sa.Connection, ring: KeyRing | None, store: FileStore) -> Iterator[CheckResult]:
    """All checks of files; what a store that does not answer hides is a failure of its own."""
    named = set(named_files(connection))
    try:
        present = store.names()
        yield from store.checks(named & present)
        yield _there(named, present)
        yield _strays(present - set(named_files(connection, every=True)))
        if ring is not None:
            yield _open(connection, ring, store, present)
    except FilesUnavailable as error:
        fix = "Check [store.s3], its keys and the server; nothing is lost while it does not answer."
        yield CheckResult("spool.bucket", "The object store answers", Level.FAIL, error.detail, "", fix)


def _there(named: set[str], present: set[str]) -> CheckResult:
    title = "Every sealed file is there"
    if missing := named - present:
        return CheckResult("spool.files", title, Level.FAIL, f"{len(missing)} missing", "0", _RESTORE)
    return CheckResult("spool.files", title, Level.OK, f"{len(named)} named")


def _strays(stray: set[str]) -> CheckResult:
    title = "No file without a row"
    if stray:
        fix = "Being written just now, or left by a crash: the gateway removes those."
        return CheckResult("spool.strays", title, Level.WARN, f"{len(stray)} stray", "0", fix)
    return CheckResult("spool.strays", title, Level.OK)


def _open(connection: sa.Connection, ring: KeyRing, store: FileStore, present: set[str]) -> CheckResult:
    """One file at a time in memory. A file that was removed meanwhile is no fault."""
    title = "Every sealed file opens"
    keys = sa.select(part, ticket_key.c.epoch, ticket_key.c.wrapped).where(
        part.c.file.is_not(None), part.c.ticket_id == ticket_key.c.ticket_id
    )
    opened = damaged = 0
    for row in connection.execute(keys).all():
        if row.file not in present:
            continue
        try:
            key = unwrap_key(ring.epoch_key(row.epoch), row.epoch, row.ticket_id, row.wrapped)
        except KeyUnusable:
            continue  # Said by the check of keys.
        try:
            sealed = store.read(row.file)
        except KeyUnusable:
            continue
        try:
            open_chunks(key, Place(row.ticket_id, row.message_id, row.name), sealed)
            opened += 1
        except KeyUnusable:
            damaged += 1
    if damaged:
        found = f"{damaged} of {opened + damaged} do not open"
        return CheckResult("spool.damaged", title, Level.FAIL, found, "0", _DAMAGED)
    return CheckResult("spool.damaged", title, Level.OK, f"{opened} tried")


_DAMAGED = "Replace the damaged ones by those of the newest bulk backup; ask for what is in none."
