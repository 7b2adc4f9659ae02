"""Sealed parts of messages and tickets: small ones as rows, large ones as files of sealed chunks.

A file is complete and durable before the commit that names it. Its name begins with the id of the
process that wrote it, so that leftovers of dead processes can be told from files about to be named.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.spool.chunks import open_chunks, seal_chunks
from veildesk.spool.durable import TEMPORARY, disk_error, keep_day_only, sync_directory, write_file
from veildesk.spool.schema import part
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.statements import ListStatement, Statement

__all__ = ["INLINE", "PartFiles", "Stored", "delete_parts", "insert_parts", "select_part"]

_INSERT = Statement(sa.insert(part), "ticket_id", "message_id", "name", "sealed", "file")
_HERE = part.c.ticket_id == sa.bindparam("ticket"), part.c.message_id == sa.bindparam("message")
_SELECT = Statement(sa.select(part.c.sealed, part.c.file).where(*_HERE, part.c.name == sa.bindparam("part")))
_DELETE = ListStatement(
    lambda names: sa.delete(part).where(*_HERE, part.c.name.in_(names)).returning(part.c.file)
)

INLINE = 256 * 1024
"""Largest part kept as a row, in bytes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A sealed part: exactly one of `sealed` (the blob) and `file` (a file name) is set."""

    place: Place
    sealed: bytes | None = field(default=None, repr=False)
    file: str | None = None


class PartFiles:
    """Seals and opens parts; `owner` is this process's id."""

    def __init__(self, directory: Path, owner: str) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._owner = owner

    async def seal(self, key: bytes, place: Place, data: bytes) -> Stored:
        """Seal one part; a large one is on disk, fsynced, when this returns."""
        if len(data) <= INLINE:
            return Stored(place, sealed=seal_row(key, place, data))
        name = f"{self._owner}-{secrets.token_hex(16)}"
        path = self._directory / name
        await asyncio.to_thread(lambda: self._write(path, seal_chunks(key, place, data)))
        return Stored(place, file=name)

    def _write(self, path: Path, pieces: Iterable[bytes]) -> None:
        write_file(path, pieces)
        keep_day_only(path)

    async def open(self, key: bytes, stored: Stored) -> bytes:
        """Open one part. Raises `KeyUnusable` if it is damaged or its file is missing."""
        if stored.sealed is not None:
            return open_row(key, stored.place, stored.sealed)
        return await asyncio.to_thread(self._open_file, key, stored)

    def _open_file(self, key: bytes, stored: Stored) -> bytes:
        try:
            sealed = (self._directory / (stored.file or "")).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise KeyUnusable("a sealed file is missing") from None
        except OSError as error:
            raise disk_error(error) from None
        return open_chunks(key, stored.place, sealed)

    def remove(self, names: Iterable[str | None]) -> None:
        """Delete files that no row names any more, durably."""
        found = [name for name in names if name is not None]
        try:
            for name in found:
                (self._directory / name).unlink(missing_ok=True)
            if found:
                sync_directory(self._directory)
        except OSError as error:
            raise disk_error(error) from None

    def missing(self, named: Collection[str]) -> int:
        """How many of the named files are not there."""
        present = {entry.name for entry in self._directory.iterdir()}
        return sum(name not in present for name in named)

    def sweep(self, named: Collection[str], alive: Callable[[str], bool]) -> int:
        """Delete files that no row names and whose writer is gone; returns how many."""
        orphans = []
        for entry in self._directory.iterdir():
            owner = entry.name.partition("-")[0]
            unfinished = entry.name.endswith(TEMPORARY)
            if (unfinished or entry.name not in named) and not alive(owner):
                orphans.append(entry.name)
        self.remove(orphans)
        return len(orphans)


def insert_parts(connection: sa.Connection, parts: Collection[Stored]) -> None:
    """Put sealed parts into rows; the place must be free."""
    rows = [
        {
            "ticket_id": stored.place.ticket,
            "message_id": stored.place.message,
            "name": stored.place.part,
            "sealed": stored.sealed,
            "file": stored.file,
        }
        for stored in parts
    ]
    _INSERT.many(connection, rows)


def select_part(connection: sa.Connection, place: Place) -> Stored | None:
    """The sealed part at a place."""
    _check(place)
    given = {"ticket": place.ticket, "message": place.message, "part": place.part}
    row = _SELECT.one(connection, given)
    return None if row is None else Stored(place, *row)


def delete_parts(connection: sa.Connection, places: Iterable[Place]) -> list[str]:
    """Delete rows; returns the names of files to remove after the commit."""
    names: dict[tuple[str, str], list[str]] = {}
    for place in places:
        _check(place)
        names.setdefault((place.ticket, place.message), []).append(place.part)
    files: list[str] = []
    for (ticket, message), parts in names.items():
        rows = _DELETE.all(connection, parts, {"ticket": ticket, "message": message})
        files += [file for (file,) in rows if file is not None]
    return files


def _check(place: Place) -> None:
    if not place.ticket or not place.part:
        raise SpoolUnavailable("incomplete place")
