"""One gate before each helpdesk, so that a slow or broken one holds up nobody else.

At most `limit` deliveries are inside at a time. After a passing fault the gate stays shut for a while that
doubles up to a ceiling, with jitter; what comes meanwhile is sent away at once instead of waiting for a
time-out of its own. A rate, if one is set, is a bucket of tokens: what comes above it waits a little, then is
sent away too, without the gate being shut.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from veildesk.core.errors import BackendUnavailable
from veildesk.core.ports import Clock

__all__ = ["Gate"]


class Gate:
    """`first` and `ceiling` are seconds of the pause; `patience` how long one waits for a place inside.

    `per_minute` deliveries are let in on average, a sixth of them at once; 0 is without a bound.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int = 2,
        first: float = 2.0,
        ceiling: float = 300.0,
        patience: float = 5.0,
        per_minute: float = 0.0,
    ) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute else 0.0
        self._burst = max(1.0, per_minute / 6.0) * self._seconds_each
        self._paid_until = 0.0
        self._clock = clock
        self._places = asyncio.Semaphore(limit)
        self._first = first
        self._ceiling = ceiling
        self._patience = patience
        self._faults = 0
        self._shut_until = 0.0

    @property
    def paused(self) -> bool:
        """Whether nobody is let in now."""
        return self._clock.monotonic() < self._shut_until

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Be inside. Raises `BackendUnavailable` "paused" or "busy" without asking the helpdesk."""
        if self.paused:
            raise BackendUnavailable("paused")
        await self._take_token()
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise BackendUnavailable("busy") from None
        try:
            yield
        except BackendUnavailable:
            pause = min(self._first * 2.0 ** min(self._faults, 16), self._ceiling)
            self._faults += 1
            self._shut_until = self._clock.monotonic() + pause * random.uniform(0.7, 1.0)  # noqa: S311
            raise
        else:
            self._faults = 0
            self._shut_until = 0.0
        finally:
            self._places.release()

    async def _take_token(self) -> None:
        """Wait for this delivery's turn, as far as patience goes. Raises `BackendUnavailable` "rate"."""
        if not self._seconds_each:
            return
        now = self._clock.monotonic()
        # Time that was paid for: it lies at most one burst in the past.
        turn = max(self._paid_until, now - self._burst + self._seconds_each)
        if turn - now > self._patience:
            raise BackendUnavailable("rate")
        self._paid_until = turn + self._seconds_each
        if turn > now:
            await asyncio.sleep(turn - now)
