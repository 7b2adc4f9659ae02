"""A peer that stalls, floods or breaks off keeps nobody else waiting; a broken answer doubles nothing."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from veildesk.core.errors import ConfigInvalid, LimitExceeded, SpoolUnavailable, VeildeskError, WorkLost
from veildesk.core.ticket import Deletion, Erased
from veildesk.link import replies
from veildesk.link.client import LinkClient
from veildesk.link.frames import Frame, pack
from veildesk.link.remote import RemoteEraser
from veildesk.link.requests import HELLO, Erase, FindThread, GetPiece, Request, Reword
from veildesk.link.server import LinkLimits, LinkServer, TooBusy

pytestmark = pytest.mark.timeout(100)
ASK = FindThread(b"x" * 32)


class Gateway:
    """Does what a test says, and notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, 0
        self.server: LinkServer | None = None
        self.answer: object = ()
        self.hold: asyncio.Event | None = None
        self.came = asyncio.Event()

    async def __call__(self, request: Request) -> tuple[bytes, ...]:
        self.asked += 1
        self.came.set()
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]

    async def listen(self, **limits: float) -> None:
        made = LinkLimits(**limits)  # type: ignore[arg-type]
        self.server = LinkServer(self.path, os.geteuid(), self, made)
        await self.server.start()


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="vd-") as folder:
        made = Gateway(Path(folder) / "gateway.sock")
        yield made
        if made.server is not None:
            await made.server.close()


async def raw(gateway: Gateway, *frames: Frame) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(gateway.path)
    for frame in frames:
        writer.write(b"".join(pack(frame)))
    return reader, writer


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("sent", [b"", b"".join(pack(HELLO)) + b"\x04\x00", b"\x00\x00\x01"])
async def test_who_says_nothing_more_is_let_go(gateway: Gateway, sent: bytes) -> None:
    await gateway.listen(frame=0.05, idle=0.05)
    reader, writer = await raw(gateway)
    writer.write(sent)
    await rest(reader)
    writer.close()
    assert gateway.asked == 0


async def test_more_connections_than_there_may_be_are_not_listened_to(gateway: Gateway) -> None:
    await gateway.listen(connections=2)
    held = [await raw(gateway, HELLO) for _ in range(2)]
    for reader, _ in held:
        assert await reader.readexactly(3)
    reader, writer = await raw(gateway, HELLO, Frame(ASK.verb, ASK.fields()))
    assert await rest(reader) == b""
    for _, each in [*held, (reader, writer)]:
        each.close()
    assert gateway.asked == 0


async def test_bytes_of_unfinished_requests_are_bounded_for_all_together(gateway: Gateway) -> None:
    await gateway.listen(memory=110)
    piece = GetPiece(b"x" * 32, "0123456789abcdef", 0)
    slow = b"".join(pack(Frame(piece.verb, piece.fields())))
    _, first = await raw(gateway, HELLO)
    first.write(slow[:-4])
    reader, second = await raw(gateway, HELLO)
    second.write(slow)
    gateway.hold = asyncio.Event()
    client = LinkClient(gateway.path)
    third = asyncio.create_task(client.ask(piece))
    await gateway.came.wait()
    # 52 bytes each: the stalled one holds its room, so that one of the other two waits for the other.
    assert gateway.asked == 1
    first.close()
    gateway.hold.set()
    assert await third == ()
    second.close()
    await rest(reader)
    await client.close()


async def test_errors_arrive_as_their_kind_and_tell_nothing_else(gateway: Gateway) -> None:
    await gateway.listen()
    client = LinkClient(gateway.path)
    for raised, kind in (
        (SpoolUnavailable("secret"), SpoolUnavailable),
        (WorkLost("secret"), WorkLost),
        (LimitExceeded("secret"), LimitExceeded),
        (TooBusy(), SpoolUnavailable),
        (RuntimeError("secret"), VeildeskError),
    ):
        gateway.answer = raised
        with pytest.raises(kind) as caught:
            await client.ask(ASK)
        assert "secret" not in str(caught.value)
    gateway.answer = (b"fine",)
    assert await client.ask(ASK) == (b"fine",)
    await client.close()


async def test_a_gateway_that_was_started_anew_is_found_again(gateway: Gateway) -> None:
    client = LinkClient(gateway.path)
    with pytest.raises(SpoolUnavailable):
        await client.ask(ASK)
    for _ in range(3):
        await gateway.listen()
        assert await client.ask(ASK) == ()
        assert gateway.server is not None
        await gateway.server.close()
    with pytest.raises(SpoolUnavailable):
        await client.ask(ASK)
    await client.close()


async def test_a_gateway_of_another_version_is_told_from_one_that_is_away(gateway: Gateway) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(pack(Frame(0, (b"veildesk portal link 2",)))))
        writer.close()

    server = await asyncio.start_unix_server(other, gateway.path)
    with pytest.raises(ConfigInvalid):
        await LinkClient(gateway.path).ask(ASK)
    server.close()


class Breaking:
    """Answers the first request of each connection, and does the second one without answering."""

    def __init__(self, path: Path) -> None:
        self.path, self.done = path, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = len(b"".join(pack(HELLO)))
        await reader.readexactly(size)
        writer.write(b"".join(pack(HELLO)))
        for reply in (Frame(0), None):
            if not await reader.read(65536):
                break
            self.done += 1
            if reply is not None:
                writer.write(b"".join(pack(reply)))
        writer.close()


@pytest.mark.parametrize(("request_", "done"), [(ASK, 3), (Reword(b"a" * 32, b"b" * 32, b"k", (), ()), 2)])
async def test_only_what_changes_nothing_is_asked_again_by_itself(
    gateway: Gateway, request_: Request, done: int
) -> None:
    breaking = Breaking(gateway.path)
    server = await asyncio.start_unix_server(breaking, gateway.path)
    client = LinkClient(gateway.path)
    repeat = request_ is ASK
    await client.ask(request_, repeat=repeat)
    if repeat:
        await client.ask(request_, repeat=repeat)
    else:
        with pytest.raises(SpoolUnavailable):
            await client.ask(request_, repeat=repeat)
    assert breaking.done == done
    await client.close()
    server.close()


async def test_a_deletion_whose_answer_was_lost_is_never_called_gone(gateway: Gateway) -> None:
    """The gateway deleted the ticket and died; started anew it knows no such ticket and says "gone"."""
    await gateway.listen()
    client = LinkClient(gateway.path)
    erase = RemoteEraser(client)
    gateway.answer = SpoolUnavailable("died")
    with pytest.raises(SpoolUnavailable):
        await erase(b"x" * 32)
    gateway.answer = replies.deletion_fields(Deletion(Erased.GONE))
    assert await erase(b"x" * 32) == Deletion(Erased.REQUESTED)
    assert await erase(b"y" * 32) == Deletion(Erased.GONE)
    gateway.answer = replies.deletion_fields(Deletion(Erased.GONE, "code"))
    assert await erase(b"x" * 32) == Deletion(Erased.GONE, "code")
    await client.close()


async def test_what_is_under_way_is_finished_when_the_gateway_stops(gateway: Gateway) -> None:
    await gateway.listen()
    gateway.hold = asyncio.Event()
    gateway.answer = (b"done",)
    client = LinkClient(gateway.path)
    asking = asyncio.create_task(client.ask(Erase(b"x" * 32)))
    await gateway.came.wait()
    assert gateway.server is not None
    closing = asyncio.create_task(gateway.server.close())
    await asyncio.sleep(0)
    gateway.hold.set()
    assert await asking == (b"done",)
    await closing
    assert not gateway.path.exists()
    await client.close()
