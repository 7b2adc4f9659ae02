"""How many messages wait for each helpdesk. Messages without a helpdesk yet are still being read."""

from __future__ import annotations

from collections.abc import Iterable

from veildesk.core.ports import Spool
from veildesk.core.work import State
from veildesk.service.erasure import split_place

__all__ = ["backlog"]

_MOST = 2000


async def backlog(spool: Spool, names: Iterable[str]) -> dict[str, int]:
    """Messages on their way, by helpdesk; of more than 2000 the first ones are looked at."""
    waiting = dict.fromkeys(names, 0)
    places: dict[str, str] = {}
    for row in (await spool.listing((State.DELIVERING,)))[:_MOST]:
        if row.ticket_id not in places:
            place = await spool.backend_ref(row.ticket_id)
            places[row.ticket_id] = split_place(place or "")[0]
        name = places[row.ticket_id]
        if name:
            waiting[name] = waiting.get(name, 0) + 1
    return waiting
