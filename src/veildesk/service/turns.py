"""Turns for what is large, so that memory stays bounded however much of it comes at once.

A mail takes several times its size while it is read, cleaned and passed on: parsed, decoded, encoded anew.
Small ones are bounded by their number; large ones wait here for each other, in the order they came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["LARGE", "Turns"]

LARGE: Final = 1024 * 1024
"""What is smaller never waits, in bytes."""

_TOGETHER: Final = 32 * 1024 * 1024


class Turns:
    """Lets large things in as long as they are no more than `together` bytes, and one in any case."""

    def __init__(self, together: int = _TOGETHER) -> None:
        self._together = together
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait until something of `size` bytes may be worked on; it counts until the block ends."""
        if size < LARGE:
            yield
            return
        size = min(size, self._together)
        await self._enter(size)
        try:
            yield
        finally:
            self._leave(size)

    async def _enter(self, size: int) -> None:
        if not self._waiting and self._used + size <= self._together:
            self._used += size
            return
        place = size, asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place[1]
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
                self._next()
            else:  # Let in, and cancelled in the same moment.
                self._leave(size)
            raise

    def _leave(self, size: int) -> None:
        self._used -= size
        self._next()

    def _next(self) -> None:
        while self._waiting and self._used + self._waiting[0][0] <= self._together:
            size, place = self._waiting.popleft()
            self._used += size
            if not place.done():  # Else cancelled in this moment; whoever waited gives it back.
                place.set_result(None)
