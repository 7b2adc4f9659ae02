"""A small HTTP proxy before a helpdesk that breaks single calls in ways that networks and servers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

FAULTS = ("cut-before", "cut-after", "half", "corrupt", "silent", "error", "rate", "login-page", "inside")
ACTS = ("act-before", "act-after")
"""Cut the connection before the helpdesk sees the call, or after it did it; hand over half of the answer;
garble it; answer nothing until the client gives up; 500; 429; another page with status 200; an error
inside of an answer with status 200, as Znuny says it. The acts do
what the test wants at that moment, such as killing the client, and answer nothing."""
_INSIDE = b'{"Error":{"ErrorMessage":"Ticket could not be created, please contact the system administrator"}}'
PLAIN = {
    "inside": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_INSIDE), _INSIDE),
    "error": b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops",
    "rate": b"HTTP/1.1 429 Slow down\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "login-page": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n<html>log in</html>\n",
}


@dataclass
class FaultProxy:
    """`break_next(path, fault)` breaks the next call whose request line holds `path`."""

    target: str
    url: str = ""
    broken: list[str] = field(default_factory=list)
    act: Callable[[], None] = lambda: None
    _next: tuple[str, str] | None = None

    def break_next(self, path: str, fault: str) -> None:
        assert fault in FAULTS + ACTS
        self._next = (path, fault)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._handle(reader, writer)
        writer.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body(reader, head)
        line = head.split(b"\r\n", 1)[0].decode()
        fault = ""
        if self._next is not None and self._next[0] in line:
            fault, self._next = self._next[1], None
            self.broken.append(line)
        if fault == "act-before":
            self.act()
        if fault in ("cut-before", "act-before"):
            return
        if fault in PLAIN:
            writer.write(PLAIN[fault])
            await writer.drain()
            return
        answer = await self._forward(head, body)
        if fault == "act-after":
            self.act()
        elif fault == "silent":
            await reader.read()
        elif fault == "half":
            writer.write(answer[: len(answer) // 2])
        elif fault == "corrupt":
            start = answer.index(b"\r\n\r\n") + 4
            writer.write(answer[:start] + b"\xff" * (len(answer) - start))
        elif fault != "cut-after":
            writer.write(answer)
        await writer.drain()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        place = urlsplit(self.target)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        lines.insert(1, b"Connection: close")
        writer.write(b"\r\n".join(lines) + body)
        await writer.drain()
        answer = await reader.read(-1)
        writer.close()
        return answer


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"content-length" in fields:
        return await reader.readexactly(int(fields[b"content-length"]))
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        whole = b""
        while True:
            size = await reader.readline()
            piece = await reader.readexactly(int(size, 16) + 2)
            whole += size + piece
            if int(size, 16) == 0:
                return whole
    return b""


@asynccontextmanager
async def fault_proxy(target: str) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(target)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy
