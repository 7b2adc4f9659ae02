"""The connector in docs/backends.md is real: under 100 lines, and the conformance suite passes over it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from veildesk.conformance.suite import *  # noqa: F403
from veildesk.core.ticket import Erased, File

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


def example() -> str:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]


@dataclass
class Server:
    """The helpdesk of the page, in memory."""

    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number

    def add(self, ticket: int, text: str, kind: str, files: Sequence[File], **more: Any) -> None:
        named = []
        for file in files:
            self.contents.append(file.content)
            path = f"/files/{len(self.contents) - 1}"
            named.append(
                {"name": file.name, "type": file.media_type, "path": path, "size": len(file.content)}
            )
        one = {"id": self.next(), "ticket": ticket, "text": text, "author_kind": kind, "files": named}
        external = self.tickets[ticket]["external_id"]
        self.messages.append(
            {"type": "text/plain", "ticket_external_id": external, "public": True, **one, **more}
        )

    async def queues(self, request: Request) -> Response:
        return JSONResponse(["support"])

    async def find_tickets(self, request: Request) -> Response:
        wanted = request.query_params["external_id"]
        return JSONResponse([one for one in self.tickets.values() if one["external_id"] == wanted])

    async def make_ticket(self, request: Request) -> Response:
        one = {**await request.json(), "id": self.next(), "open": True}
        self.tickets[one["id"]] = one
        return JSONResponse(one, 201)

    async def delete_ticket(self, request: Request) -> Response:
        number = request.path_params["number"]
        self.tickets.pop(number, None)
        self.messages = [one for one in self.messages if one["ticket"] != number]
        self.contents = [b"" for _ in self.contents]
        return Response(status_code=204)

    async def find_messages(self, request: Request) -> Response:
        query = request.query_params
        if "external_id" in query:
            return JSONResponse([m for m in self.messages if m.get("external_id") == query["external_id"]])
        return JSONResponse([m for m in self.messages if m["public"] and m["id"] > int(query["after"])])

    async def post_message(self, request: Request) -> Response:
        number = request.path_params["number"]
        async with request.form() as form:
            files = [File(one.filename, one.content_type, await one.read()) for one in form.getlist("files")]
            self.add(number, form["text"], "user", files, external_id=form["external_id"])
        self.tickets[number]["open"] = True
        return JSONResponse({}, 201)

    async def post_note(self, request: Request) -> Response:
        self.add(request.path_params["number"], (await request.json())["text"], "user", (), public=False)
        return JSONResponse({}, 201)

    async def file(self, request: Request) -> Response:
        return Response(self.contents[request.path_params["number"]])

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/queues", self.queues),
                Route("/tickets", self.find_tickets),
                Route("/tickets", self.make_ticket, methods=["POST"]),
                Route("/tickets/{number:int}", self.delete_ticket, methods=["DELETE"]),
                Route("/tickets/{number:int}/messages", self.post_message, methods=["POST"]),
                Route("/tickets/{number:int}/notes", self.post_note, methods=["POST"]),
                Route("/messages", self.find_messages),
                Route("/files/{number:int}", self.file),
            ]
        )


class ExampleBench:
    erases = Erased.GONE

    def __init__(self, server: Server, backend: Any) -> None:
        self.server, self.backend = server, backend

    def _ticket(self, thread: str) -> int:
        return next(n for n, one in self.server.tickets.items() if one["external_id"] == thread)

    def _ours(self, thread: str) -> list[dict[str, Any]]:
        ours = [m for m in self.server.messages if m["author_kind"] == "user" and m["public"]]
        return [m for m in ours if m["ticket_external_id"] == thread]

    async def texts(self, thread: str) -> list[str]:
        return [one["text"].replace("\r\n", "\n") for one in self._ours(thread)]

    async def files(self, thread: str) -> list[bytes]:
        paths = [file["path"] for one in self._ours(thread) for file in one["files"]]
        return [self.server.contents[int(path.rpartition("/")[2])] for path in paths]

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        kind = "text/html" if html else "text/plain"
        self.server.add(self._ticket(thread), html or text, "agent", files, type=kind)

    async def note(self, thread: str, text: str) -> None:
        self.server.add(self._ticket(thread), text, "agent", (), public=False)

    async def close_ticket(self, thread: str) -> None:
        self.server.tickets[self._ticket(thread)]["open"] = False

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        return self.server.tickets[self._ticket(thread)]["open"]

    def leftovers(self, needle: bytes) -> int:
        texts = "".join(one["text"] for one in self.server.messages).encode()
        return texts.count(needle) + sum(content.count(needle) for content in self.server.contents)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[ExampleBench]:
    module = ModuleType("example_desk")
    exec(compile(example(), str(PAGE), "exec"), module.__dict__)
    (tmp_path / "token").write_text("t")
    url = "http://127.0.0.1:1"
    settings = {"base": str(tmp_path), "url": url, "token_file": "token", "queue": "support"}
    backend = module.from_config("example", settings)
    await backend._client.close()
    server = Server()
    backend._client._client = httpx.AsyncClient(transport=httpx.ASGITransport(server.app()), base_url=url)
    yield ExampleBench(server, backend)
    await backend._client.close()


def test_the_example_is_under_100_lines() -> None:
    assert len(example().splitlines()) < 100


def test_the_plugin_runs_the_suite_by_name() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "private or check"]
    command += ["--veildesk-backend", "testbed.helpdesks.local:memory_desk"]
    done = subprocess.run(command, cwd=PAGE.parents[1], capture_output=True, timeout=100)
    assert done.returncode == 0, done.stdout.decode()[-2000:]
    assert b"2 passed" in done.stdout
    nameless = subprocess.run(
        [*command[:-1], "nothing"], cwd=PAGE.parents[1], capture_output=True, timeout=100
    )
    assert b"no desk named" in nameless.stdout + nameless.stderr
