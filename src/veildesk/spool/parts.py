"""Sealed parts of messages and tickets: small ones as rows, large ones as files of sealed chunks.

A file is complete and durable before the commit that names it. Its name begins with the id of the
process that wrote it, so that leftovers of dead processes can be told from files about to be named.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeVar

import sqlalchemy as sa

from veildesk.core.errors import FilesUnavailable, SpoolUnavailable
from veildesk.spool.chunks import open_chunks, seal_chunks
from veildesk.spool.durable import TEMPORARY
from veildesk.spool.file_store import FileStore
from veildesk.spool.schema import part
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.statements import Statement

__all__ = [
    "INLINE",
    "PartFiles",
    "Stored",
    "delete_parts",
    "insert_parts",
    "named_of",
    "owner_of",
    "select_part",
]

T = TypeVar("T")
_INSERT = Statement(sa.insert(part), "ticket_id", "message_id", "name", "sealed", "file")
_HERE = part.c.ticket_id == sa.bindparam("ticket"), part.c.message_id == sa.bindparam("message")
_SELECT = Statement(sa.select(part.c.sealed, part.c.file).where(*_HERE, part.c.name == sa.bindparam("part")))
_MOST = 16

INLINE = 256 * 1024
"""Largest part kept as a row, in bytes."""

_TOGETHER = 200


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Stored:
    """A sealed part: exactly one of `sealed` (the blob) and `file` (a file name) is set."""

    place: Place
    sealed: bytes | None = field(default=None, repr=False)
    file: str | None = None


class PartFiles:
    """Seals and opens parts; `store` is where large ones lie, `owner` this process's id."""

    def __init__(self, store: FileStore, owner: str) -> None:
        self.store = store
        self.owner = owner
        self._writing: set[str] = set()
        self._left: set[str] = set()
        self._unsure: dict[str, Place] = {}

    async def seal(self, key: bytes, place: Place, data: bytes) -> Stored:
        """Seal one part; a large one is complete and durable in its place when this returns."""
        if len(data) <= INLINE:
            return Stored(place, sealed=seal_row(key, place, data))
        name = f"{self.owner}-{secrets.token_hex(16)}"

        def write() -> None:
            self._writing.add(name)
            try:
                self.store.write(name, seal_chunks(key, place, data))
            finally:
                self._writing.discard(name)

        try:
            await self._run(write)
        except BaseException:
            # Whether it arrived is not known; no row will name it.
            self._left.add(name)
            raise
        stored = Stored(place, file=name)
        # Whoever sealed it holds it until the commit that was to name it is over, however that ended.
        weakref.finalize(stored, self._unsure.setdefault, name, place).atexit = False
        return stored

    async def open(self, key: bytes, stored: Stored) -> bytes:
        """Open one part. Raises `KeyUnusable` if it is damaged or its file is missing."""
        if stored.sealed is not None:
            return open_row(key, stored.place, stored.sealed)
        name = stored.file or ""
        return await self._run(lambda: open_chunks(key, stored.place, self.store.read(name)))

    async def remove(self, names: Collection[str]) -> None:
        """Delete files that nobody needs any more; what fails is tried again by `tidy`."""
        self._left.update(names)
        # In pieces, so that many make progress within the time limit of a call.
        rest = list(names)
        for begin in range(0, len(rest), _TOGETHER):
            piece = rest[begin : begin + _TOGETHER]
            await self._run(partial(self.store.remove, piece))
            self._left.difference_update(piece)
            for name in piece:
                self._unsure.pop(name, None)

    async def tidy(self, look: Callable[[Mapping[str, Place]], Awaitable[Collection[str]]]) -> None:
        """Delete what could not be deleted before, and see whether the place answers.

        So are files whose commit failed, was given up, or came too late: `look` returns those, of names and
        where each belongs, that rows name.
        """
        if unsure := dict(self._unsure):
            named = await look(unsure)
            for name in unsure:
                self._unsure.pop(name, None)
            self._left.update(set(unsure) - set(named))
        await self._run(self.store.bound)
        await self.remove(self._left - self._writing)

    async def names(self) -> set[str]:
        """What is there."""
        return await self._run(self.store.names)

    async def _run(self, call: Callable[[], T]) -> T:
        """In a thread; the time limit counts the wait for a free one too."""
        try:
            async with asyncio.timeout(self.store.limit):
                return await asyncio.get_running_loop().run_in_executor(self.store.executor, call)
        except TimeoutError:
            raise FilesUnavailable("files-unreachable") from None

    def sweep(self, named: Collection[str], alive: Callable[[str], bool]) -> int:
        """Delete files that no row names and whose writer is gone; returns how many. Blocks."""
        orphans = [
            name
            for name in self.store.names()
            if (name.endswith(TEMPORARY) or name not in named) and not alive(owner_of(name))
        ]
        self.store.remove(orphans)
        return len(orphans)


def owner_of(name: str) -> str:
    """The id of the process that wrote a file."""
    return name.partition("-")[0]


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


def named_of(connection: sa.Connection, files: Mapping[str, Place]) -> set[str]:
    """Those of `files`, each sealed for its place, that rows name."""
    # A file is named at the place it was sealed for, or nowhere: elsewhere it would not open.
    found = ((name, select_part(connection, place)) for name, place in files.items())
    return {name for name, stored in found if stored is not None and stored.file == name}


def select_part(connection: sa.Connection, place: Place) -> Stored | None:
    """The sealed part at a place."""
    _check(place)
    given = {"ticket": place.ticket, "message": place.message, "part": place.part}
    row = _SELECT.one(connection, given)
    return None if row is None else Stored(place, *row)


def delete_parts(connection: sa.Connection, places: Iterable[Place]) -> list[str]:
    """Delete rows; returns the names of files to remove after the commit."""
    of: dict[str, list[Place]] = {}
    for place in places:
        _check(place)
        of.setdefault(place.ticket, []).append(place)
    files: list[str] = []
    for ticket, there in of.items():
        for begin in range(0, len(there), _MOST):
            some = there[begin : begin + _MOST]
            given = {"ticket": ticket}
            for at, place in enumerate(some):
                given |= {f"message_{at}": place.message, f"part_{at}": place.part}
            rows = _deletion(len(some)).all(connection, given)
            files += [file for (file,) in rows if file is not None]
    return files


@cache
def _deletion(count: int) -> Statement:
    """Deletes so many parts of one ticket."""
    messages: list[sa.BindParameter[str]] = [sa.bindparam(f"message_{at}") for at in range(count)]
    names: list[sa.BindParameter[str]] = [sa.bindparam(f"part_{at}") for at in range(count)]
    pairs = zip(messages, names, strict=True)
    chosen = (
        part.c.ticket_id == sa.bindparam("ticket"),
        # For the index; a pair alone would be looked for among all parts of the ticket.
        part.c.message_id.in_(messages),
        part.c.name.in_(names),
        sa.or_(*(sa.and_(part.c.message_id == of, part.c.name == name) for of, name in pairs)),
    )
    return Statement(sa.delete(part).where(*chosen).returning(part.c.file))


def _check(place: Place) -> None:
    if not place.ticket or not place.part:
        raise SpoolUnavailable("incomplete place")
