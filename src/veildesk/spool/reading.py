"""The reading half of the store: parts, positions, threads, listings. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import sqlalchemy as sa

from veildesk.core.ports import ThreadView
from veildesk.core.submission import PortalAnchor
from veildesk.core.thread_entry import piece_name
from veildesk.core.work import State, Work
from veildesk.spool import accepting, anchored, claiming, erasing, rewording
from veildesk.spool.brought import Brought
from veildesk.spool.opening import Opened
from veildesk.spool.parts import Stored, select_part
from veildesk.spool.sealing import Place
from veildesk.spool.writer import Operation

__all__ = ["StoreReader"]

T = TypeVar("T")


class StoreReader:
    """Reads pass through the writer thread too: simple, and no reader ever keeps the log from shrinking."""

    def __init__(self, state: Opened) -> None:
        self._state = state
        self._writer = state.writer
        self._vault = state.vault
        self._files = state.files
        self._brought = Brought()

    async def part(self, message_id: str, name: str) -> bytes | None:
        """A message's blob, opened."""
        brought = self._brought.take(None, message_id, name)
        if brought is not None:
            return await self._open_brought(*brought)
        return await self._open_part(
            lambda connection: anchored.ticket_of(connection, message_id), message_id, name
        )

    async def ticket_part(self, ticket_id: str, name: str) -> bytes | None:
        """A ticket's blob, opened."""
        brought = self._brought.take(ticket_id, "", name)
        if brought is not None:
            return await self._open_brought(*brought)
        return await self._open_part(lambda _: ticket_id, "", name)

    async def _open_brought(self, key: bytes, stored: Stored | None) -> bytes | None:
        return None if stored is None else await self._files.open(key, stored)

    async def _open_part(self, ticket_of: anchored.TicketOf, message_id: str, name: str) -> bytes | None:
        def run(connection: sa.Connection) -> tuple[bytes, Stored] | None:
            ticket_id = ticket_of(connection)
            key = None if ticket_id is None else self._vault.get(connection, ticket_id)
            if ticket_id is None or key is None:
                return None
            stored = select_part(connection, Place(ticket_id, message_id, name))
            return None if stored is None else (key, stored)

        found = await self._writer.do("read", run)
        return None if found is None else await self._files.open(*found)

    async def cursor(self, backend: str) -> str | None:
        """Where the last poll of a backend ended."""
        return await self._read(lambda connection: self._state.cursors.load(connection, backend))

    async def find_by_marker(self, marker: bytes) -> str | None:
        """The ticket a marker belongs to."""
        return await self._read(lambda connection: anchored.by_marker(connection, marker))

    async def spare(self, digest: bytes) -> bytes | None:
        """What is sealed under a spare code."""
        ticket_id = await self.find_by_marker(digest)
        return None if ticket_id is None else await self.ticket_part(ticket_id, rewording.spare_part(digest))

    async def backend_ref(self, ticket_id: str) -> str | None:
        """The helpdesk's id of a ticket."""
        ref = await self.ticket_part(ticket_id, anchored.BACKEND_REF)
        return None if ref is None else ref.decode()

    async def anchor(self, ticket_id: str) -> PortalAnchor | None:
        """The portal anchor of a ticket, None for mail."""
        return await self._read(lambda connection: anchored.anchor_of(connection, self._vault, ticket_id))

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        """A portal thread; its entries stay sealed to the words."""
        found = await self._read(lambda connection: anchored.thread_of(connection, self._vault, lookup_id))
        if found is None:
            return None
        entries = [await self._files.open(found.key, stored) for stored in found.entries]
        return ThreadView(found.ticket, tuple(entries), expires_day=found.expires_day)

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        """One sealed piece of a file of a thread."""
        name = piece_name(place, number)
        return await self._open_part(lambda connection: accepting.anchored(connection, lookup_id), "", name)

    async def listing(
        self,
        states: Collection[State] | None = None,
        *,
        message_id: str | None = None,
        ticket_id: str | None = None,
        since: int = 0,
    ) -> list[Work]:
        """Messages by state, oldest first."""
        return await self._read(
            lambda connection: claiming.listing(connection, states, message_id, ticket_id, since)
        )

    async def counts(self) -> Mapping[str, int]:
        """Messages per state."""
        return await self._read(claiming.counts)

    async def oldest(self) -> Mapping[str, int]:
        """Age in days of the oldest message in each state."""
        today = self._today()
        days = await self._read(claiming.oldest)
        return {state: max(0, today - day) for state, day in days.items()}

    @property
    def waiting(self) -> int:
        """Operations that wait for the writer thread."""
        return self._writer.waiting

    @property
    def files_state(self) -> str:
        """How the place of large parts is: "ok", or a code."""
        return self._files.store.state

    @property
    def directory(self) -> Path:
        """The state directory."""
        return self._state.directory

    async def expired(self, today: int, queue_days: Mapping[str, int] = MappingProxyType({})) -> list[str]:
        """Tickets whose last day of retention lies before `today` (days since 1970).

        Also those of queues that keep a ticket for so many days after its last message.
        """
        over = await self._read(lambda connection: erasing.expired(connection, today))
        for queue, days in queue_days.items():
            over += await self._read(partial(erasing.expired_early, queue=queue, before=today - days))
        return list(dict.fromkeys(over))

    async def shorten(self, last_day: int) -> int:
        """Let no ticket's last day lie beyond this one; returns how many did."""
        return await self._writer.do("shorten", lambda connection: erasing.shorten(connection, last_day))

    def _today(self) -> int:
        raise NotImplementedError

    async def _read(self, run: Operation[T]) -> T:
        return await self._writer.do("read", run)
