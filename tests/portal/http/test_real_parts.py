"""The portal on the real store and the real ticket words, and on the real server over its socket."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvicorn

from portal.fakes import HOST, FakeClock, World, settings
from portal.visitor import Visitor
from testbed.schema_text import schema_text
from veildesk.core.ports import Cleaned
from veildesk.core.receipt import WORDS
from veildesk.core.thread_entry import ThreadEntry, encode_thread_entry
from veildesk.core.ticket import Deletion, Erased
from veildesk.core.work import State
from veildesk.portal.app import create_app
from veildesk.portal.headers import HEADERS
from veildesk.portal.ports import PortalPorts
from veildesk.portal.serve import config
from veildesk.spool import KeyRing, SqlSpool, WordsCipher

PLANTED = ["Karlotta-Marker", "anna-marker@posteo.net"]


@dataclass
class RealWorld(World):
    """As `World`, with the store and the key derivation that a gateway runs with."""

    store: SqlSpool | None = None

    @property
    def ports(self) -> PortalPorts:
        async def erase(lookup_id: bytes) -> Deletion:
            view = await self.store.thread(lookup_id)
            if view is not None:
                await self.store.erase(view.ticket_id)
            return Deletion(Erased.GONE)

        return PortalPorts(
            intake=self.store,
            threads=self.store,
            cipher=self.cipher,
            cleaner=self.cleaner,
            notices=self.notices,
            clock=self.clock,
            erase=erase,
            random_bytes=os.urandom,
            receipts=replace(self.receipts, threads=self.store),
            count=self.count,
        )


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealWorld]:
    clock = FakeClock()
    store = await SqlSpool.open(tmp_path / "state", KeyRing.create(tmp_path / "ring"), clock, 30, min_free=0)
    cipher = WordsCipher(b"p" * 32, memory_kib=1024, iterations=1)
    yield RealWorld(settings(), clock=clock, cipher=cipher, store=store)  # type: ignore[arg-type]
    await store.close()


async def test_whole_way_on_the_real_store(real: RealWorld, tmp_path: Path) -> None:
    message = f"Karlotta-Marker writes from {PLANTED[1]}"
    visitor = Visitor(real)
    words = await visitor.open_ticket(message, [("a.bin", b"Karlotta-Marker" * 1000)])

    keys = await real.cipher.derive(words)
    (work,) = await real.store.claim([State.ACCEPTED])
    entry = ThreadEntry(
        "support", "2026-11-22", "Karlotta-Marker, try again", signed="signed Karlotta-Marker"
    )
    work = await real.store.advance(work, State.DELIVERING)
    await real.store.advance(
        work,
        State.DELIVERED,
        parts={"raw": None},
        thread_entry=real.cipher.seal(keys.public_key, encode_thread_entry(entry)),
    )

    fresh = Visitor(real)
    ticket = await fresh.submit((await fresh.get("/en/track")).form().set(words=words))
    assert "Karlotta-Marker, try again" in ticket.text
    assert "Kept until 2026-" in ticket.text
    assert (await fresh.client.get("/en/ticket/message/2.asc")).text == "signed Karlotta-Marker"

    kept = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    for own in schema_text(tmp_path / "state" / "spool.db"):
        kept = kept.replace(own, b"")
    for planted in [*PLANTED, words, *(word for word in words.split() if len(word) >= 6)]:
        assert planted.encode() not in kept

    form = (await fresh.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    assert (await fresh.submit(form)).title == "Deleted"
    again = Visitor(real)
    page = await again.submit((await again.get("/en/track")).form().set(words=words))
    assert page.title == "We could not open a ticket with these words"


async def test_repeated_post_after_a_restart_is_one_message(real: RealWorld) -> None:
    visitor = Visitor(real)
    form = (await visitor.write("hello")).form()
    await visitor.submit(form, op="send")
    visitor.restart()
    await visitor.submit(form, op="send")
    assert len(await real.store.listing()) == 1


async def _exchange(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_on_the_wire_nothing_tells_clock_server_or_version(world: World, tmp_path: Path) -> None:
    path = tmp_path / "p.sock"
    server = uvicorn.Server(config(create_app(world.settings, world.ports), path))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        for target, status in (("/en", 200), ("/nothing", 404), ("/en/new/check", 410)):
            head = f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            answer = await _exchange(path, head.encode())
            start, _, lines = answer.partition(b"\r\n\r\n")[0].decode().partition("\r\n")
            assert start.startswith(f"HTTP/1.1 {status} ")
            names = [line.partition(":")[0].lower() for line in lines.split("\r\n")]
            extra = {"content-length", "content-type", "content-language", "connection"}
            assert set(names) - extra == set(HEADERS)
            assert len(names) == len(set(names))
            assert b"uvicorn" not in answer.lower()
        health = await _exchange(
            path, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        assert health.endswith(b"ok\n")
        too_long = (
            f"POST /en/new HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 99999999\r\nConnection: close\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(too_long.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        server.should_exit = True
        await running


TELLING = re.compile(
    rb"uvicorn|starlette|h11|python|jinja|asgi|veildesk|traceback|/home|/usr|\.py\b|\d\d:\d\d:\d\d|GMT", re.I
)
ADDED = frozenset(
    ["content-length", "content-type", "content-language", "connection", "allow", "retry-after", "set-cookie"]
)


async def test_no_error_tells_clock_server_or_version(world: World, tmp_path: Path) -> None:
    """Every status of an error, as it leaves the socket."""
    path = tmp_path / "p.sock"
    world.settings = replace(world.settings, open=False, rate=0.001, burst=2)

    async def broken() -> str:
        raise RuntimeError("veildesk python /usr/lib")

    app = create_app(world.settings, replace(world.ports, subscription=broken))
    server = uvicorn.Server(config(app, path))
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    typed = "words=" + "+".join(WORDS[:8])
    asked: list[tuple[int, str, str, str]] = [
        (400, "POST /en/track", form, "words=%FF"),
        (400, "POST /en/track", "Content-Type: text/xml\r\n", "x"),
        (400, "POST /en/ticket/reply", "Content-Type: multipart/form-data; boundary=b\r\n", "--x"),
        (403, "POST /en/ticket/delete", form, "sure=yes"),
        (404, "GET /nothing", "", ""),
        (404, "GET /static/../../etc/passwd", "", ""),
        (405, "PUT /en/new", form, "x"),
        (410, "GET /en/ticket", "", ""),
        (413, "POST /en/track", form, ""),
        (503, "GET /en/new", "", ""),
        (500, "GET /en/status/subscribe", "", ""),
        (200, "POST /en/track", form, typed),
        (200, "POST /en/track", form, typed),
        (429, "POST /en/track", form, typed),
    ]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        for status, line, extra, body in asked:
            head = f"{line} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{extra}"
            length = 99_999_999 if status == 413 else len(body)
            answer = await _exchange(path, f"{head}Content-Length: {length}\r\n\r\n{body}".encode())
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (line, answer[:40])
            lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
            assert {item.partition(":")[0].lower() for item in lines} - ADDED == set(HEADERS)
            assert TELLING.search(answer) is None, line
        server.should_exit = True
        await running


async def test_an_upload_that_is_cut_off_leaves_nothing(world: World, tmp_path: Path) -> None:
    cleaned = 0

    class Counting:
        async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
            nonlocal cleaned
            cleaned += 1
            return Cleaned(name, media_type, content)

    world.cleaner = Counting()  # type: ignore[assignment]
    visitor = Visitor(world)
    token = (await visitor.get("/en/new")).form().get("token")

    async def half() -> AsyncIterator[bytes]:
        yield f'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'.encode()
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + b"x" * 300_000

    response = await visitor.client.post(
        "/en/new", content=half(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 400
    middleware = visitor.app.middleware_stack
    while not hasattr(middleware, "site"):
        middleware = middleware.app
    assert (cleaned, middleware.site.budget.used, len(middleware.site.sessions)) == (0, 0, 0)
