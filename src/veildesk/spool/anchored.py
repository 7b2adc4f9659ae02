"""What hangs on a ticket: portal anchor and thread, markers, and the commit of a state change.

Transactions in the writer thread; sealing under the data key happened before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from veildesk.core.submission import PortalAnchor
from veildesk.core.work import Reason, State, Work
from veildesk.spool.accepting import THREAD, Target, target_of
from veildesk.spool.claiming import change_state
from veildesk.spool.parts import Stored, delete_parts, insert_parts
from veildesk.spool.schema import anchor, marker, message, part, ticket
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.statements import Statement
from veildesk.spool.vault import Vault

__all__ = [
    "BACKEND_REF",
    "Change",
    "Changed",
    "Thread",
    "TicketOf",
    "anchor_of",
    "apply",
    "blobs",
    "by_marker",
    "forget_markers",
    "put_marker",
    "seal_anchor",
    "thread_of",
    "ticket_of",
]

BACKEND_REF = "backend-ref"
"""Part name under which the helpdesk's id of a ticket is kept, sealed."""

TicketOf = Callable[[sa.Connection], str | None]
_ANCHOR = "anchor"
_MARK = Statement(
    sa.insert(marker).from_select(
        [marker.c.digest, marker.c.ticket_id],
        sa.select(
            sa.bindparam("of", type_=marker.c.digest.type), sa.bindparam("to", type_=marker.c.ticket_id.type)
        ).where(~sa.exists().where(marker.c.digest == sa.bindparam("of"))),
    )
)
_BY_MARKER = Statement(sa.select(marker.c.ticket_id).where(marker.c.digest == sa.bindparam("of")))
_TICKET_OF = Statement(sa.select(message.c.ticket_id).where(message.c.id == sa.bindparam("of")))


@dataclass(frozen=True, slots=True)
class Change:
    """A state change with sealed parts; `replaced` are (message id or "", part name).

    `threaded` says that one of them has its place in the ticket's thread.
    """

    work: Work
    to: State
    reason: Reason
    sealed: Sequence[Stored]
    replaced: Sequence[tuple[str, str]]
    target: Target | None
    marker: bytes | None
    threaded: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The work after a change, and names of files that no row names any more."""

    work: Work
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Thread:
    """A portal thread with its ticket's data key; entries oldest first."""

    ticket: str
    key: bytes = field(repr=False)
    entries: Sequence[Stored]
    expires_day: int


def blobs(
    work: Work,
    parts: Mapping[str, bytes | None],
    ticket_parts: Mapping[str, bytes | None],
    backend_ref: str | None,
) -> dict[tuple[str, str], bytes | None]:
    """All blobs of a change by (message id or "", part name); None deletes."""
    collected: dict[tuple[str, str], bytes | None] = {}
    collected |= {(work.message_id, name): data for name, data in parts.items()}
    collected |= {("", name): data for name, data in ticket_parts.items()}
    if backend_ref is not None:
        collected["", BACKEND_REF] = backend_ref.encode()
    return collected


def apply(connection: sa.Connection, vault: Vault, owner: str, change: Change) -> Changed | None:
    """Commit a change. None when another thread entry was faster. Raises `WorkLost`.

    Nothing is sealed into a ticket whose key was destroyed, though its rows may be there for a moment.
    """
    if change.target is not None and change.threaded:
        current = target_of(connection, vault, change.work.ticket_id)
        if current is None or current.position != change.target.position:
            return None
    keyed = change.target is not None
    moved = change_state(connection, owner, change.work, change.to, change.reason, keyed=keyed)
    places = [Place(change.work.ticket_id, *where) for where in change.replaced]
    names = delete_parts(connection, places)
    insert_parts(connection, change.sealed)
    if change.marker is not None:
        put_marker(connection, change.marker, change.work.ticket_id)
    return Changed(moved, names)


def put_marker(connection: sa.Connection, digest: bytes, ticket_id: str) -> None:
    """Let a digest lead to a ticket; one that leads elsewhere already is left as it is."""
    _MARK.run(connection, {"of": digest, "to": ticket_id})


def forget_markers(connection: sa.Connection, ticket_id: str) -> int:
    """Delete the markers of a mail ticket. Those of a portal ticket are its spare codes, and stay."""
    of_portal = sa.select(anchor.c.ticket_id).where(anchor.c.ticket_id == ticket_id)
    chosen = marker.c.ticket_id == ticket_id, marker.c.ticket_id.not_in(of_portal)
    return connection.execute(sa.delete(marker).where(*chosen)).rowcount


def by_marker(connection: sa.Connection, digest: bytes) -> str | None:
    """The ticket a digest leads to."""
    ticket_id: str | None = _BY_MARKER.value(connection, {"of": digest})
    return ticket_id


def ticket_of(connection: sa.Connection, message_id: str) -> str | None:
    """The ticket of a message."""
    ticket_id: str | None = _TICKET_OF.value(connection, {"of": message_id})
    return ticket_id


def seal_anchor(target: Target, given: PortalAnchor) -> bytes:
    """The anchor's public key, sealed under the ticket's data key."""
    return seal_row(target.key, Place(target.ticket, "", _ANCHOR), given.public_key)


def anchor_of(connection: sa.Connection, vault: Vault, ticket_id: str) -> PortalAnchor | None:
    """The anchor of a ticket, opened."""
    row = connection.execute(sa.select(anchor).where(anchor.c.ticket_id == ticket_id)).one_or_none()
    key = None if row is None else vault.get(connection, ticket_id)
    if row is None or key is None:
        return None
    return PortalAnchor(row.lookup_id, open_row(key, Place(ticket_id, "", _ANCHOR), row.sealed_key))


def thread_of(connection: sa.Connection, vault: Vault, lookup: bytes) -> Thread | None:
    """The thread behind a lookup id."""
    query = (
        sa.select(ticket.c.id, ticket.c.expires_day)
        .join(anchor, anchor.c.ticket_id == ticket.c.id)
        .where(anchor.c.lookup_id == lookup)
    )
    row = connection.execute(query).one_or_none()
    key = None if row is None else vault.get(connection, row.id)
    if row is None or key is None:
        return None
    parts = (
        sa.select(part.c.name, part.c.sealed, part.c.file)
        .where(part.c.ticket_id == row.id, part.c.message_id == "", part.c.name.startswith(THREAD))
        .order_by(part.c.name)
    )
    entries = [
        Stored(Place(row.id, "", entry.name), entry.sealed, entry.file) for entry in connection.execute(parts)
    ]
    return Thread(row.id, key, entries, row.expires_day)
