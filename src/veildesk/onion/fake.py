"""An onion service without tor, for tests: published when it is told to be."""

from __future__ import annotations

import asyncio

from veildesk.core.errors import OnionUnavailable
from veildesk.core.ports import OnionState
from veildesk.onion.key import OnionKey
from veildesk.onion.trouble import Trouble

__all__ = ["FakeOnion"]


class FakeOnion:
    """Implements `OnionService`. With `reachable` False, `run` never publishes; `lose` takes it away."""

    def __init__(self, address: str | None = None, *, reachable: bool = True) -> None:
        """`address` includes ".onion"; without one, a fresh and well-formed one is made."""
        self.address = address or OnionKey.generate().address
        self._reachable = reachable
        self._running = False
        self._published = asyncio.Event()
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Publish until cancelled, and again at once after `lose`."""
        self._running = True
        try:
            while True:
                if self._reachable:
                    self._published.set()
                self._lost.clear()
                await self._lost.wait()
                await asyncio.sleep(0)
        finally:
            self._running = False
            self._published.clear()

    def lose(self) -> None:
        """As if tor had died: not published until `run` has had its turn."""
        self._published.clear()
        self._lost.set()

    async def wait_published(self, timeout: float) -> None:
        """Return when published. Raises `OnionUnavailable`."""
        try:
            async with asyncio.timeout(timeout):
                await self._published.wait()
        except TimeoutError:
            raise OnionUnavailable(Trouble.CONTROL_MISSING.value) from None

    def state(self) -> OnionState:
        """What is known now."""
        published = self._published.is_set()
        trouble = Trouble.NONE if published else Trouble.CONTROL_MISSING
        return OnionState(self.address, self._running and self._reachable, published, trouble.value)
