"""Rotation of the epoch key: after it, no older copy of the database opens with today's ring.

Order: the new key is durable in the ring, new tickets use it from one commit on, then the data keys are
wrapped anew in small commits between other work, then the old keys leave the ring. A crash in between
leaves both keys in the ring, and the next start finishes. Processes that rotate at the same moment agree
on the highest epoch.
"""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.spool.contact_tables import contact
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.database import Database
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import cursor, erase_job, ring_state, ticket_key
from veildesk.spool.vault import Vault

__all__ = ["adopt", "begin", "finish"]


def begin(engine: sa.Engine, vault: Vault, ring: KeyRing) -> None:
    """Add an epoch and let new tickets use it. Runs alone in the writer thread.

    Raises `SpoolUnavailable` while the ring is older than the store: another gateway rotated, and a second
    key for the same epoch would open nothing of what the others wrap under theirs.
    """
    with ring.exclusive():
        with engine.begin() as connection:
            vault.epochs(connection)
            vault.epoch(connection)
        ring.extend()
    crashpoint("rotate.ring-extended")
    adopt(engine, vault, ring)


def adopt(engine: sa.Engine, vault: Vault, ring: KeyRing) -> None:
    """Let new tickets use the ring's newest epoch. Runs alone in the writer thread."""
    number = ring.newest
    with engine.begin() as connection:
        # Waits for transactions that are still wrapping under the old epoch (`Vault.put`).
        connection.execute(sa.update(ring_state).where(ring_state.c.epoch < number).values(epoch=number))
        vault.publish(connection)


def finish(database: Database, ring: KeyRing) -> bool:
    """Destroy the old epochs; False when keys under them are left. Runs alone in the writer thread."""
    with database.engine.begin() as connection:
        epoch: int = connection.execute(sa.select(ring_state.c.epoch)).scalar_one()
        for table in (ticket_key, contact, erase_job, cursor):
            left = sa.select(table.c.epoch).where(table.c.epoch < epoch).limit(1)
            if connection.execute(left).first() is not None:
                return False
    database.checkpoint()
    with ring.exclusive():
        ring.shorten(epoch)
    crashpoint("rotate.ring-shortened")
    return True
