"""Where helpdesks say "look now": a POST that proves itself, and nothing else.

What comes in is never content. A genuine call makes the gateway poll that helpdesk at once; everything a
person gets still comes from the poll. The listener is for loopback or a Unix socket; a web server with TLS
stands before it where the helpdesk is elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h11

__all__ = ["WebhookServer"]

_log = logging.getLogger("veildesk.ops")
_MAX_BODY: Final = 4 * 1024 * 1024
_MAX_HEAD: Final = 16 * 1024
_CONNECTIONS: Final = 8
_SECONDS: Final = 10.0
Proves = Callable[[Mapping[str, str], bytes], bool]


@dataclass(frozen=True, slots=True)
class WebhookServer:
    """Takes `POST /NAME` for each helpdesk that `takers` names: what proves a call, and what to do then.

    Listens on `path`, or on `host` and `port`. The answer is 204 for a genuine call, and the same 403 for
    an unknown name and a wrong signature.
    """

    takers: Mapping[str, tuple[Proves, Callable[[], None]]]
    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0

    async def start(self) -> asyncio.Server:
        """Listen until the server that is returned is closed. Raises `OSError`."""
        room = asyncio.Semaphore(_CONNECTIONS)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_SECONDS), room:
                    await self._serve(reader, writer)
            writer.close()

        if self.path is None:
            return await asyncio.start_server(serve, self.host, self.port)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(serve, self.path)
        self.path.chmod(0o660)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        try:
            status = await self._status(connection, reader, writer)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
        if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [("Content-Length", "0"), ("Connection", "close")]
        wire = connection.send(h11.Response(status_code=status, headers=headers))
        writer.write((wire or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()

    async def _status(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> int:
        request, body = None, bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    writer.write(
                        connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                    )
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                if event.method != b"POST":
                    return 405
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_BODY:
                    return 413
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return self._judge(request, bytes(body))
            else:
                return 400

    def _judge(self, request: h11.Request, body: bytes) -> int:
        name = request.target.decode("ascii", "replace").partition("?")[0].removeprefix("/")
        proves, act = self.takers.get(name, (None, None))
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.headers}
        if proves is None or act is None or not proves(headers, body):
            # The name came from outside: it does not belong into a log.
            _log.warning("webhook-refused helpdesk=%s", name if name in self.takers else "unknown")
            return 403
        act()
        return 204
