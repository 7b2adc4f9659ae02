"""A helpdesk as a process of its own that can be killed: JSON lines over TCP, one journal, fsync.

It never notices a repetition by itself: whoever creates twice has two tickets. Every new thread gets one
answer. `python -m chaos.helpdesk PORT JOURNAL`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["entries_of"]


def entries_of(journal: Path) -> list[dict[str, str]]:
    """All entries that were recorded, in order; a torn last line was never acknowledged."""
    found = []
    if journal.exists():
        for line in journal.read_bytes().split(b"\n")[:-1]:
            found.append(json.loads(line))
    return found


class Helpdesk:
    """Entries in memory and in the journal."""

    def __init__(self, journal: Path) -> None:
        self._entries = entries_of(journal)
        if journal.exists():
            whole = b"".join(json.dumps(entry).encode() + b"\n" for entry in self._entries)
            journal.write_bytes(whole)
        self._keys = {entry["key"] for entry in self._entries}
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def answer(self, request: dict[str, Any]) -> Any:
        """One request."""
        if request["op"] == "find":
            return request["key"] in self._keys
        if request["op"] == "create":
            entry = {name: request[name] for name in ("key", "thread", "text")}
            os.write(self._journal, json.dumps(entry).encode() + b"\n")
            os.fdatasync(self._journal)
            self._entries.append(entry)
            self._keys.add(entry["key"])
            return True
        first: dict[str, int] = {}
        for number, entry in enumerate(self._entries):
            first.setdefault(entry["thread"], number)
        return sorted((number, thread) for thread, number in first.items() if number > request["after"])[:50]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            writer.close()


async def _main(port: int, journal: Path) -> None:
    desk = Helpdesk(journal)
    server = await asyncio.start_server(desk.serve, "127.0.0.1", port, limit=1 << 22)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
