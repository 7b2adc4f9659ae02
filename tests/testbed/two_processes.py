"""A real gateway and a real portal process of another user beside it, and a visitor at its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

import veildesk
from portal.visitor import Page, Visitor
from veildesk.ops.control import ask
from veildesk.service.initialise import initialise

__all__ = ["HOST", "OTHER_USER", "TwoProcesses", "WireVisitor", "two_processes"]

HOST = "localhost"
COMMAND = [sys.executable, "-I", "-m", "veildesk"]


def _other_user() -> int:
    """A user who is nobody here, if we may be him and he may read the program."""
    needed = [Path(sys.executable), Path(veildesk.__file__)]
    ways = [up for path in needed for one in (path.absolute(), path.resolve()) for up in (one, *one.parents)]
    reachable = all(up.stat().st_mode & (0o001 if up.is_dir() else 0o004) for up in ways)
    return 54321 if os.geteuid() == 0 and reachable else os.geteuid()


OTHER_USER = _other_user()
"""Whom the portal process belongs to: somebody who may read nothing of the gateway, where that can be had."""


class WireVisitor(Visitor):
    """As `Visitor`, over the Unix socket where tor would connect."""

    def __init__(self, socket: Path) -> None:
        self.cookies = True
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", timeout=100)

    async def served(self) -> None:
        """Until the portal serves."""
        async with asyncio.timeout(100):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await self.client.get("/en")
                    return
                await asyncio.sleep(0.05)

    async def until(self, path: str, words: str) -> None:
        """Until a page says something, whatever is in between."""
        async with asyncio.timeout(100):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if words in (await self.client.get(path)).text:
                        return
                await asyncio.sleep(0.1)

    async def track(self, words: str) -> Page:
        """Open a ticket by its words."""
        return await self.submit((await self.get("/en/track")).form().set(words=words))


class TwoProcesses:
    """The folder of a gateway, and the processes."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder, self.shared = folder, shared
        self.config = folder / "veildesk.toml"
        self.link = shared / "link" / "gateway.sock"
        self.portal_socket = shared / "portal" / "portal.sock"
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._draining: list[asyncio.Task[None]] = []
        self.said: list[bytes] = []

    def configure(self) -> None:
        """Two folders of sockets, as deploy/tmpfiles.d makes them; the portal apart."""
        for name, owner in (("link", os.geteuid()), ("portal", OTHER_USER)):
            place = self.shared / name
            place.mkdir(mode=0o755)
            os.chown(place, owner, -1)
        text = self.config.read_text()
        text = re.sub(r"^\[portal\][^\[]*(?=^\[|^# \[|\Z)", "", text, flags=re.M)
        text += f'\n[portal]\nsocket = "{self.portal_socket}"\n'
        text += f'[portal.process]\nuser = "{OTHER_USER}"\nsocket = "{self.link}"\n'
        self.config.write_text(text)

    async def start(self, name: str, *words: str, until: bytes, **options: Any) -> asyncio.subprocess.Process:
        """Start one of the two and wait for a line of its log."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *words, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL, **options
        )
        self.processes[name] = process
        assert process.stderr is not None
        async with asyncio.timeout(100):
            while until not in (line := await process.stderr.readline()):
                self.said.append(line)
                assert line, (name, b"".join(self.said[-20:]))
        self._draining.append(asyncio.create_task(self._drain(process)))
        return process

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            self.said.append(line)

    async def start_gateway(self, **environment: str) -> asyncio.subprocess.Process:
        """`veildesk run`."""
        return await self.start(
            "gateway", "run", "--config", str(self.config), until=b"ready parts=",
            cwd="/", env={**os.environ, **environment},
        )  # fmt: skip

    async def start_portal(self, until: bytes = b"serving sites=") -> asyncio.subprocess.Process:
        """`veildesk portal serve`, as another user without any right to the gateway's folder."""
        other: dict[str, Any] = {}
        if os.geteuid() != OTHER_USER:
            other = {"user": OTHER_USER, "group": OTHER_USER, "extra_groups": []}
        words = ["portal", "serve", "--gateway", str(self.link)]
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        return await self.start("portal", *words, until=until, cwd="/", env=environment, **other)

    async def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        async with asyncio.timeout(100):
            return await process.wait()

    async def ended(self, name: str) -> int:
        """The exit code of one that ends by itself."""
        async with asyncio.timeout(100):
            return await self.processes.pop(name).wait()

    async def status(self) -> dict[str, Any]:
        """What the gateway says of itself."""
        answer = await asyncio.to_thread(ask, self.folder / "state" / "control", {"command": "status"})
        return answer["result"]

    async def until(self, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The gateway's status once it is as wanted."""
        async with asyncio.timeout(100):
            while not ready(status := await self.status()):
                await asyncio.sleep(0.05)
        return status

    def tickets(self) -> list[EmailMessage]:
        """What agents see."""
        files = sorted((self.folder / "tickets" / "new").iterdir())
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]  # type: ignore[misc]

    async def answer(self, ticket: EmailMessage, text: str, file: tuple[str, bytes] | None = None) -> None:
        """An agent's answer, dropped where the helpdesk of this gateway looks, until it was sent."""
        reply = EmailMessage(policy=policy.SMTP)
        reply["From"], reply["Subject"] = "agent@desk.example", f"Re: {ticket['Subject']}"
        reply["In-Reply-To"] = str(ticket["Message-ID"])
        reply.set_content(text)
        if file is not None:
            reply.add_attachment(file[1], maintype="text", subtype="plain", filename=file[0])
        before = (await self.status())["messages"].get("sent", 0)
        half = self.folder / "half"
        half.write_bytes(reply.as_bytes())
        half.rename(self.folder / "replies" / f"{len(self.said)}-{before}.eml")
        await asyncio.to_thread(ask, self.folder / "state" / "control", {"command": "poll"})
        await self.until(lambda status: status["messages"].get("sent", 0) > before)

    async def close(self) -> None:
        """End what runs."""
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()
        for task in self._draining:
            await task
        home = str(self.folder / "keys" / "gnupg")
        done = await asyncio.create_subprocess_exec("gpgconf", "--homedir", home, "--kill", "all")
        await done.wait()


@contextlib.asynccontextmanager
async def two_processes() -> AsyncIterator[TwoProcesses]:
    """A gateway that is set up, nothing started yet."""
    # Not pytest's own folder, which is closed to other users; and short, for the sake of sockets' names.
    folder = Path(tempfile.mkdtemp(prefix="vd-"))
    folder.chmod(0o711)
    house = TwoProcesses(folder / "gw", folder)
    try:
        await initialise(house.folder, name="Desk", address="support@desk.example")
        house.folder.chmod(0o700)
        house.configure()
        yield house
    finally:
        await house.close()
        shutil.rmtree(folder, ignore_errors=True)
