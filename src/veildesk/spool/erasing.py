"""Erasing a ticket: its key first, then its rows, then its files and the rows that name them.

The key's page is overwritten and the log truncated before anything else happens; from then on nothing of
the ticket can be opened, even if the process dies before it removes the rest, which the next start does.
The names of files go last, so that an object store that does not answer is asked again. Only the
idempotency digests stay until they expire, so that the same mail or form sent again does not bring the
ticket back.
"""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.database import Database
from veildesk.spool.parts import PartFiles
from veildesk.spool.schema import anchor, dedup, hold, marker, message, part, ticket, ticket_key
from veildesk.spool.vault import Vault
from veildesk.spool.writer import Writer

__all__ = [
    "delete_rows",
    "erase",
    "expired",
    "expired_early",
    "files_of",
    "finish_erasing",
    "keyless",
    "shorten",
]

_OF_TICKET = (message, anchor, marker, hold, ticket_key)


async def erase(
    writer: Writer, database: Database, vault: Vault, files: PartFiles, ticket_id: str, today: int
) -> None:
    """Destroy one ticket; repeating it does no harm.

    Raises `SpoolUnavailable` when it must be repeated: files could not be removed, or ("log-in-use") a reader
    kept the log from being truncated, so that the ciphertext of the ticket may remain there.
    """
    names, truncated = await writer.alone("erase", lambda _: _begin(database, vault, ticket_id, today))
    await files.remove(names)
    crashpoint("erase.files-removed")
    if names:
        truncated = await writer.alone("erase", lambda _: _end(database, ticket_id, today))
    if not truncated:
        raise SpoolUnavailable("log-in-use")


def _begin(database: Database, vault: Vault, ticket_id: str, today: int) -> tuple[list[str], bool]:
    """Key and rows. While there are files, the ticket's own row and those that name them stay.

    Returns the files, and False when a reader kept the log from being truncated.
    """
    with database.engine.begin() as connection:
        vault.destroy(connection, ticket_id)
        crashpoint("erase-key.before-commit")
    crashpoint("erase-key.after-commit")
    database.checkpoint()
    crashpoint("erase.key-checkpointed")
    with database.engine.begin() as connection:
        _delete(connection, ticket_id, *_OF_TICKET)
        # After who was about to name one more: it had a message's row.
        names = files_of(connection, ticket_id)
        if names:
            inline = part.c.ticket_id == ticket_id, part.c.file.is_(None)
            connection.execute(sa.delete(part).where(*inline))
        else:
            _delete_last(connection, ticket_id, today)
        crashpoint("erase-rows.before-commit")
    crashpoint("erase-rows.after-commit")
    return names, database.checkpoint()


def _end(database: Database, ticket_id: str, today: int) -> bool:
    """The rest; False when a reader kept the log from being truncated."""
    with database.engine.begin() as connection:
        _delete_last(connection, ticket_id, today)
    return database.checkpoint()


def _delete_last(connection: sa.Connection, ticket_id: str, today: int) -> None:
    delete_rows(connection, ticket_id)
    forgotten = sa.select(ticket.c.id)
    connection.execute(
        sa.delete(dedup).where(dedup.c.expires_day < today, dedup.c.ticket_id.not_in(forgotten))
    )


def files_of(connection: sa.Connection, ticket_id: str) -> list[str]:
    """Names of a ticket's files."""
    query = sa.select(part.c.file).where(part.c.ticket_id == ticket_id, part.c.file.is_not(None))
    return [name for name in connection.execute(query).scalars() if name is not None]


def delete_rows(connection: sa.Connection, ticket_id: str) -> list[str]:
    """Delete all rows of a ticket but its digests; returns names of files to remove."""
    names = files_of(connection, ticket_id)
    _delete(connection, ticket_id, part, *_OF_TICKET)
    connection.execute(sa.delete(ticket).where(ticket.c.id == ticket_id))
    return names


def _delete(connection: sa.Connection, ticket_id: str, *tables: sa.Table) -> None:
    for table in tables:
        connection.execute(sa.delete(table).where(table.c.ticket_id == ticket_id))


def keyless(connection: sa.Connection) -> list[str]:
    """Tickets whose key is gone and whose rest is not."""
    # Each key has its ticket. To count both takes a tenth of the time it takes to look at each.
    tickets, keys = (
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in (ticket, ticket_key)
    )
    if tickets == keys:
        return []
    query = sa.select(ticket.c.id).where(ticket.c.id.not_in(sa.select(ticket_key.c.ticket_id)))
    return list(connection.execute(query).scalars())


def finish_erasing(connection: sa.Connection) -> list[str]:
    """Delete what is left of tickets whose key is gone; returns names of files to remove."""
    names: list[str] = []
    for ticket_id in keyless(connection):
        names += delete_rows(connection, ticket_id)
    return names


def expired(connection: sa.Connection, today: int) -> list[str]:
    """Tickets whose last day lies before `today` (days since 1970), longest overdue first."""
    query = sa.select(ticket.c.id).where(ticket.c.expires_day < today).order_by(ticket.c.expires_day)
    return list(connection.execute(query).scalars())


def shorten(connection: sa.Connection, last_day: int) -> int:
    """No ticket's last day, nor a digest's, lies beyond this one; returns how many tickets did."""
    for table in (dedup, ticket):
        beyond = table.c.expires_day > last_day
        changed = connection.execute(sa.update(table).where(beyond).values(expires_day=last_day)).rowcount
    return changed


def expired_early(connection: sa.Connection, queue: str, before: int) -> list[str]:
    """Tickets of a queue whose last message was accepted before that day."""
    of_queue = sa.select(message.c.ticket_id).where(message.c.queue == queue, message.c.accepted_day < before)
    query = (
        sa.select(message.c.ticket_id)
        .where(message.c.ticket_id.in_(of_queue))
        .group_by(message.c.ticket_id)
        .having(sa.func.max(message.c.accepted_day) < before)
    )
    return list(connection.execute(query).scalars())
