"""A client that speaks SMTP or LMTP byte by byte, for tests of what well-behaved clients never send."""

from __future__ import annotations

import asyncio
from pathlib import Path

__all__ = ["Dialogue"]


class Dialogue:
    """One connection. Replies are returned as text without the last line end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, target: int | Path, hello: str | None = "LHLO client.test") -> Dialogue:
        """Connect, read the greeting and say hello."""
        if isinstance(target, Path):
            reader, writer = await asyncio.open_unix_connection(str(target))
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", target)
        dialogue = cls(reader, writer)
        await dialogue.reply()
        if hello:
            await dialogue.say(hello)
        return dialogue

    async def reply(self) -> str:
        """Read one reply, all its lines; an empty string at the end of the connection."""
        lines = []
        async with asyncio.timeout(20):
            while True:
                line = (await self.reader.readline()).decode("utf-8")
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        """Send one command and read its reply."""
        raw = line.encode() if isinstance(line, str) else line
        self.writer.write(raw + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    async def begin(self, *recipients: str, sender: str = "sender@example.org") -> None:
        """MAIL, RCPT for each recipient and DATA."""
        await self.say(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        await self.say("DATA")

    async def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(raw)
        await self.writer.drain()

    async def rest(self) -> str:
        """Everything the server still says until it ends the connection."""
        async with asyncio.timeout(20):
            return (await self.reader.read()).decode("utf-8")

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return
