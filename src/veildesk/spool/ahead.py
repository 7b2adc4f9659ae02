"""Claiming the next message in the commit that ends the one before: one commit less for each message.

For tasks that said so, because what was claimed for a task waits for its next `claim`: a task that stops
must give it back (`Spool.leave`), or it would lie until this process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from veildesk.core.work import State, Work

__all__ = ["ClaimsAhead"]


@dataclass(slots=True)
class _Going:
    states: Collection[State]
    claimed: list[Work] = field(default_factory=list)


class ClaimsAhead:
    """Which tasks go on from message to message, and what was claimed for them. For the event loop."""

    def __init__(self) -> None:
        self._tasks: WeakKeyDictionary[asyncio.Task[object], _Going] = WeakKeyDictionary()

    def go_on(self, states: Collection[State]) -> None:
        """The current task will claim again, in these states."""
        if (task := asyncio.current_task()) is not None:
            self._tasks.setdefault(task, _Going(states)).states = states

    def wanted(self) -> Collection[State]:
        """What to claim for the current task now; nothing if it has something or did not ask."""
        going = self._going()
        return () if going is None or going.claimed else going.states

    def put(self, works: Sequence[Work]) -> None:
        """Claimed for the current task."""
        if (going := self._going()) is not None:
            going.claimed += works

    def take(self) -> list[Work]:
        """What was claimed for the current task."""
        going = self._going()
        if going is None:
            return []
        claimed, going.claimed = going.claimed, []
        return claimed

    def leave(self) -> list[Work]:
        """The current task claims no more; what was claimed for it."""
        claimed = self.take()
        if (task := asyncio.current_task()) is not None:
            self._tasks.pop(task, None)
        return claimed

    def _going(self) -> _Going | None:
        task = asyncio.current_task()
        return None if task is None else self._tasks.get(task)
