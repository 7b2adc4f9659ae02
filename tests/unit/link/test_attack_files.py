"""Files of bytes that a broken-into portal process could send, each named after what is wrong with it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from veildesk.core.errors import SpoolUnavailable
from veildesk.link.client import LinkClient
from veildesk.link.requests import Accept, FindThread, Request
from veildesk.link.server import LinkServer

FILES = sorted((Path(__file__).parents[2] / "corpus" / "link").glob("*.hex"))


class Gateway:
    """Notes what got through."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> tuple[bytes, ...]:
        self.asked.append(request)
        return ()


@pytest_asyncio.fixture
async def place() -> AsyncIterator[tuple[Path, Gateway]]:
    with tempfile.TemporaryDirectory(prefix="vd-") as folder:
        path, gateway = Path(folder) / "gateway.sock", Gateway()
        server = LinkServer(path, os.geteuid(), gateway)
        await server.start()
        yield path, gateway
        await server.close()


def content(path: Path) -> bytes:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    return bytes.fromhex("".join(lines[1:]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_nothing_of_it_gets_through_and_others_are_still_served(
    path: Path, place: tuple[Path, Gateway], caplog: pytest.LogCaptureFixture
) -> None:
    socket, gateway = place
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(content(path))
        writer.write_eof()
        async with asyncio.timeout(60):
            await reader.read()
    except ConnectionError:
        pass  # It was thrown out before it had written everything.
    finally:
        writer.close()
    assert gateway.asked == []
    assert "Traceback" not in caplog.text
    client = LinkClient(socket)
    assert await client.ask(FindThread(b"x" * 32)) == ()
    await client.close()
    assert gateway.asked == [FindThread(b"x" * 32)]


async def test_the_sound_message_beside_them_gets_through(place: tuple[Path, Gateway]) -> None:
    """Else the files could be refused for another reason than the one they are named after."""
    socket, gateway = place
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(content(FILES[0].parent / "sound" / "message.hex"))
    writer.write_eof()
    async with asyncio.timeout(60):
        await reader.read()
    writer.close()
    assert [type(request) for request in gateway.asked] == [Accept]
    assert len(FILES) > 30


async def test_another_user_of_the_machine_is_not_listened_to(tmp_path: Path) -> None:
    gateway = Gateway()
    with tempfile.TemporaryDirectory(prefix="vd-") as folder:
        server = LinkServer(Path(folder) / "s", os.geteuid() + 1, gateway)
        await server.start()
        client = LinkClient(Path(folder) / "s")
        with pytest.raises(SpoolUnavailable):
            await client.ask(FindThread(b"x" * 32))
        await server.close()
    assert gateway.asked == []
