"""The portal: over a private onion, on its socket beside a bare app, answers to words, memory."""

from __future__ import annotations

import asyncio
import math
import os
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import uvicorn
from measure import Row
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from portal.fakes import HOST, World, settings
from portal.visitor import Visitor
from testbed.onion_http import OnionClient
from testbed.private_tor import PrivateTor
from veildesk.core.receipt import WORDS
from veildesk.onion import ManagedOnion, create_key
from veildesk.portal.app import create_app
from veildesk.portal.bucket import TokenBucket
from veildesk.portal.headers import SecurityHeaders
from veildesk.portal.serve import config
from veildesk.spool.thread_cipher import WordsCipher

__all__ = ["GROUPS"]

_VISITS = 150
_TRIES = 60
_ONION_SECONDS = 600
"""After so long the rows over an onion end with what was measured."""


@asynccontextmanager
async def _served(app: ASGIApp, socket: Path) -> AsyncIterator[None]:
    """An app on a Unix socket, in a server of its own with our settings."""
    server = uvicorn.Server(config(app, socket))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await running


def _bare(body: bytes) -> Starlette:
    """The least that answers with the same bytes."""

    async def page(request: object) -> PlainTextResponse:
        return PlainTextResponse(body, media_type="text/html; charset=utf-8")

    return Starlette(routes=[Route("/{path:path}", page)])


async def onion() -> list[Row]:
    """First page of the portal and static bytes of the same size, over one onion service, in turns.

    Both have the same headers, so that they fill the same number of cells, and share the visitor's circuit:
    two circuits may differ several times in speed.
    """
    world = World(settings())
    body = (await Visitor(world).client.get("/en")).content
    with PrivateTor() as net, tempfile.TemporaryDirectory(prefix="vd-") as name:
        folder = Path(name)
        create_key(folder / "key")
        targets = [(80, f"unix:{folder}/p.sock"), (81, f"unix:{folder}/b.sock")]
        service = ManagedOnion(net.control("host"), folder / "key", targets)
        world.settings = replace(world.settings, hosts=(service.address,))
        task = asyncio.create_task(service.run())
        async with (
            _served(create_app(world.settings, world.ports), folder / "p.sock"),
            _served(SecurityHeaders(_bare(body)), folder / "b.sock"),
        ):
            await service.wait_published(90)
            times = await asyncio.to_thread(_visits, net, service.address, (80, 81))
        task.cancel()
    return [
        _quantile("portal.onion.p50", times, 0.50, 1 / 1.1),
        _quantile("portal.onion.p99", times, 0.99, 1 / 1.3),
    ]


def _visits(net: PrivateTor, onion: str, ports: Sequence[int]) -> list[list[float]]:
    clients = [OnionClient(net.socks_port, onion, port=port, user="visitor") for port in ports]
    times: list[list[float]] = [[] for _ in clients]
    for client in clients:
        client.wait_reachable()
        client.get("/en")
    draw, end = random.Random(5), time.monotonic() + _ONION_SECONDS
    for number in range(_VISITS):
        if number >= 20 and time.monotonic() > end:
            break
        for side in draw.sample(range(len(clients)), len(clients)):
            begun = time.perf_counter()
            assert clients[side].get("/en").status == 200
            times[side].append(time.perf_counter() - begun)
    return times


def _quantile(name: str, times: list[list[float]], part: float, goal: float) -> Row:
    ours, other = (1000 * sorted(side)[int(part * (len(side) - 1))] for side in times)
    what = f"first page over an onion, {int(part * 100)}th percentile"
    row = Row(name, what, "static bytes, same headers", round(ours, 1), round(other, 1), goal=round(goal, 3))
    row.ratio, row.note = round(other / ours, 3), f"{len(times[0])} visits of each, a stream each, in turns"
    return row


async def requests() -> list[Row]:
    """Pages a second on the Unix socket beside a bare Starlette app with the same body."""
    world = World(settings())
    rows = []
    for path, what in (("/en", "first page"), ("/en/new", "page with a form")):
        body = (await Visitor(world).client.get(path)).content
        with tempfile.TemporaryDirectory(prefix="vd-") as name:
            folder = Path(name)
            async with (
                _served(create_app(world.settings, world.ports), folder / "p.sock"),
                _served(_bare(body), folder / "b.sock"),
            ):
                pairs = []
                for _ in range(6):
                    pairs.append([await _burst(folder / file, path) for file in ("p.sock", "b.sock")])
        ours, other = (statistics.median(pair[side] for pair in pairs[1:]) for side in (0, 1))
        row = Row(
            f"portal.socket{path.replace('/', '.')}", f"200 requests, 8 at a time: {what}", "bare Starlette"
        )
        row.ours, row.other, row.ratio = round(ours, 1), round(other, 1), round(other / ours, 3)
        row.note = f"{200_000 / ours:.0f} requests/s; client and both servers share this process"
        rows.append(row)
    return rows


