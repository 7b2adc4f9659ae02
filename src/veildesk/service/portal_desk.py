"""The gateway's answers to a portal process, which is taken for hostile.

Each request is done by the same roles that a portal inside the gateway has. What that portal could not do
by its own rules is refused here too: other queues, files that are too large, keys nothing can be sealed to,
more at a time than all visitors together may.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pwd
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from veildesk.core.errors import ConfigInvalid, LimitExceeded, VeildeskError
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.submission import Channel, PortalAnchor, PortalEntry, Submission
from veildesk.link import replies
from veildesk.link import requests as asked
from veildesk.link.requests import Request, Verb
from veildesk.link.server import TooBusy
from veildesk.link.shape import dump
from veildesk.portal.bucket import TokenBucket
from veildesk.portal.ports import PortalPorts, PortalSettings

_log = logging.getLogger("veildesk.service")

__all__ = ["ANSWERED_SECONDS", "PortalDesk", "uid_of"]

ANSWERED_SECONDS: Final = 30.0
"""A portal process asks for news more often than this; one that did not for longer is away."""

_ROUND: Final = 4
"""A visitor's form costs a quarter of a key derivation: so many of them come for each of these."""
_TEXT_FACTOR: Final = 4
_LONGEST_ENTRY: Final = 1024 * 1024
_LONGEST_THREAD: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Pace:
    """How often a kind of request is served. `rate` and `burst` are multiples of the portal's own bounds."""

    rate: float
    burst: float


_PACES: Final[Mapping[int, _Pace]] = {
    Verb.ACCEPT: _Pace(_ROUND, _ROUND),
    Verb.REWORD: _Pace(1, 1),
    Verb.ERASE: _Pace(_ROUND, _ROUND),
    Verb.ERASURE: _Pace(_ROUND, _ROUND),
    Verb.SPARE: _Pace(_ROUND, _ROUND),
    Verb.LODGING: _Pace(1, 1),
    Verb.DELETION: _Pace(1, 1),
    Verb.COUNT: _Pace(_ROUND, _ROUND),
    Verb.TOKEN: _Pace(_ROUND, _ROUND),
}
"""Reading a thread or its pieces and asking for news is bounded by the number of connections alone."""


