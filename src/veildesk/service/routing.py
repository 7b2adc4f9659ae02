"""Which helpdesk, and which of its queues, an entry goes to. Pure.

Routes are tried in the order of the configuration; the first whose named conditions all hold wins, and
without one the queue's own helpdesk gets the entry. A ticket stays where its first message went.
"""

from __future__ import annotations

from collections.abc import Mapping

from veildesk.core.connectors import Closes
from veildesk.core.ticket import TicketEntry
from veildesk.deliver.registry import load_backend
from veildesk.service.config import Config, QueueConfig, RouteConfig

__all__ = ["check_backends", "places_of", "route"]


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


async def check_backends(config: Config) -> None:
    """Make every helpdesk's connector, which reads its section, and ask none. Raises `ConfigInvalid`."""
    for name, settings in config.backends.items():
        places = list(places_of(name, config.queues, config.routes))
        given = {**settings.settings, "places": places} if places else settings.settings
        backend = load_backend(settings.kind, name, given)
        if isinstance(backend, Closes):
            await backend.close()


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