async def _burst(socket: Path, path: str) -> float:
    """Milliseconds for 200 requests on 8 connections."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=8))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", timeout=60) as client:

        async def one() -> None:
            for _ in range(25):
                assert (await client.get(path)).status_code == 200

        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(8)))
        return 1000 * (time.perf_counter() - begun)


async def words() -> list[Row]:
    """Unknown words beside words of a deleted ticket: the same work, so the same time."""
    world = World(settings())
    world.cipher = WordsCipher(b"p" * 32)  # type: ignore[assignment]
    visitor = Visitor(world)
    opened = await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    await visitor.submit(form)
    unknown, draw = " ".join(WORDS[:8]), random.Random(7)
    times: dict[str, list[float]] = {opened: [], unknown: []}
    stranger = Visitor(world)
    form = (await stranger.get("/en/track")).form()
    for _ in range(_TRIES):
        for typed in draw.sample([opened, unknown], 2):
            stranger.site.bucket = TokenBucket(1.0, 10, time.monotonic())
            begun = time.perf_counter()
            response = await stranger.post(form.set(words=typed))
            times[typed].append(1000 * (time.perf_counter() - begun))
            assert response.headers["location"] == "/en/track/unknown"
    row = Row("portal.words", "unknown words, median", "words of a deleted ticket")
    row.ours, row.other = (round(statistics.median(times[typed]), 1) for typed in (unknown, opened))
    row.ratio = round(row.other / row.ours, 3)
    row.note = "one Argon2id of 64 MiB each; 1 means that time tells nothing apart"
    told = Row("portal.words.told", "chance that the slower of two was the deleted ticket", "a coin", unit="")
    told.ours, told.other = round(_slower(times[opened], times[unknown]), 3), 0.5
    spread = math.sqrt((2 * _TRIES + 1) / 12) / _TRIES
    score = (told.ours - 0.5) / spread
    told.note = (
        f"Mann-Whitney, {_TRIES} of each: z = {score:.1f}; beyond 3 either way time would tell them apart"
    )
    return [row, told]


def _slower(some: list[float], others: list[float]) -> float:
    """How often one of `some` is larger than one of `others`; half for equal ones."""
    pairs = ((a > b) + (a == b) / 2 for a in some for b in others)
    return sum(pairs) / (len(some) * len(others))


async def memory() -> list[Row]:
    """What 1,000 open sessions with a ticket and a draft hold, and what a 25 MB upload takes at its peak."""
    return [await asyncio.to_thread(_sessions), await _upload()]


def _sessions() -> Row:
    from veildesk.portal.sessions import Session, SessionStore

    tracemalloc.start()
    store = SessionStore(os.urandom, limit=2000, idle=1800, life=7200)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        ticket = {
            "lookup": "x" * 44,
            "public": "x" * 1624,
            "private": "x" * 132,
            "words": "x" * 60,
            "codes": [],
        }
        data = {"ticket": ticket, "draft": {"message": "x" * 2000, "words": "x" * 60}}
        store.save(Session(os.urandom(32), data), 0.0)
    held = (tracemalloc.get_traced_memory()[0] - before) / 1024**2
    tracemalloc.stop()
    row = Row("portal.sessions", "1,000 open sessions with a ticket and a 2 kB draft", unit="MB")
    row.ours = round(held, 2)
    return row


_UPLOADER = """
import asyncio, os, pathlib, re, sys
from portal.fakes import World, settings
from portal.visitor import Visitor
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
async def main():
    visitor = Visitor(World(settings()))
    form = (await visitor.get("/en/new")).form("/en/new")
    head = '--b\\r\\nContent-Disposition: form-data; name="%s"%s\\r\\n\\r\\n'
    async def body():
        for name, value in form.fields:
            yield (head % (name, "") + ("x" if name == "message" else value) + "\\r\\n").encode()
        for number in range(int(sys.argv[1])):
            yield (head % ("files", f'; filename="{number}"')).encode()
            for _ in range(80):
                yield os.urandom(65536)
            yield b"\\r\\n"
        yield b"--b--\\r\\n"
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here, proc(5)
    before = peak()
    answer = await visitor.client.post("/en/new", content=body(),
        headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 303, answer.status_code
    print(before, peak())
asyncio.run(main())
"""


async def _upload() -> Row:
    """Peak memory of a process that takes five files of 5 MB, beside what they weigh."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _UPLOADER, "5", stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    out, _ = await process.communicate()
    before, after = map(int, out.split())
    row = Row("portal.upload", "an upload of 25 MB, memory at its peak", "the upload itself", unit="MB")
    row.ours, row.other = round((after - before) / 1024, 1), 25.0
    row.ratio = round(row.other / row.ours, 3) if row.ours else None
    row.note = "kept sealed in memory until it is sent; nothing on a disk"
    return row


GROUPS: list[Callable[[], Awaitable[list[Row]]]] = [onion, requests, words, memory]
