"""How late the event loop is: a timer that notes by how much it was called too late."""

from __future__ import annotations

import asyncio
import time

__all__ = ["LoopLag"]

_TURN = 0.25
_KEPT = 240


class LoopLag:
    """Measures four times a second; `worst` is over the last minute, in seconds."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(_TURN)
            self._late.append(max(0.0, time.monotonic() - begun - _TURN))
            del self._late[:-_KEPT]

    @property
    def worst(self) -> float:
        """The longest delay in the last minute."""
        return max(self._late, default=0.0)
