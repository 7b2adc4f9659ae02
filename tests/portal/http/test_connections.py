"""Connections as tor hands them over: slow heads, nonsense, too many, and circuits that are told apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from portal.fakes import HOST, World
from veildesk.core.receipt import WORDS
from veildesk.portal import connection
from veildesk.portal.app import create_app
from veildesk.portal.bucket import CircuitBuckets
from veildesk.portal.connection import circuit_of
from veildesk.portal.headers import HEADERS
from veildesk.portal.serve import config

PROXY = b"PROXY TCP6 fc00:dead:beef:4dad::0:%x ::1 26 81\r\n"
GET = b"GET /en HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % HOST.encode()
WORDS_FORM = b"words=" + b"+".join(word.encode() for word in WORDS[:8])
POST = (
    b"POST /en/track HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
) % (HOST.encode(), len(WORDS_FORM), WORDS_FORM)


class Served:
    def __init__(self, path: Path) -> None:
        self.path = path

    async def send(self, data: bytes) -> bytes:
        """All that comes back until the other side closes."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(data)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.fixture
async def serve(world: World, tmp_path: Path) -> AsyncIterator[object]:
    async with asyncio.TaskGroup() as group:
        servers: list[uvicorn.Server] = []

        async def start(*, circuits: bool = False) -> Served:
            path = tmp_path / f"{len(servers)}.sock"
            app = create_app(world.settings, world.ports)
            servers.append(uvicorn.Server(config(app, path, circuits=circuits)))
            group.create_task(servers[-1].serve())
            while not servers[-1].started:
                await asyncio.sleep(0.01)
            return Served(path)

        yield start
        for server in servers:
            server.should_exit = True


async def test_a_head_that_does_not_come_ends_the_connection(serve, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    for circuits, first in (
        (False, b""),
        (True, b""),
        (True, b"PROXY TC"),
        (False, GET[:-2]),
        (True, PROXY % 1),
    ):
        served = await serve(circuits=circuits)
        assert await served.send(first) == b""


async def test_a_second_head_has_no_more_time_than_the_first(serve, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    served = await serve()
    answer = await served.send(GET.replace(b"close", b"keep-alive") + b"GET /en")
    assert answer.count(b"HTTP/1.1 200") == 1


async def test_an_answer_that_takes_long_is_waited_for(serve, world: World, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    derive = world.cipher.derive

    async def slow(words: str):
        await asyncio.sleep(0.8)
        return await derive(words)

    world.cipher.derive = slow
    assert (await (await serve()).send(POST)).startswith(b"HTTP/1.1 200 ")


async def test_nonsense_is_refused_in_words_that_name_nobody(serve) -> None:
    served = await serve()
    answer = await served.send(b"\x16\x03\x01nonsense\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    names = {line.partition(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:]}
    assert names == set(HEADERS) | {"content-type", "connection"}
    assert body == b"bad request\n"


async def test_too_many_connections_are_closed_at_once(serve, monkeypatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 2)
    served = await serve()
    held = [await asyncio.open_unix_connection(served.path) for _ in range(2)]
    while await served.send(GET):
        await asyncio.sleep(0.01)
    for _, writer in held:
        writer.close()
    while not (await served.send(GET)).startswith(b"HTTP/1.1 200 "):
        await asyncio.sleep(0.01)


async def test_each_circuit_pays_for_itself(serve, world: World) -> None:
    world.settings = replace(world.settings, circuit_rate=0.001, circuit_burst=2)
    served = await serve(circuits=True)
    codes = [(await served.send(PROXY % 7 + POST)).split(b" ")[1] for _ in range(3)]
    assert codes == [b"200", b"200", b"429"]
    assert (await served.send(PROXY % 8 + POST)).split(b" ")[1] == b"200"


async def test_one_circuit_cannot_hold_the_places_of_all_forms(serve, world: World) -> None:
    world.settings = replace(world.settings, circuit_posts=2, posts=20)
    served = await serve(circuits=True)
    held = []
    for _ in range(2):
        reader, writer = await asyncio.open_unix_connection(served.path)
        writer.write(PROXY % 7 + POST[:-5])
        await writer.drain()
        held.append((reader, writer))
    while (await served.send(PROXY % 7 + POST)).split(b" ")[1] != b"503":
        await asyncio.sleep(0.01)
    assert (await served.send(PROXY % 8 + POST)).split(b" ")[1] == b"200"
    for reader, writer in held:
        writer.write(POST[-5:])
        assert (await reader.read()).split(b" ")[1] == b"200"
        writer.close()
    assert (await served.send(PROXY % 7 + POST)).split(b" ")[1] == b"200"


@pytest.mark.parametrize(
    "head",
    [
        GET,
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + GET,
        b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n" + GET,
        b"PROXY TCP6 fc00:dead:beef:4dad::1\r\n" + GET,
        b"PROXY UNKNOWN\r\n" + GET,
        b"x" * 200,
    ],
)
async def test_without_tors_line_nobody_is_let_in(serve, head: bytes) -> None:
    served = await serve(circuits=True)
    assert await served.send(head) == b""


async def test_a_line_that_comes_in_pieces_is_taken(serve) -> None:
    served = await serve(circuits=True)
    reader, writer = await asyncio.open_unix_connection(served.path)
    for byte in PROXY % 9 + GET:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@given(st.integers(0, 0xFFFFFFFF))
def test_the_number_of_a_circuit(number: int) -> None:
    line = b"PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 65535 42" % (number >> 16, number & 0xFFFF)
    assert circuit_of(line) == number


@given(st.binary(max_size=120))
def test_any_other_line_is_refused_in_one_way(line: bytes) -> None:
    with contextlib.suppress(ValueError):
        circuit_of(line)


def test_circuits_are_forgotten() -> None:
    buckets = CircuitBuckets(1.0, 1)
    for number in range(10_000):
        assert buckets.take(f"circuit-{number}", 0.0) == 0.0
    assert len(buckets) == 4096
    assert buckets.take("circuit-9999", 0.0) > 0
