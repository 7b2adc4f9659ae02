"""A control socket without a tor behind it: answers what the test says, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["ScriptedControl"]

_PROTOCOL_INFO = '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.1"\r\n250 OK\r\n'

_INFO = {"version": "0.4.9.1", "status/bootstrap-phase": "NOTICE BOOTSTRAP PROGRESS=100 TAG=done"}


class ScriptedControl:
    """An async context manager. `answer` maps a command line to reply lines, None meaning silence."""

    def __init__(self, path: Path, answer: Callable[[str], str | None] = lambda _: None) -> None:
        self.path = path
        self.commands: list[str] = []
        self.connections = 0
        self.seen = asyncio.Condition()
        self._answer = answer
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> ScriptedControl:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    def drop(self) -> None:
        """Close every connection, as a dying tor does."""
        for writer in list(self._writers):
            writer.close()

    def say(self, lines: str) -> None:
        """Send an asynchronous event to everybody."""
        for writer in self._writers:
            writer.write(lines.encode())

    async def heard(self, word: str, times: int = 1) -> None:
        """Return when a command starting with `word` was received that often."""
        async with self.seen:
            await asyncio.wait_for(
                self.seen.wait_for(lambda: sum(c.startswith(word) for c in self.commands) >= times), 60
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                reply = self._reply(line)
                async with self.seen:
                    self.commands.append(line)
                    self.seen.notify_all()
                if reply is not None:
                    writer.write(reply.encode())
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _reply(self, line: str) -> str | None:
        scripted = self._answer(line)
        if scripted is not None:
            return scripted or None
        if line.startswith("PROTOCOLINFO"):
            return _PROTOCOL_INFO
        if line.startswith("GETINFO"):
            key = line.split()[1]
            return f"250-{key}={_INFO.get(key, '')}\r\n250 OK\r\n"
        if line.startswith("GETCONF"):
            return (
                "".join(f"250-{name}=0\r\n" for name in line.split()[1:-1]) + f"250 {line.split()[-1]}=0\r\n"
            )
        return "250 OK\r\n"
