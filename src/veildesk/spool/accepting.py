"""Taking things over: incoming submissions and agents' answers. Transactions in the writer thread.

The message row, its sealed parts, the idempotency key and, for portal entries, the thread entry are one
commit. What was sealed outside the transaction is checked against the ticket's present state inside it;
when another accept was faster, the caller seals anew and tries again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from veildesk.core.submission import Accepted, Channel
from veildesk.core.work import Direction, Reason, State
from veildesk.spool.parts import Stored, insert_parts
from veildesk.spool.schema import anchor, dedup, message, part, ticket
from veildesk.spool.vault import Vault

__all__ = [
    "THREAD",
    "Incoming",
    "Known",
    "Target",
    "find_known",
    "insert_message",
    "keep",
    "new_id",
    "target_of",
    "thread_part",
]

THREAD = "thread."
"""Prefix of the names of thread entries among a ticket's parts."""


def new_id() -> str:
    """An opaque random id: 32 hex digits."""
    return secrets.token_hex(16)


def thread_part(position: int) -> str:
    """The part name of a thread entry; sorts in order of position."""
    return f"{THREAD}{position:08d}"


@dataclass(frozen=True, slots=True)
class Target:
    """A ticket to seal for: its data key and the position its next thread entry will have."""

    ticket: str
    key: bytes = field(repr=False)
    position: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before sealing: either the submission was kept before, or where it belongs."""

    accepted: Accepted | None
    target: Target | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that is ready to be kept. `lookup` and `sealed_anchor` only for portal tickets."""

    message: str
    target: Target
    direction: Direction
    channel: Channel
    queue: str
    dedup: bytes
    day: int
    expires_day: int
    parts: Sequence[Stored]
    lookup: bytes | None = None
    sealed_anchor: bytes | None = None


def target_of(connection: sa.Connection, vault: Vault, ticket_id: str) -> Target | None:
    """The sealing target of an existing ticket, None when it is gone."""
    key = vault.get(connection, ticket_id)
    if key is None:
        return None
    query = sa.select(sa.func.max(part.c.name)).where(
        part.c.ticket_id == ticket_id, part.c.message_id == "", part.c.name.startswith(THREAD)
    )
    last: str | None = connection.execute(query).scalar_one()
    position = 0 if last is None else int(last.removeprefix(THREAD)) + 1
    return Target(ticket_id, key, position)


def find_known(connection: sa.Connection, vault: Vault, digest: bytes, lookup: bytes | None) -> Known:
    """Look up the idempotency key, then the anchor."""
    accepted = _accepted(connection, digest)
    if accepted is not None or lookup is None:
        return Known(accepted, None)
    ticket_id = _anchored(connection, lookup)
    return Known(None, None if ticket_id is None else target_of(connection, vault, ticket_id))


def keep(connection: sa.Connection, vault: Vault, incoming: Incoming) -> Accepted | None:
    """Keep a message. None when the ticket changed since it was sealed for."""
    accepted = _accepted(connection, incoming.dedup)
    if accepted is not None:
        return accepted
    if incoming.lookup is not None:
        expected = None if incoming.target.fresh else incoming.target.ticket
        if _anchored(connection, incoming.lookup) != expected:
            return None
    if incoming.target.fresh:
        _insert_ticket(connection, vault, incoming)
    else:
        current = target_of(connection, vault, incoming.target.ticket)
        if current is None or current.position != incoming.target.position:
            return None
        extend = sa.update(ticket).where(ticket.c.id == incoming.target.ticket)
        connection.execute(extend.values(expires_day=incoming.expires_day))
    insert_message(connection, incoming)
    return Accepted(incoming.message, incoming.target.ticket, fresh=True)


def insert_message(connection: sa.Connection, incoming: Incoming) -> None:
    """Insert the message, its parts and its idempotency key."""
    state = State.ACCEPTED if incoming.direction is Direction.IN else State.COLLECTED
    connection.execute(
        sa.insert(message).values(
            id=incoming.message,
            ticket_id=incoming.target.ticket,
            direction=incoming.direction.value,
            channel=incoming.channel.value,
            queue=incoming.queue,
            state=state.value,
            reason=Reason.NONE.value,
            attempts=0,
            accepted_day=incoming.day,
            due_at=0,
        )
    )
    insert_parts(connection, incoming.parts)
    connection.execute(
        sa.insert(dedup).values(
            digest=incoming.dedup,
            message_id=incoming.message,
            ticket_id=incoming.target.ticket,
            expires_day=incoming.expires_day,
        )
    )


def _insert_ticket(connection: sa.Connection, vault: Vault, incoming: Incoming) -> None:
    connection.execute(sa.insert(ticket).values(id=incoming.target.ticket, expires_day=incoming.expires_day))
    vault.put(connection, incoming.target.ticket, incoming.target.key)
    if incoming.lookup is not None and incoming.sealed_anchor is not None:
        connection.execute(
            sa.insert(anchor).values(
                lookup_id=incoming.lookup,
                ticket_id=incoming.target.ticket,
                sealed_key=incoming.sealed_anchor,
            )
        )


def _accepted(connection: sa.Connection, digest: bytes) -> Accepted | None:
    query = sa.select(dedup.c.message_id, dedup.c.ticket_id).where(dedup.c.digest == digest)
    row = connection.execute(query).one_or_none()
    return None if row is None else Accepted(row.message_id, row.ticket_id, fresh=False)


def _anchored(connection: sa.Connection, lookup: bytes) -> str | None:
    query = sa.select(anchor.c.ticket_id).where(anchor.c.lookup_id == lookup)
    ticket_id: str | None = connection.execute(query).scalar_one_or_none()
    return ticket_id
