"""Send an entry to the helpdesk it belongs to.

The choice is stored before the first attempt, so that a crash or a changed configuration in between
cannot put one message into two helpdesks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from veildesk.core.errors import BackendRefused
from veildesk.core.ports import Backend
from veildesk.core.ticket import Delivered, TicketEntry
from veildesk.service.config import QueueConfig, RouteConfig
from veildesk.service.erasure import split_place
from veildesk.service.gates import Gate
from veildesk.service.routing import route

__all__ = ["Dispatch"]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Helpdesks by name, the rules that choose one, and a gate before each."""

    backends: Mapping[str, Backend]
    queues: Mapping[str, QueueConfig]
    routes: Mapping[str, RouteConfig] = field(default_factory=dict)
    gates: Mapping[str, Gate] = field(default_factory=dict)

    def choose(self, entry: TicketEntry, known: str | None) -> tuple[str, TicketEntry]:
        """The helpdesk's name and the entry as it goes there. `known` is the ticket's place so far.

        A ticket stays where it is as long as that helpdesk is configured. Raises `BackendRefused`.
        """
        name, ref = split_place(known or "")
        if name in self.backends:
            return name, dataclasses.replace(entry, ref=ref or None)
        found = route(entry, self.queues, self.routes)
        if found is None or found[0] not in self.backends:
            raise BackendRefused("the queue has no helpdesk")
        return found[0], dataclasses.replace(entry, ref=None, place=found[1])

    async def deliver(self, name: str, entry: TicketEntry) -> Delivered:
        """Deliver, through the helpdesk's gate if it has one."""
        async with AsyncExitStack() as stack:
            if name in self.gates:
                await stack.enter_async_context(self.gates[name].enter())
            return await self.backends[name].deliver(entry)
