"""The gateway's side of the link: a Unix socket that one user of this machine may use.

The peer is taken for hostile. Bounded are: connections, requests at a time (one for each connection), bytes
of requests in memory, the time of everything. What is not in the agreed form ends its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from veildesk.core.errors import ConfigInvalid, VeildeskError
from veildesk.link.frames import BadFrame, Bounds, Frame, pack, read_frame
from veildesk.link.replies import Status, failure, status_of
from veildesk.link.requests import HELLO, Request, decode_request, request_bounds

__all__ = ["Answer", "LinkLimits", "LinkServer", "TooBusy"]

_log = logging.getLogger("veildesk.link")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
_BUFFER: Final = 1024 * 1024
_LAST_SECONDS: Final = 10.0
_FROM_OTHER_VERSIONS: Final = Bounds(1, 256)

Answer = Callable[[Request], Awaitable[tuple[bytes, ...]]]
"""Does what a request asks and gives the fields of the reply. Raises `TooBusy` or a `VeildeskError`."""


class TooBusy(Exception):
    """More requests of a kind than are served."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Connections, bytes of unfinished requests in memory, and seconds: between requests, of a frame."""

    connections: int = 16
    memory: int = 96 * 1024 * 1024
    idle: float = 120.0
    frame: float = 30.0


class LinkServer:
    """Listens at `path` and takes connections of processes of the user `uid` only."""

    def __init__(self, path: Path, uid: int, answer: Answer, limits: LinkLimits | None = None) -> None:
        self._path, self._uid, self._answer = path, uid, answer
        self._limits = limits or LinkLimits()
        self._room = _Room(self._limits.memory)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket left by a dead gateway is replaced. Raises `ConfigInvalid`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_BUFFER)
        except OSError:
            raise ConfigInvalid(
                "[portal.process] socket: cannot listen there; its folder is needed"
            ) from None
        # Whoever gets here is asked who he is; the folder says who gets here.
        self._path.chmod(0o660)

    async def run(self) -> None:
        """Listen until cancelled; what is under way then is finished or, after a time, given up."""
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop: no new requests; those under way get ten seconds."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in self._serving - self._working:
            task.cancel()
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=_LAST_SECONDS)
            for task in late:
                task.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_LAST_SECONDS)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            if self._welcome(writer):
                await self._talk(reader, writer, task)
        except BadFrame as error:
            _log.warning("portal-link-refused reason=%s", error)
            with contextlib.suppress(OSError):
                await self._send(writer, failure(Status.REFUSED))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # It went away or was too slow, or we stop. Nothing is said, since nobody may be listening.
        except Exception as error:
            _log.error("portal-link-failed error=%s", type(error).__name__)
        finally:
            self._serving.discard(task)
            self._working.discard(task)
            writer.close()

    def _welcome(self, writer: asyncio.StreamWriter) -> bool:
        """Whether this peer may talk to us: SO_PEERCRED is the kernel's word for who connected."""
        connection: socket.socket = writer.get_extra_info("socket")
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(told)
        if uid != self._uid:
            _log.warning("portal-link-refused reason=other-user")
            return False
        return len(self._serving) <= self._limits.connections

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> None:
        limits = self._limits
        hello = await read_frame(reader, _hello_bounds, idle=limits.frame, seconds=limits.frame)
        # Also to one of another version, so that it can say what is wrong.
        await self._send(writer, HELLO)
        if hello != HELLO:
            _log.warning("portal-link-refused reason=version")
            return
        while self._server is not None and self._server.is_serving():
            share = self._room.share()
            try:
                frame = await read_frame(
                    reader, request_bounds, idle=limits.idle, seconds=limits.frame, room=share.take
                )
                if frame is None:
                    return
                self._working.add(task)
                reply = await self._reply(frame)
            finally:
                share.release()
            await self._send(writer, reply)
            self._working.discard(task)

    async def _reply(self, frame: Frame) -> Frame:
        request = decode_request(frame)
        try:
            return Frame(Status.DONE, await self._answer(request))
        except TooBusy:
            return failure(Status.BUSY)
        except VeildeskError as error:
            _log.warning("portal-link-request verb=%d code=%s", frame.kind, error.code)
            return failure(status_of(error))
        except Exception as error:
            # Its text may hold what a visitor wrote.
            _log.error("portal-link-request verb=%d error=%s", frame.kind, type(error).__name__)
            return failure(Status.FAILED)

    async def _send(self, writer: asyncio.StreamWriter, frame: Frame) -> None:
        async with asyncio.timeout(self._limits.frame):
            for piece in pack(frame):
                writer.write(piece)
                await writer.drain()


def _hello_bounds(kind: int) -> Bounds | None:
    return _FROM_OTHER_VERSIONS if kind == HELLO.kind else None


class _Room:
    """A ceiling on the bytes of requests in memory; who finds none waits for it."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0
        self._changed = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()

    def share(self) -> _Share:
        return _Share(self)

    async def take(self, size: int) -> None:
        async with asyncio.timeout(_LAST_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self._used + size <= self._limit)
            self._used += size

    def give(self, size: int) -> None:
        self._used -= size
        wake = asyncio.get_running_loop().create_task(self._wake())
        self._waking.add(wake)
        wake.add_done_callback(self._waking.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Share:
    """What one request holds of the room."""

    def __init__(self, room: _Room) -> None:
        self._room, self._held = room, 0

    async def take(self, size: int) -> None:
        await self._room.take(size)
        self._held = size

    def release(self) -> None:
        if self._held:
            self._room.give(self._held)
            self._held = 0
