"""Waking those who wait for work, without polling and without losing a wake-up.

Each waiting task has seen the store in some generation, remembered in its context (so that it also holds
within `asyncio.wait_for`). If anything changed since that task last looked, `wait` returns at once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from contextvars import ContextVar

__all__ = ["Wake"]

_SEEN: ContextVar[Mapping[int, int]] = ContextVar("veildesk_spool_seen")
_NUMBERS = itertools.count()


class Wake:
    """A generation counter with an event. For one event loop."""

    def __init__(self) -> None:
        self._number = next(_NUMBERS)
        self._generation = 0
        self._event = asyncio.Event()

    @property
    def _seen(self) -> int | None:
        return _SEEN.get({}).get(self._number)

    def look(self) -> None:
        """The current task is about to look for work."""
        _SEEN.set({**_SEEN.get({}), self._number: self._generation})

    def changed(self, *, but_me: bool = False) -> None:
        """There may be work. `but_me`: the current task knows already and is not to be woken by it."""
        current = self._seen == self._generation
        self._generation += 1
        if but_me and current:
            self.look()
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float) -> None:
        """Return after a change since the last `look` of this task, at the latest after `timeout`."""
        seen = self._seen
        if seen is not None and seen != self._generation:
            return
        event = self._event
        try:
            async with asyncio.timeout(max(timeout, 0)):
                await event.wait()
        except TimeoutError:
            return
