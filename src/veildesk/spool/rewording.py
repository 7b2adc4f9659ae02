"""New ticket words for a portal thread, and the spare codes that lead to it.

A spare code is a marker that leads to the ticket and a sealed part of the ticket, so that both end with
it. Rewording puts all entries, sealed anew by the caller, in the place of the old ones in one commit, with
the new anchor and the new spare codes; the old words and codes open nothing from then on.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from veildesk.core.work import Direction, State
from veildesk.spool.accepting import THREAD
from veildesk.spool.parts import Stored, delete_parts, insert_parts
from veildesk.spool.schema import anchor, marker, message, part, ticket
from veildesk.spool.sealing import Place

__all__ = ["Rewording", "answer_under_way", "reword", "spare_part"]

_SPARE = "spare."


def spare_part(digest: bytes) -> str:
    """The part name under which a spare code's sealed keys are kept."""
    return _SPARE + base64.b32encode(digest).decode().rstrip("=")


def _digest(name: str) -> bytes:
    text = name.removeprefix(_SPARE)
    return base64.b32decode(text + "=" * (-len(text) % 8))


@dataclass(frozen=True, slots=True)
class Rewording:
    """All that changes. `places` are those of the entries that were sealed anew, in order."""

    ticket: str
    lookup: bytes
    new_lookup: bytes
    sealed_anchor: bytes = field(repr=False)
    places: Sequence[Place]
    parts: Sequence[Stored] = field(repr=False)
    digests: Sequence[bytes] = field(repr=False)


def answer_under_way(state: State, parked_from: State | None, claimed: bool) -> bool:
    """Whether an outgoing message in this state may be sealed to the present anchor."""
    if state is State.COLLECTED:
        return claimed
    return State.SENDING in (state, parked_from)


def reword(connection: sa.Connection, change: Rewording) -> list[str] | None:
    """Commit a rewording; names of files that no row names any more, None if something came between."""
    # On PostgreSQL nothing may join the ticket, and no answer be claimed, until this is committed.
    connection.execute(sa.select(ticket.c.id).where(ticket.c.id == change.ticket).with_for_update())
    query = sa.select(anchor.c.ticket_id).where(anchor.c.lookup_id == change.lookup).with_for_update()
    if connection.execute(query).scalar_one_or_none() != change.ticket:
        return None
    held = (
        sa.select(part.c.name)
        .where(part.c.ticket_id == change.ticket, part.c.message_id == "", part.c.name.startswith(THREAD))
        .order_by(part.c.name)
    )
    if list(connection.execute(held).scalars()) != [place.part for place in change.places]:
        return None
    outgoing = (
        sa.select(message.c.state, message.c.parked_from, message.c.owner)
        .where(message.c.ticket_id == change.ticket, message.c.direction == Direction.OUT.value)
        .with_for_update()
    )
    for row in connection.execute(outgoing):
        before = State(row.parked_from) if row.parked_from else None
        if answer_under_way(State(row.state), before, row.owner is not None):
            return None
    return _replace(connection, change)


def _replace(connection: sa.Connection, change: Rewording) -> list[str]:
    spares = sa.select(part.c.name).where(
        part.c.ticket_id == change.ticket, part.c.message_id == "", part.c.name.startswith(_SPARE)
    )
    old = list(connection.execute(spares).scalars())
    connection.execute(sa.delete(marker).where(marker.c.digest.in_([_digest(name) for name in old])))
    places = [*change.places, *(Place(change.ticket, "", name) for name in old)]
    files = delete_parts(connection, places)
    insert_parts(connection, change.parts)
    values = {"lookup_id": change.new_lookup, "sealed_key": change.sealed_anchor}
    connection.execute(sa.update(anchor).where(anchor.c.ticket_id == change.ticket).values(**values))
    for digest in change.digests:
        connection.execute(sa.insert(marker).values(digest=digest, ticket_id=change.ticket))
    return files
