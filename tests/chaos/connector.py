"""The connector to the harness's helpdesk: asks for the key before it creates, as every connector must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from veildesk.core.errors import BackendRefused, BackendUnavailable
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)

__all__ = ["ChaosBackend", "from_config"]


def from_config(name: str, settings: Mapping[str, Any]) -> ChaosBackend:
    """`port` on loopback."""
    return ChaosBackend(name, int(settings["port"]))


class ChaosBackend:
    """`core.ports.Backend` over JSON lines; one connection for each request."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._port = port

    async def _ask(self, **request: Any) -> Any:
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
            return json.loads(line)
        except (OSError, TimeoutError, ValueError):
            raise BackendUnavailable("no-answer") from None

    async def check(self) -> list[CheckResult]:
        """Nothing to check."""
        return [CheckResult("backend.chaos", "helpdesk of the harness", Level.OK)]

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Look, then create."""
        fresh = not await self._ask(op="find", key=entry.key)
        if fresh:
            await self._ask(op="create", key=entry.key, thread=entry.thread, text=entry.text)
        return Delivered(ref=entry.thread, fresh=fresh)

    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """One answer for each thread."""
        for number, thread in await self._ask(op="answers", after=int(cursor or -1)):
            yield AgentReply(
                thread=thread, reply_id=f"a{number}", cursor=str(number), text="We look into it.", ref=thread
            )

    def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """There are no files."""
        raise BackendRefused("no-such-file")

    async def update(self, ref: str, change: TicketChange) -> None:
        """Remarks are not kept."""

    async def erase(self, ref: str, thread: str) -> Erased:
        """Not part of the harness."""
        return Erased.UNSUPPORTED
