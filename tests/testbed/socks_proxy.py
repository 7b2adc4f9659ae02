"""A SOCKS5 proxy on loopback that knows a few names and connects to nothing but loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from veildesk.replies.mailer import SocksProxy

__all__ = ["LoopbackSocks", "loopback_socks"]


@dataclass
class LoopbackSocks:
    """`ports` maps a name to a port on loopback; others do not exist. `asked` has each name and user."""

    proxy: SocksProxy
    ports: Mapping[str, int]
    asked: list[tuple[str, bytes]] = field(default_factory=list)


@asynccontextmanager
async def loopback_socks(ports: Mapping[str, int]) -> AsyncIterator[LoopbackSocks]:
    """Serve while the block runs."""
    box: list[LoopbackSocks] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await _serve(box[0], reader, writer)
        writer.transport.abort()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    box.append(LoopbackSocks(SocksProxy("127.0.0.1", server.sockets[0].getsockname()[1]), dict(ports)))
    try:
        yield box[0]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await server.wait_closed()


async def _serve(state: LoopbackSocks, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly((await reader.readexactly(2))[1])
    writer.write(b"\x05\x02")
    user = await reader.readexactly((await reader.readexactly(2))[1])
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(b"\x01\x00")
    head = await reader.readexactly(5)
    assert head[3] == 3, "names must be resolved by the proxy"
    host = (await reader.readexactly(head[4])).decode()
    await reader.readexactly(2)
    state.asked.append((host, user))
    port = state.ports.get(host)
    if port is None:
        writer.write(b"\x05\x04\x00\x01" + bytes(6))
        await writer.drain()
        return
    theirs, ours = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    await asyncio.wait(
        [asyncio.ensure_future(_pump(reader, ours)), asyncio.ensure_future(_pump(theirs, writer))],
        return_when=asyncio.FIRST_COMPLETED,
    )
    ours.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
