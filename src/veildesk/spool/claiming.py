"""Work rows: claim, count, list, and the state changes of `core.work`. Transactions in the writer thread.

Statements run unchanged on PostgreSQL, where `FOR UPDATE SKIP LOCKED` keeps claimers apart; SQLite has
one writer at a time and drops the clause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa

from veildesk.core.errors import WorkLost
from veildesk.core.submission import Channel
from veildesk.core.work import TRANSITIONS, Direction, Reason, State, Work
from veildesk.spool.schema import UNFINISHED, message, ticket_key
from veildesk.spool.statements import ListStatement, Statement

__all__ = [
    "LONGEST_DELAY",
    "MOVING",
    "change_state",
    "check_transition",
    "claim",
    "counts",
    "free_dead",
    "listing",
    "move_ticket",
    "next_due",
    "oldest",
    "hasten",
    "postpone",
    "release",
    "retried",
    "retry",
    "work_of",
]

LONGEST_DELAY = 86_400
"""Longest wait for the next attempt, in seconds; what lies further ahead is due (the clock was set)."""

MOVING = frozenset(State(value) for value in UNFINISHED)
"""States of messages on their way."""

_UNFINISHED = [sa.literal(value) for value in UNFINISHED]


def work_of(row: Sequence[Any]) -> Work:
    """A message row as work; columns in the order of the table."""
    _, name, ticket, direction, channel, queue, state, parked, reason, attempts, day, *_rest = row
    return Work(
        message_id=name,
        ticket_id=ticket,
        direction=Direction(direction),
        channel=Channel(channel),
        state=State(state),
        attempts=attempts,
        reason=Reason(reason),
        accepted_day=day,
        queue=queue,
        parked_from=None if parked is None else State(parked),
    )


def claim(
    connection: sa.Connection, owner: str, states: Collection[State], limit: int, now: int
) -> list[Work]:
    """Claim up to `limit` due messages, at most one per ticket and direction, oldest first.

    Only messages on their way can be claimed, whatever `states` holds.
    """
    wanted = [state.value for state in states if state in MOVING]
    given = {"now": now, "horizon": now + LONGEST_DELAY, "most": limit, "claimer": owner}
    rows = _CLAIM.all(connection, wanted, given)
    return [work_of(row) for row in sorted(rows, key=lambda row: int(row[0]))]


def _claim_statement(wanted: Sequence[sa.BindParameter[Any]]) -> sa.sql.dml.ReturningUpdate[Any]:
    candidate, earlier = message.alias("candidate"), message.alias("earlier")
    overtakes = sa.exists().where(
        earlier.c.ticket_id == candidate.c.ticket_id,
        earlier.c.direction == candidate.c.direction,
        earlier.c.seq < candidate.c.seq,
        earlier.c.state.in_(_UNFINISHED),
    )
    chosen = (
        sa.select(candidate.c.seq)
        .where(
            candidate.c.state.in_(wanted),
            candidate.c.owner.is_(None),
            sa.or_(candidate.c.due_at <= sa.bindparam("now"), candidate.c.due_at > sa.bindparam("horizon")),
            ~overtakes,
        )
        .order_by(candidate.c.seq)
        .limit(sa.bindparam("most", type_=sa.Integer))
        .with_for_update(skip_locked=True, of=candidate)
        # Named, so that PostgreSQL runs it once; as a plain subquery it may lock more than `limit` rows.
        .cte("chosen")
    )
    change = sa.update(message).where(message.c.seq.in_(sa.select(chosen.c.seq)))
    return change.values(owner=sa.bindparam("claimer")).returning(*message.c)


_CLAIM = ListStatement(_claim_statement)


def check_transition(work: Work, to: State) -> None:
    """Raise ValueError for a transition that does not exist."""
    if to not in TRANSITIONS[work.state]:
        raise ValueError(f"no transition from {work.state.value} to {to.value}")
    if work.state is State.PARKED and to is not work.parked_from:
        raise ValueError("a parked message goes on only from where it was")


def _held(work: Work, owner: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        message.c.id == work.message_id,
        message.c.ticket_id == work.ticket_id,
        message.c.state == work.state.value,
        sa.or_(message.c.owner == owner, message.c.owner.is_(None)),
    )


def _change(connection: sa.Connection, where: tuple[sa.ColumnElement[bool], ...], **values: Any) -> Work:
    row = connection.execute(
        sa.update(message).where(*where).values(**values).returning(*message.c)
    ).one_or_none()
    if row is None:
        raise WorkLost("not there, or not ours")
    return work_of(row)


def change_state(
    connection: sa.Connection, owner: str, work: Work, to: State, reason: Reason, *, keyed: bool = False
) -> Work:
    """Move to another state. The claim stays while the message is on its way. Raises `WorkLost`; with
    `keyed` also when the ticket's data key was destroyed."""
    given = {
        "to": to.value,
        "why": reason.value,
        "was": work.state.value if to is State.PARKED else None,
        "work": work.message_id,
        "in_ticket": work.ticket_id,
        "in_state": work.state.value,
        "mine": owner,
    }
    row = _CHANGES[to in MOVING, keyed].one(connection, given)
    if row is None:
        raise WorkLost("not there, or not ours")
    return work_of(row)


