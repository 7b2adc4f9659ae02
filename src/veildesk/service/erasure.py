"""Erase one ticket everywhere: here for certain, in its helpdesk by the best means that one has.

Never says more was deleted than was. What is stored as a ticket's place names the helpdesk too: the same
number may be another person's ticket in another one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.core.ports import Backend, Spool
from veildesk.core.ticket import Erased

__all__ = ["erase_in_helpdesk", "erase_ticket", "place_in", "split_place"]

_log = logging.getLogger("veildesk.service")


def place_in(backend: str, ref: str) -> str:
    """What the spool keeps: the helpdesk's name, a slash, and its own id of the ticket."""
    return f"{backend}/{ref}"


def split_place(place: str) -> tuple[str, str]:
    """The helpdesk's name and its id of the ticket."""
    backend, _, ref = place.partition("/")
    return backend, ref


async def erase_ticket(spool: Spool, backends: Mapping[str, Backend], ticket_id: str) -> Erased:
    """Destroy the ticket's key first, then ask the helpdesk; returns what became of its copy.

    A helpdesk that cannot be asked now counts as `UNSUPPORTED`. Raises `SpoolUnavailable` when our own
    deletion has to be repeated to be complete; the helpdesk was asked all the same.
    """
    place = await spool.backend_ref(ticket_id)
    unfinished: SpoolUnavailable | None = None
    try:
        await spool.erase(ticket_id)
    except SpoolUnavailable as error:
        unfinished = error
    outcome = Erased.GONE
    if place is not None:
        try:
            outcome = await erase_in_helpdesk(backends, place, ticket_id)
        except VeildeskError as error:
            _log.error("erase-failed ticket=%s reason=%s", ticket_id, error.code)
            outcome = Erased.UNSUPPORTED
    if unfinished is not None:
        raise unfinished
    return outcome


async def erase_in_helpdesk(backends: Mapping[str, Backend], place: str, ticket_id: str) -> Erased:
    """Ask the helpdesk that holds it; `UNSUPPORTED` if that one is not configured any more."""
    name, ref = split_place(place)
    backend = backends.get(name)
    return Erased.UNSUPPORTED if backend is None else await backend.erase(ref, ticket_id)