class PortalDesk:
    """`ports` and `settings` are those of a portal inside the gateway; `offer` is what the other is given."""

    def __init__(self, ports: PortalPorts, settings: PortalSettings, offer: bytes) -> None:
        self._ports, self._settings, self._offer = ports, settings, offer
        self._offered = hashlib.sha256(offer).digest()
        now = ports.clock.monotonic()
        self._buckets = {
            verb: TokenBucket(settings.rate * pace.rate, int(settings.burst * pace.burst), now)
            for verb, pace in _PACES.items()
        }
        self._seen = float("-inf")
        self._answers: Mapping[type[Request], Callable[[Any], Awaitable[tuple[bytes, ...]]]] = {
            asked.Settings: self._settings_of,
            asked.News: self._news,
            asked.Accept: self._accept,
            asked.FindThread: self._thread,
            asked.GetPiece: self._piece,
            asked.FindSpare: self._spare,
            asked.Reword: self._reword,
            asked.Erase: self._erase,
            asked.FindErasure: self._erasure,
            asked.LodgingReceipt: self._lodging,
            asked.DeletionReceipt: self._deletion,
            asked.CountAnswer: self._count,
            asked.Token: self._token,
        }

    @property
    def answered(self) -> bool:
        """Whether a portal process was heard of just now."""
        return self._ports.clock.monotonic() - self._seen < ANSWERED_SECONDS

    async def __call__(self, request: Request) -> tuple[bytes, ...]:
        """The fields of the reply. Raises `TooBusy` and whatever the roles raise."""
        now = self._ports.clock.monotonic()
        self._seen = now
        bucket = self._buckets.get(request.verb)
        if bucket is not None and bucket.take(now):
            raise TooBusy
        return await self._answers[type(request)](request)

    async def _settings_of(self, request: asked.Settings) -> tuple[bytes, ...]:
        return (self._offer,)

    async def _news(self, request: asked.News) -> tuple[bytes, ...]:
        parking = b"\1" if self._ports.parking() else b"\0"
        try:
            board = dump(await asyncio.to_thread(self._ports.notices.board))
        except Exception as error:
            # A series that cannot be read is "unknown" on the pages, whatever is wrong with it.
            _log.error("notices-unreadable error=%s", type(error).__name__)
            return (parking, self._offered, b"")
        digest = hashlib.sha256(board).digest()
        same = digest == request.have
        return (parking, self._offered, digest) if same else (parking, self._offered, digest, board)

    async def _accept(self, request: asked.Accept) -> tuple[bytes, ...]:
        self._check(request.entry)
        self._check_key(request.public_key)
        await self._check_thread(request)
        accepted = await self._ports.intake.accept(
            Submission(
                channel=Channel.PORTAL,
                dedup=request.dedup,
                payload=await asyncio.to_thread(encode_portal_entry, request.entry),
                queue=self._settings.queue_of(request.entry.topic),
                anchor=PortalAnchor(request.lookup_id, request.public_key),
                thread_entry=request.thread_entry,
                spares=request.spares,
            )
        )
        return (b"\1" if accepted.fresh else b"\0",)

    def _check(self, entry: PortalEntry) -> None:
        """What the portal's own forms let through, with room for masks, and no more."""
        settings = self._settings
        sizes = [len(content) for _, _, content in entry.attachments]
        fits = (
            entry.topic in settings.topics
            and entry.language in settings.languages
            and len(entry.text) <= _TEXT_FACTOR * settings.text_size
            and len(entry.own_words) <= settings.own_words
            and len(sizes) <= settings.files
            and max(sizes, default=0) <= settings.file_size
            and sum(sizes) <= settings.upload_size
        )
        if not fits:
            raise LimitExceeded("portal-entry")

    async def _check_thread(self, request: asked.Accept) -> None:
        """A thread is read as a whole, so it may not grow without end; a closed portal begins none."""
        view = await self._ports.threads.thread(request.lookup_id)
        if view is None and not self._settings.open:
            raise LimitExceeded("portal-closed")
        held = sum(map(len, view.entries)) if view is not None else 0
        if len(request.thread_entry) > _LONGEST_ENTRY or held + len(request.thread_entry) > _LONGEST_THREAD:
            raise LimitExceeded("portal-thread")

    def _check_key(self, public_key: bytes) -> None:
        """A thread whose key is none would keep every answer from being sealed."""
        try:
            self._ports.cipher.seal(public_key, b"")
        except (VeildeskError, ValueError, KeyError):
            raise LimitExceeded("portal-key") from None

    async def _thread(self, request: asked.FindThread) -> tuple[bytes, ...]:
        return replies.thread_fields(await self._ports.threads.thread(request.lookup_id))

    async def _piece(self, request: asked.GetPiece) -> tuple[bytes, ...]:
        return _maybe(
            await self._ports.threads.thread_piece(request.lookup_id, request.place, request.number)
        )

    async def _spare(self, request: asked.FindSpare) -> tuple[bytes, ...]:
        return _maybe(await self._ports.threads.spare(request.digest))

    async def _reword(self, request: asked.Reword) -> tuple[bytes, ...]:
        self._check_key(request.public_key)
        anchor = PortalAnchor(request.new_lookup_id, request.public_key)
        done = await self._ports.threads.reword(request.lookup_id, anchor, request.entries, request.spares)
        return (b"\1" if done else b"\0",)

    async def _erase(self, request: asked.Erase) -> tuple[bytes, ...]:
        return replies.deletion_fields(await self._ports.erase(request.lookup_id))

    async def _erasure(self, request: asked.FindErasure) -> tuple[bytes, ...]:
        return replies.erasure_fields(await self._ports.erasure(request.code))

    async def _lodging(self, request: asked.LodgingReceipt) -> tuple[bytes, ...]:
        return ((await self._ports.receipts.lodging(request.lookup_id, request.messages)).encode(),)

    async def _deletion(self, request: asked.DeletionReceipt) -> tuple[bytes, ...]:
        signed = await self._ports.receipts.deletion(request.code)
        return _maybe(None if signed is None else signed.encode())

    async def _count(self, request: asked.CountAnswer) -> tuple[bytes, ...]:
        await self._ports.count(request.choice)
        return ()

    async def _token(self, request: asked.Token) -> tuple[bytes, ...]:
        if self._ports.subscription is None:
            raise LimitExceeded("no-subscriptions")
        return ((await self._ports.subscription()).encode(),)


def uid_of(user: str) -> int:
    """The number of a user of this machine, by name or number. Raises `ConfigInvalid`."""
    if user.isascii() and user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigInvalid("[portal.process] user: there is no such user on this machine") from None


def _maybe(value: bytes | None) -> tuple[bytes, ...]:
    return () if value is None else (value,)
