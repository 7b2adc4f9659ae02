"""A few pages on a Unix socket: enough to tell whether an onion service leads to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from veildesk.onion import Timing

__all__ = ["TIMING", "tiny_portal"]

# An upload that a busy machine's private network lost is not waited for three minutes.
TIMING = Timing(upload=20.0)

_PAGES = {
    "/": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "/enter": b"HTTP/1.1 303 See Other\r\nSet-Cookie: s=opaque; Path=/; HttpOnly\r\nLocation: /seen\r\n"
    b"Content-Length: 0\r\n\r\n",
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ")[1]
        lines = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        body = await reader.readexactly(int(lines[0].partition(":")[2]) if lines else 0)
        answer = _PAGES.get(path)
        if answer is None:
            echo = head.encode("latin-1") + body
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(echo) + echo
        writer.write(answer)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def tiny_portal(path: Path) -> AsyncIterator[str]:
    """Serve while the block runs; gives the target for an onion service. Unknown paths echo the request."""
    server = await asyncio.start_unix_server(_serve, path)
    try:
        yield f"unix:{path}"
    finally:
        server.close()
