"""Taking things over: incoming submissions and agents' answers. Transactions in the writer thread.

The message row, its sealed parts, the idempotency key and, for portal entries, the thread entry are one
commit. What was sealed outside the transaction is checked against the ticket's present state inside it;
when another accept was faster, the caller seals anew and tries again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from veildesk.core.submission import Accepted, Channel
from veildesk.core.work import Direction, Reason, State
from veildesk.spool.parts import Stored, insert_parts
from veildesk.spool.schema import anchor, dedup, marker, message, part, ticket
from veildesk.spool.statements import ListStatement, Statement
from veildesk.spool.vault import DataKeys

__all__ = [
    "THREAD",
    "Incoming",
    "Known",
    "Target",
    "anchored",
    "find_known",
    "keep",
    "keep_all",
    "new_id",
    "target_of",
    "thread_part",
]

_TICKET = Statement(sa.insert(ticket), "id", "expires_day")
_ANCHOR = Statement(sa.insert(anchor), "lookup_id", "ticket_id", "sealed_key")
_MARKER = Statement(sa.insert(marker), "digest", "ticket_id")
_DEDUP = Statement(sa.insert(dedup), "digest", "message_id", "ticket_id", "expires_day")
_FIELDS = (
    *("id", "ticket_id", "direction", "channel", "queue"),
    *("state", "reason", "attempts", "accepted_day", "due_at"),
)
_MESSAGE = Statement(sa.insert(message), *_FIELDS)

THREAD = "thread."
"""Prefix of the names of thread entries among a ticket's parts."""

_LAST_ENTRY = Statement(
    sa.select(sa.func.max(part.c.name)).where(
        part.c.ticket_id == sa.bindparam("ticket"),
        part.c.message_id == "",
        part.c.name.startswith(THREAD),
    )
)
_KNOWN = ListStatement(
    lambda digests: sa.select(dedup.c.digest, dedup.c.message_id, dedup.c.ticket_id).where(
        dedup.c.digest.in_(digests)
    )
)


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
    markers: Sequence[bytes] = ()


def target_of(connection: sa.Connection, vault: DataKeys, ticket_id: str) -> Target | None:
    """The sealing target of an existing ticket, None when it is gone."""
    key = vault.get(connection, ticket_id)
    if key is None:
        return None
    last: str | None = _LAST_ENTRY.value(connection, {"ticket": ticket_id})
    position = 0 if last is None else int(last.removeprefix(THREAD)) + 1
    return Target(ticket_id, key, position)


def find_known(connection: sa.Connection, vault: DataKeys, digest: bytes, lookup: bytes | None) -> Known:
    """Look up the idempotency key, then the anchor."""
    accepted = _accepted(connection, digest)
    if accepted is not None or lookup is None:
        return Known(accepted, None)
    ticket_id = anchored(connection, lookup)
    return Known(None, None if ticket_id is None else target_of(connection, vault, ticket_id))


def keep_all(
    connection: sa.Connection, vault: DataKeys, incoming: Sequence[Incoming]
) -> list[Accepted | None]:
    """Keep many messages with few statements; results in the same order, None as in `keep`."""
    rows = _KNOWN.all(connection, [one.dedup for one in incoming])
    known = {digest: (message_id, ticket_id) for digest, message_id, ticket_id in rows}
    results: list[Accepted | None] = []
    fresh: list[Incoming] = []
    for one in incoming:
        if one.dedup in known:
            results.append(Accepted(*known[one.dedup], fresh=False))
        elif one.lookup is not None:
            results.append(accepted := keep(connection, vault, one))
            if accepted is not None:
                known[one.dedup] = (accepted.message_id, accepted.ticket_id)
        else:
            fresh.append(one)
            known[one.dedup] = (one.message, one.target.ticket)
            results.append(Accepted(one.message, one.target.ticket, fresh=True))
    _insert(connection, vault, fresh)
    return results


def keep(connection: sa.Connection, vault: DataKeys, incoming: Incoming) -> Accepted | None:
    """Keep a message. None when the ticket changed since it was sealed for."""
    accepted = _accepted(connection, incoming.dedup)
    if accepted is not None:
        return accepted
    if incoming.lookup is not None:
        expected = None if incoming.target.fresh else incoming.target.ticket
        if anchored(connection, incoming.lookup, stays=True) != expected:
            return None
    if not incoming.target.fresh:
        current = target_of(connection, vault, incoming.target.ticket)
        if current is None or current.position != incoming.target.position:
            return None
        extend = sa.update(ticket).where(ticket.c.id == incoming.target.ticket)
        connection.execute(extend.values(expires_day=incoming.expires_day))
    _insert(connection, vault, [incoming])
    return Accepted(incoming.message, incoming.target.ticket, fresh=True)


def _insert(connection: sa.Connection, vault: DataKeys, incoming: Sequence[Incoming]) -> None:
    fresh = [one for one in incoming if one.target.fresh]
    tickets = [{"id": one.target.ticket, "expires_day": one.expires_day} for one in fresh]
    anchors = [
        {"lookup_id": one.lookup, "ticket_id": one.target.ticket, "sealed_key": one.sealed_anchor}
        for one in fresh
        if one.lookup is not None
    ]
    digests = [
        {
            "digest": one.dedup,
            "message_id": one.message,
            "ticket_id": one.target.ticket,
            "expires_day": one.expires_day,
        }
        for one in incoming
    ]
    _TICKET.many(connection, tickets)
    vault.put(connection, {one.target.ticket: one.target.key for one in fresh})
    _ANCHOR.many(connection, anchors)
    _MESSAGE.many(connection, [_message_row(one) for one in incoming])
    insert_parts(connection, [stored for one in incoming for stored in one.parts])
    _MARKER.many(
        connection,
        [{"digest": digest, "ticket_id": one.target.ticket} for one in fresh for digest in one.markers],
    )
    _DEDUP.many(connection, digests)


def _message_row(incoming: Incoming) -> dict[str, Any]:
    state = State.ACCEPTED if incoming.direction is Direction.IN else State.COLLECTED
    return {
        "id": incoming.message,
        "ticket_id": incoming.target.ticket,
        "direction": incoming.direction.value,
        "channel": incoming.channel.value,
        "queue": incoming.queue,
        "state": state.value,
        "reason": Reason.NONE.value,
        "attempts": 0,
        "accepted_day": incoming.day,
        "due_at": 0,
    }


def _accepted(connection: sa.Connection, digest: bytes) -> Accepted | None:
    rows = _KNOWN.all(connection, [digest])
    return Accepted(rows[0][1], rows[0][2], fresh=False) if rows else None


def anchored(connection: sa.Connection, lookup: bytes, *, stays: bool = False) -> str | None:
    """The ticket behind a lookup id; with `stays` the words cannot change before this commit."""
    query = sa.select(anchor.c.ticket_id).where(anchor.c.lookup_id == lookup)
    if stays:
        query = query.with_for_update(read=True)
    ticket_id: str | None = connection.execute(query).scalar_one_or_none()
    return ticket_id
