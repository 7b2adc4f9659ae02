"""The portal's side of the link: a few connections, one request at a time on each, made anew when they end.

Whatever keeps a request from being answered becomes `SpoolUnavailable`, which the portal's pages tell as
"nothing was sent and nothing is lost". A request that may have arrived is repeated by itself only on a fresh
connection and only when repeating it changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from veildesk.core.errors import AcceptanceUnknown, ConfigInvalid, SpoolUnavailable
from veildesk.link.frames import BadFrame, Frame, pack, read_frame
from veildesk.link.replies import REPLY_BOUNDS, Status, raise_failure
from veildesk.link.requests import HELLO, Request

__all__ = ["LinkClient"]

_BUFFER: Final = 1024 * 1024
_CONNECT_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: Request, seconds: float) -> Frame:
        async with asyncio.timeout(seconds):
            for piece in pack(Frame(request.verb, request.fields())):
                self.writer.write(piece)
                await self.writer.drain()
        return await self.read(seconds)

    async def read(self, seconds: float) -> Frame:
        reply = await read_frame(self.reader, lambda _: REPLY_BOUNDS, idle=seconds, seconds=seconds)
        if reply is None:
            raise ConnectionResetError
        return reply


class LinkClient:
    """Asks the gateway behind the socket `path`, at most `most` requests at the same time."""

    def __init__(self, path: Path, *, most: int = 12) -> None:
        self._path = path
        self._idle: list[_Connection] = []
        self._turns = asyncio.Semaphore(most)

    async def ask(self, request: Request, *, seconds: float = 30.0, repeat: bool = True) -> tuple[bytes, ...]:
        """The fields of the reply; `seconds` bound waiting for a turn and for the reply, each.

        Raises `SpoolUnavailable` when the gateway is away, `AcceptanceUnknown` if the request may have
        reached it all the same, `ConfigInvalid` when it is of another version, and whatever else it answers.
        With `repeat` False a request is never sent twice.
        """
        await self._turn(seconds)
        try:
            reply = await self._reply(request, seconds, repeat)
        finally:
            self._turns.release()
        if reply.kind != Status.DONE:
            raise_failure(reply.kind)
        return reply.fields

    async def _turn(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise SpoolUnavailable("gateway-busy") from None

    async def _reply(self, request: Request, seconds: float, repeat: bool) -> Frame:
        asked = False
        try:
            if (kept := self._kept()) is not None:
                asked = True
                try:
                    return await self._on(kept, request, seconds)
                except (OSError, EOFError) as error:
                    # The gateway was started anew meanwhile. A time-out is no such sign.
                    if not repeat or isinstance(error, TimeoutError):
                        raise
            fresh = await self._connect()
            asked = True
            return await self._on(fresh, request, seconds)
        except (OSError, EOFError):
            if asked:
                raise AcceptanceUnknown("gateway-broke-off") from None
            raise SpoolUnavailable("gateway-away") from None
        except BadFrame:
            raise AcceptanceUnknown("gateway-speaks-otherwise") from None

    async def _on(self, connection: _Connection, request: Request, seconds: float) -> Frame:
        try:
            reply = await connection.ask(request, seconds)
        except BaseException:
            # What comes later on it would be taken for the answer to something else.
            connection.writer.transport.abort()
            raise
        if reply.kind in (Status.REFUSED, Status.BUSY):
            connection.writer.close()
        else:
            self._idle.append(connection)
        return reply

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.writer.close()
        return None

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = _Connection(*await asyncio.open_unix_connection(self._path, limit=_BUFFER))
        try:
            for piece in pack(HELLO):
                connection.writer.write(piece)
            if await connection.read(_CONNECT_SECONDS) != HELLO:
                raise ConfigInvalid("gateway and portal process are of different versions; restart both")
        except BaseException:
            connection.writer.transport.abort()
            raise
        return connection

    async def close(self) -> None:
        """Let go of all connections."""
        while self._idle:
            connection = self._idle.pop()
            connection.writer.close()
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()
