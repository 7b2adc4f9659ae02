"""Copying whole tables between two stores of either engine, and the sealed files they name."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.spool.file_store import FileStore
from veildesk.spool.schema import metadata, part, ticket_key

__all__ = ["copy_files", "copy_tables", "copy_tree", "empty", "named_files"]

_BATCH = 1000


def copy_tables(
    source: sa.Connection, target: sa.Connection, tables: Sequence[sa.Table] | None = None
) -> dict[str, int]:
    """Copy all rows in order of their foreign keys; returns rows per table.

    Claims are not copied: whoever had them works on the other store. Raises `SpoolUnavailable` if the
    target does not hold as many rows as the source afterwards.
    """
    copied: dict[str, int] = {}
    for table in metadata.sorted_tables if tables is None else tables:
        count = 0
        for rows in _batches(source, table):
            target.execute(sa.insert(table), rows)
            count += len(rows)
        if target.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() != count:
            raise SpoolUnavailable("copy-incomplete")
        copied[table.name] = count
    if target.dialect.name == "postgresql" and "message" in copied:
        last = "SELECT setval(pg_get_serial_sequence('message', 'seq'), (SELECT max(seq) FROM message))"
        target.execute(sa.text(last))
    return copied


def _batches(source: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, object]]]:
    query = sa.select(table).execution_options(yield_per=_BATCH)
    for rows in source.execute(query).mappings().partitions():
        yield [{**row, "owner": None} if "owner" in row else dict(row) for row in rows]


def empty(connection: sa.Connection) -> None:
    """Delete all rows."""
    for table in reversed(metadata.sorted_tables):
        connection.execute(sa.delete(table))


def named_files(connection: sa.Connection, *, every: bool = False) -> list[str]:
    """Names of all files that rows name; without `every`, of tickets that still have a key."""
    query = sa.select(part.c.file).where(part.c.file.is_not(None))
    if not every:
        query = query.where(part.c.ticket_id.in_(sa.select(ticket_key.c.ticket_id)))
    return [name for name in connection.execute(query).scalars() if name is not None]


def copy_files(source: FileStore, target: FileStore, names: Collection[str]) -> list[str]:
    """Copy sealed files durably, one at a time; returns the names of those that are not there.

    What is in `target` already under a name is the same file: names are random and written once.
    """
    missing = []
    for name in sorted(set(names) - target.names()):
        try:
            target.write(name, [source.read(name)])
        except KeyUnusable:
            missing.append(name)
    return missing


def copy_tree(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Copy a folder of regular files as it is, over what is there; sockets and locks are left out.

    So are entries named in `without`, at any depth.
    """

    def ignored(folder: str, names: list[str]) -> list[str]:
        paths = ((name, Path(folder, name)) for name in names)
        return [
            name
            for name, path in paths
            if name in without or path.is_symlink() or not (path.is_file() or path.is_dir())
        ]

    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
