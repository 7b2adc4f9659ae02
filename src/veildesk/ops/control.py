"""The control socket: how the command line talks to the running gateway.

One request and one answer per connection, each a line of JSON. The socket lies in a folder that only the
gateway's user may enter; there is no other protection and no way to read any message through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from veildesk.core.errors import VeildeskError

__all__ = ["ControlServer", "Handler", "ask"]

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]
_log = logging.getLogger("veildesk.ops")
_LINE = 64 * 1024


class ControlServer:
    """Answers requests `{"command": name, ...}` with `{"ok": true, "result": ...}`."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a dead gateway is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LINE)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(30):
                line = await reader.readline()
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            _log.warning("control-connection-lost")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            handler = self._handlers[request["command"]]
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": "unknown command"}
        try:
            return {"ok": True, "result": await handler(request)}
        except VeildeskError as error:
            return {"ok": False, "error": error.public, "hint": error.hint, "exit": error.exit_code}
        except KeyError:
            return {"ok": False, "error": "There is no such message.", "exit": 2}
        except Exception:
            _log.exception("control-failed")
            return {"ok": False, "error": "The gateway could not do this; see its log.", "exit": 1}


def ask(path: Path, request: Mapping[str, Any], seconds: float = 30.0) -> dict[str, Any]:
    """Send one request and return the answer. Raises `OSError` when no gateway answers."""

    async def talk() -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(path, limit=16 * 1024 * 1024)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                answer: dict[str, Any] = json.loads(await reader.readline())
                return answer
            finally:
                writer.close()

    return asyncio.run(talk())
