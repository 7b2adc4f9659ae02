"""Which helpdesk, and which of its queues, an entry goes to. Pure.

Routes are tried in the order of the configuration; the first whose named conditions all hold wins, and
without one the queue's own helpdesk gets the entry. A ticket stays where its first message went.
"""

from __future__ import annotations

from collections.abc import Mapping

from veildesk.core.ticket import TicketEntry
from veildesk.service.config import QueueConfig, RouteConfig

__all__ = ["places_of", "route"]


def route(
    entry: TicketEntry, queues: Mapping[str, QueueConfig], routes: Mapping[str, RouteConfig]
) -> tuple[str, str] | None:
    """The helpdesk's name and its queue, empty for its usual one; None when the queue is not known."""
    queue = queues.get(entry.queue)
    for one in routes.values():
        wanted = ((one.queue, entry.queue), (one.topic, entry.topic), (one.language, entry.language))
        if all(not condition or condition.lower() == value.lower() for condition, value in wanted):
            return one.backend or (queue.backend if queue else ""), one.place
    return (queue.backend, "") if queue else None


def places_of(
    backend: str, queues: Mapping[str, QueueConfig], routes: Mapping[str, RouteConfig]
) -> tuple[str, ...]:
    """All queues of a helpdesk that routes name, so that answers are looked for in each."""
    named = []
    for one in routes.values():
        own = {one.backend} if one.backend else {queue.backend for queue in queues.values()}
        if one.place and backend in own:
            named.append(one.place)
    return tuple(dict.fromkeys(named))
