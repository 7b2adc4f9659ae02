"""Erasing a ticket: its key first, then its rows, then its files.

Runs alone in the writer thread. The key's page is overwritten and the log truncated before anything else
happens; from then on nothing of the ticket can be opened, even if the process dies before it removes the
rest, which the next start does. Only the idempotency digests stay until they expire, so that the same
mail or form sent again does not bring the ticket back.
"""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.database import Database
from veildesk.spool.parts import PartFiles
from veildesk.spool.schema import anchor, dedup, hold, marker, message, part, ticket, ticket_key
from veildesk.spool.vault import Vault

__all__ = ["delete_rows", "erase", "expired", "finish_erasing"]


def erase(database: Database, vault: Vault, files: PartFiles, ticket_id: str, today: int) -> None:
    """Destroy one ticket; repeating it does no harm.

    Raises `SpoolUnavailable` ("log-in-use") when a reader kept the log from being truncated: the ticket
    is gone then, but its ciphertext may remain in the log until this is repeated.
    """
    with database.engine.begin() as connection:
        vault.destroy(connection, ticket_id)
        crashpoint("erase-key.before-commit")
    crashpoint("erase-key.after-commit")
    database.checkpoint()
    crashpoint("erase.key-checkpointed")
    with database.engine.begin() as connection:
        names = delete_rows(connection, ticket_id)
        forgotten = sa.select(ticket.c.id)
        connection.execute(
            sa.delete(dedup).where(dedup.c.expires_day < today, dedup.c.ticket_id.not_in(forgotten))
        )
        crashpoint("erase-rows.before-commit")
    crashpoint("erase-rows.after-commit")
    files.remove(names)
    crashpoint("erase.files-removed")
    if not database.checkpoint():
        raise SpoolUnavailable("log-in-use")


def delete_rows(connection: sa.Connection, ticket_id: str) -> list[str]:
    """Delete all rows of a ticket but its digests; returns names of files to remove."""
    query = sa.select(part.c.file).where(part.c.ticket_id == ticket_id, part.c.file.is_not(None))
    names = list(connection.execute(query).scalars())
    for table in (part, message, anchor, marker, hold, ticket_key):
        connection.execute(sa.delete(table).where(table.c.ticket_id == ticket_id))
    connection.execute(sa.delete(ticket).where(ticket.c.id == ticket_id))
    return [name for name in names if name is not None]


def finish_erasing(connection: sa.Connection) -> list[str]:
    """Delete what is left of tickets whose key is gone; returns names of files to remove."""
    # Each key has its ticket. To count both takes a tenth of the time it takes to look at each.
    tickets, keys = (
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in (ticket, ticket_key)
    )
    if tickets == keys:
        return []
    keyless = sa.select(ticket.c.id).where(ticket.c.id.not_in(sa.select(ticket_key.c.ticket_id)))
    names: list[str] = []
    for ticket_id in list(connection.execute(keyless).scalars()):
        names += delete_rows(connection, ticket_id)
    return names


def expired(connection: sa.Connection, today: int) -> list[str]:
    """Tickets whose last day lies before `today` (days since 1970), longest overdue first."""
    query = sa.select(ticket.c.id).where(ticket.c.expires_day < today).order_by(ticket.c.expires_day)
    return list(connection.execute(query).scalars())
