"""A small TCP proxy in a thread that sometimes delays, cuts or truncates what passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

__all__ = ["Proxy"]


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`; `trouble` is the share of connections it spoils."""

    def __init__(self, target: int, seed: int, trouble: float = 0.15) -> None:
        self.target = target
        self.trouble = trouble
        self.spoiled = 0
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        """Until nothing is left: a connection accepted last makes its task only now."""
        await asyncio.sleep(0)
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)  # One that has not begun could suppress nothing.
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self._random.random()
        kind = self._random.choice(["refuse", "delay", "cut-request", "cut-answer", "truncate"])
        kind = kind if way < self.trouble else ""
        self.spoiled += bool(kind)
        # A task that ends cancelled would be told on standard error.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                if kind != "refuse":
                    await self._forward(reader, writer, kind)
            finally:
                writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            if kind == "delay":
                await asyncio.sleep(self._random.uniform(0.1, 1.0))
            request = await reader.readline()
            if kind == "cut-request":
                back.write(request[: len(request) // 2])
                return
            back.write(request)
            await back.drain()
            answer = await there.readline()
            if kind == "cut-answer":
                return
            writer.write(answer[: len(answer) // 2] if kind == "truncate" else answer)
            await writer.drain()
        finally:
            back.close()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
