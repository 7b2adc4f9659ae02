"""Moving a message into another ticket, sealed anew under that ticket's key, in one commit."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from veildesk.core.errors import WorkLost
from veildesk.core.work import Work
from veildesk.spool.accepting import Target, target_of
from veildesk.spool.claiming import move_ticket
from veildesk.spool.erasing import delete_rows
from veildesk.spool.parts import Stored, delete_parts, insert_parts
from veildesk.spool.schema import dedup, message, part, ticket
from veildesk.spool.sealing import Place
from veildesk.spool.statements import Statement
from veildesk.spool.vault import Vault

__all__ = ["both", "join"]

_PARTS = Statement(
    sa.select(part.c.name, part.c.sealed, part.c.file).where(
        part.c.ticket_id == sa.bindparam("ticket"), part.c.message_id == sa.bindparam("message")
    )
)


def both(
    connection: sa.Connection, vault: Vault, work: Work, ticket_id: str
) -> tuple[Target, Target, list[Stored]]:
    """Where a message is, where it goes, and all its sealed parts. Raises `WorkLost`."""
    source = target_of(connection, vault, work.ticket_id)
    target = target_of(connection, vault, ticket_id)
    if source is None or target is None:
        raise WorkLost("ticket gone")
    return source, target, _parts_of(connection, work.ticket_id, work.message_id)


def _parts_of(connection: sa.Connection, ticket_id: str, message_id: str) -> list[Stored]:
    rows = _PARTS.all(connection, {"ticket": ticket_id, "message": message_id})
    return [Stored(Place(ticket_id, message_id, name), sealed, file) for name, sealed, file in rows]


def join(
    connection: sa.Connection,
    vault: Vault,
    owner: str,
    work: Work,
    target: Target,
    sealed: Sequence[Stored],
    expires_day: int,
) -> tuple[Work, list[str]]:
    """Move the message; returns the work and names of files to remove. Raises `WorkLost`.

    The old ticket and its key are deleted in the same commit when no other message is left in it.
    """
    if target_of(connection, vault, target.ticket) is None:
        raise WorkLost("ticket gone")
    old = [Place(work.ticket_id, work.message_id, stored.place.part) for stored in sealed]
    files = delete_parts(connection, old)
    moved = move_ticket(connection, owner, work, target.ticket)
    insert_parts(connection, sealed)
    connection.execute(
        sa.update(dedup).where(dedup.c.message_id == work.message_id).values(ticket_id=target.ticket)
    )
    connection.execute(sa.update(ticket).where(ticket.c.id == target.ticket).values(expires_day=expires_day))
    left = sa.select(sa.func.count()).where(message.c.ticket_id == work.ticket_id)
    if connection.execute(left).scalar_one() == 0:
        files += delete_rows(connection, work.ticket_id)
    return moved, files
