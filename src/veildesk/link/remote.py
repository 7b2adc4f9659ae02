"""The gateway's roles for a portal in a process of its own, asked over the link.

Nothing here opens anything: entries, pieces and spare codes pass as they are sealed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from veildesk.core.errors import ConfigInvalid, SpoolUnavailable
from veildesk.core.notice import Board, Component, ComponentState
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.portal_receipts import LodgedMessage
from veildesk.core.ports import Clock, ThreadView
from veildesk.core.submission import Accepted, PortalAnchor, SpareCode, Submission
from veildesk.core.ticket import Deletion, Erased, Erasure
from veildesk.link import replies, requests
from veildesk.link.client import LinkClient
from veildesk.link.frames import BadFrame
from veildesk.link.shape import load

__all__ = ["RemoteEraser", "RemoteNews", "RemoteReceipts", "RemoteStore", "read_news"]

_log = logging.getLogger("veildesk.link")
_T = TypeVar("_T")
_ACCEPT_SECONDS: Final = 120.0
_ERASE_SECONDS: Final = 180.0
_NEWS_SECONDS: Final = 5.0
_UNSURE: Final = 1000


def _read(reader: Callable[[tuple[bytes, ...]], _T], fields: tuple[bytes, ...]) -> _T:
    try:
        return reader(fields)
    except BadFrame:
        raise SpoolUnavailable("gateway-speaks-otherwise") from None


class RemoteStore:
    """`core.ports.Intake` and `portal.ports.Threads`."""

    def __init__(self, client: LinkClient) -> None:
        self._client = client

    async def accept(self, submission: Submission) -> Accepted:
        """Hand a message over; returns after the gateway has committed it. Raises `SpoolUnavailable`.

        When the answer is lost, the same submission again is one message still: by its idempotency key.
        """
        anchor, thread_entry = submission.anchor, submission.thread_entry
        if anchor is None or thread_entry is None:
            raise ValueError("not a message of the portal")
        entry = await asyncio.to_thread(decode_portal_entry, submission.payload)
        request = requests.Accept(
            dedup=submission.dedup,
            lookup_id=anchor.lookup_id,
            public_key=anchor.public_key,
            thread_entry=thread_entry,
            spares=submission.spares,
            entry=entry,
        )
        fields = await self._client.ask(request, seconds=_ACCEPT_SECONDS)
        # Ids of messages and tickets are not told to the portal.
        return Accepted("", "", _read(replies.read_flag, fields))

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        """As in the port."""
        return _read(replies.read_thread, await self._client.ask(requests.FindThread(lookup_id)))

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        """As in the port."""
        fields = await self._client.ask(requests.GetPiece(lookup_id, place, number))
        return _read(replies.read_maybe, fields)

    async def spare(self, digest: bytes) -> bytes | None:
        """As in the port."""
        return _read(replies.read_maybe, await self._client.ask(requests.FindSpare(digest)))

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        """As in the port. Not repeated by itself: the second time the old words are gone."""
        request = requests.Reword(
            lookup_id, anchor.lookup_id, anchor.public_key, tuple(spares), tuple(entries)
        )
        fields = await self._client.ask(request, seconds=_ACCEPT_SECONDS, repeat=False)
        return _read(replies.read_flag, fields)


class RemoteEraser:
    """`portal.ports.Eraser`.

    A gateway that was started anew knows nothing of a deletion whose answer was lost, and the ticket is gone
    by then: that is not called "gone everywhere".
    """

    def __init__(self, client: LinkClient) -> None:
        self._client = client
        self._unsure: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, lookup_id: bytes) -> Deletion:
        """Delete. Raises `SpoolUnavailable`, after which it may have happened all the same."""
        request = requests.Erase(lookup_id)
        try:
            fields = await self._client.ask(request, seconds=_ERASE_SECONDS, repeat=False)
            deletion = _read(replies.read_deletion, fields)
        except BaseException:
            self._unsure[lookup_id] = None
            while len(self._unsure) > _UNSURE:
                self._unsure.popitem(last=False)
            raise
        if lookup_id in self._unsure and deletion == Deletion(Erased.GONE):
            return Deletion(Erased.REQUESTED)
        self._unsure.pop(lookup_id, None)
        return deletion


class RemoteReceipts:
    """`portal.ports.Receipts`, and the small questions that stand beside them."""

    def __init__(self, client: LinkClient) -> None:
        self._client = client

    async def lodging(self, lookup_id: bytes, messages: Sequence[LodgedMessage]) -> str:
        """As in the port."""
        return await self._text(requests.LodgingReceipt(lookup_id, tuple(messages)))

    async def deletion(self, code: str) -> str | None:
        """As in the port."""
        if not requests.is_code(code):
            return None
        found = _read(replies.read_maybe, await self._client.ask(requests.DeletionReceipt(code)))
        return None if found is None else found.decode()

    async def erasure(self, code: str) -> Erasure | None:
        """How far a deletion came; what cannot be a code is not asked for."""
        if not requests.is_code(code):
            return None
        return _read(replies.read_erasure, await self._client.ask(requests.FindErasure(code)))

    async def token(self) -> str:
        """A token that a visitor mails in."""
        return await self._text(requests.Token())

    async def count(self, choice: str) -> None:
        """Count an answer if that can be done now; nothing hangs on it."""
        try:
            await self._client.ask(requests.CountAnswer(choice), repeat=False)
        except SpoolUnavailable:
            _log.warning("feedback-not-counted")

    async def _text(self, request: requests.Request) -> str:
        return _read(replies.read_one, await self._client.ask(request)).decode()


class RemoteNews:
    """`core.ports.NoticeArchive` and what else changes by itself. Asked for at most every `seconds`.

    While the gateway is away the statements that are known are still shown, since they prove themselves, but
    nothing is called operational.
    """

    def __init__(self, client: LinkClient, clock: Clock, settings: bytes, *, seconds: float = 1.0) -> None:
        self._client, self._clock, self._settings, self._seconds = client, clock, settings, seconds
        self._board: Board | None = None
        self._digest = b""
        self._asked = float("-inf")
        self._turn = asyncio.Lock()
        self.away = True
        self.parking = False
        self.changed = asyncio.Event()
        """Set when the gateway has other settings by now."""

    def board(self) -> Board:
        """What is known. Raises `SpoolUnavailable` when nothing ever was or the series cannot be read."""
        if self._board is None:
            raise SpoolUnavailable("no-board")
        if not self.away:
            return self._board
        parts = [one.name for one in self._board.components] or ["mail", "helpdesk"]
        unknown = tuple(Component(name, ComponentState.UNKNOWN) for name in parts)
        return dataclasses.replace(self._board, components=unknown)

    async def refresh(self) -> None:
        """Ask, unless that was done just now. Never raises."""
        async with self._turn:
            wait = _NEWS_SECONDS if self.away and self._board is not None else self._seconds
            if self._clock.monotonic() - self._asked < wait:
                return
            await self._ask()
            self._asked = self._clock.monotonic()

    async def _ask(self) -> None:
        try:
            fields = await self._client.ask(requests.News(self._digest), seconds=_NEWS_SECONDS)
            self.parking, settings, digest, board = _read(read_news, fields)
        except Exception as error:
            if not self.away:
                _log.warning("gateway-away error=%s", type(error).__name__)
            self.away = True
            if isinstance(error, ConfigInvalid):
                self.changed.set()  # Another version answers: all is begun anew.
            return
        if self.away:
            _log.info("gateway-answers")
        self.away = False
        if settings != self._settings:
            self.changed.set()
        if digest != self._digest:
            self._board, self._digest = board, digest


def read_news(fields: tuple[bytes, ...]) -> tuple[bool, bytes, bytes, Board | None]:
    """Whether new tickets wait, digest of the settings, digest of the board (empty when it cannot be read),
    and the board if it is another than was known."""
    if len(fields) not in (3, 4):
        raise BadFrame("fields")
    board = load(Board, fields[3]) if len(fields) == 4 else None
    if board is not None and hashlib.sha256(fields[3]).digest() != fields[2]:
        raise BadFrame("digest")
    return replies.read_flag(fields[:1]), fields[1], fields[2], board