_CHANGE = (
    sa.update(message)
    .where(
        message.c.id == sa.bindparam("work"),
        message.c.ticket_id == sa.bindparam("in_ticket"),
        message.c.state == sa.bindparam("in_state"),
        sa.or_(message.c.owner == sa.bindparam("mine"), message.c.owner.is_(None)),
    )
    .values(state=sa.bindparam("to"), reason=sa.bindparam("why"), parked_from=sa.bindparam("was"), due_at=0)
    .returning(*message.c)
)
_HAS_KEY = sa.exists().where(ticket_key.c.ticket_id == sa.bindparam("in_ticket"))
_CHANGES = {
    (moving, keyed): Statement(change.where(_HAS_KEY) if keyed else change)
    for moving, change in ((True, _CHANGE), (False, _CHANGE.values(owner=None)))
    for keyed in (True, False)
}


def postpone(connection: sa.Connection, owner: str, work: Work, reason: Reason, due_at: int) -> None:
    """Count a failed attempt, give the claim back and set the next time."""
    attempts = message.c.attempts + 1
    values = {"attempts": attempts, "reason": reason.value, "due_at": due_at, "owner": None}
    _change(connection, _held(work, owner), **values)


def release(connection: sa.Connection, owner: str, work: Work) -> None:
    """Give a claim back; nothing happens when it was not ours any more."""
    mine = (message.c.id == work.message_id, message.c.owner == owner)
    connection.execute(sa.update(message).where(*mine).values(owner=None))


def retried(work: Work) -> State:
    """The state a message goes on from when a person asks. Raises ValueError if it is finished."""
    if work.state is State.PARKED and work.parked_from is not None:
        return work.parked_from
    if work.state is State.HELD:
        return State.COLLECTED
    if work.state is State.QUARANTINED:
        return State.ACCEPTED
    if work.state in MOVING:
        return work.state
    raise ValueError(f"a message that is {work.state.value} cannot be tried again")


def retry(connection: sa.Connection, message_id: str) -> Work:
    """Bring a message back on its way, due now. Raises `WorkLost` or ValueError."""
    row = connection.execute(sa.select(message).where(message.c.id == message_id)).one_or_none()
    if row is None:
        raise WorkLost("not there")
    to = retried(work_of(row))
    values = {"state": to.value, "reason": "", "attempts": 0, "due_at": 0, "parked_from": None}
    return _change(connection, (message.c.id == message_id,), **values)


def hasten(connection: sa.Connection, now: int, reason: Reason, queues: Collection[str] | None) -> int:
    """Make what is postponed for a reason due now; returns how many.

    Else who flaps would use up in hours the attempts that are meant to last for days.
    """
    change = (
        sa.update(message)
        .where(
            message.c.state.in_(UNFINISHED),
            message.c.reason == reason.value,
            message.c.due_at > now,
            message.c.owner.is_(None),
        )
        .values(due_at=0, attempts=sa.case((message.c.attempts > 1, message.c.attempts - 1), else_=1))
    )
    if queues is not None:
        change = change.where(message.c.queue.in_(queues))
    return connection.execute(change).rowcount


def next_due(connection: sa.Connection, now: int) -> int | None:
    """The nearest future time at which a postponed message becomes due."""
    due: int | None = _NEXT.value(connection, {"now": now})
    return due


_NEXT = Statement(
    sa.select(sa.func.min(message.c.due_at)).where(
        message.c.state.in_(_UNFINISHED), message.c.due_at > sa.bindparam("now"), message.c.owner.is_(None)
    )
)


def listing(
    connection: sa.Connection,
    states: Collection[State] | None,
    message_id: str | None = None,
    ticket_id: str | None = None,
    since: int = 0,
) -> list[Work]:
    """Messages by state, oldest first; only one, only one ticket's, or only late ones, if asked."""
    query = sa.select(message).order_by(message.c.seq)
    if since:
        query = query.where(message.c.accepted_day >= since)
    if message_id is not None:
        query = query.where(message.c.id == message_id)
    if ticket_id is not None:
        query = query.where(message.c.ticket_id == ticket_id)
    if states is not None:
        query = query.where(message.c.state.in_([state.value for state in states]))
    return [work_of(row) for row in connection.execute(query)]


def counts(connection: sa.Connection) -> dict[str, int]:
    """Messages per state; states without messages are left out."""
    query = sa.select(message.c.state, sa.func.count()).group_by(message.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def oldest(connection: sa.Connection) -> dict[str, int]:
    """The day of the oldest message in each state."""
    query = sa.select(message.c.state, sa.func.min(message.c.accepted_day)).group_by(message.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def free_dead(connection: sa.Connection, alive: Callable[[str], bool]) -> int:
    """Free the claims of processes that are gone; returns how many."""
    owners = connection.execute(
        sa.select(message.c.owner)
        .distinct()
        .where(message.c.state.in_(UNFINISHED), message.c.owner.is_not(None))
    ).scalars()
    dead = [owner for owner in owners if not alive(owner)]
    if not dead:
        return 0
    freed = sa.update(message).where(message.c.owner.in_(dead)).values(owner=None)
    return connection.execute(freed).rowcount


def move_ticket(connection: sa.Connection, owner: str, work: Work, ticket_id: str) -> Work:
    """Hang a message under another ticket. Raises `WorkLost`."""
    return _change(connection, _held(work, owner), ticket_id=ticket_id)
