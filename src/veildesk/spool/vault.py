"""The tickets' data keys in the database: made, wrapped, unwrapped, wrapped anew, destroyed.

Everything here runs inside a transaction in the writer thread. Which epoch is in use stands in the
database, so that a process whose copy of the ring is old reads the file again before it wraps.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from veildesk.core.errors import KeyUnusable
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import ring_state, ticket_key
from veildesk.spool.sealing import unwrap_key, wrap_key

__all__ = ["Vault"]

# The row lock (PostgreSQL) keeps a rotation from passing by while a key is being wrapped.
_EPOCH = sa.select(ring_state.c.epoch).with_for_update(read=True)
_BATCH = 2000
_INSERT = sa.insert(ticket_key)


class Vault:
    """Wraps and unwraps data keys with the epoch keys of `ring`."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._proof = ring.derive_secret(b"spool identity")[:16]

    def attach(self, connection: sa.Connection) -> None:
        """Tie a new store to the ring. Raises `KeyUnusable` if it belongs to another one."""
        if connection.execute(sa.select(ring_state.c.id)).first() is None:
            values = {"id": 1, "epoch": self._ring.newest, "proof": self._proof}
            connection.execute(sa.insert(ring_state).values(values))
        self.check(connection)

    def check(self, connection: sa.Connection) -> None:
        """Raise `KeyUnusable` if the store belongs to another ring."""
        proof = connection.execute(sa.select(ring_state.c.proof)).scalar_one_or_none()
        if proof is not None and not hmac.compare_digest(proof, self._proof):
            raise KeyUnusable("the key ring belongs to another store")

    def put(self, connection: sa.Connection, keys: Mapping[str, bytes]) -> None:
        """Store the data keys of new tickets, by ticket id, wrapped."""
        if not keys:
            return
        epoch: int = connection.execute(_EPOCH).scalar_one()
        epoch_key = self._ring.epoch_key(epoch)
        rows = [
            {"ticket_id": ticket, "epoch": epoch, "wrapped": wrap_key(epoch_key, epoch, ticket, key)}
            for ticket, key in keys.items()
        ]
        connection.execute(_INSERT, rows)

    def get(self, connection: sa.Connection, ticket: str) -> bytes | None:
        """The data key of a ticket; None when it was destroyed or never there."""
        query = sa.select(ticket_key.c.epoch, ticket_key.c.wrapped).where(ticket_key.c.ticket_id == ticket)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return unwrap_key(self._ring.epoch_key(row.epoch), row.epoch, ticket, row.wrapped)

    def destroy(self, connection: sa.Connection, ticket: str) -> None:
        """Delete the wrapped key."""
        connection.execute(sa.delete(ticket_key).where(ticket_key.c.ticket_id == ticket))

    def rewrap(self, connection: sa.Connection, after: str) -> tuple[str | None, int]:
        """Wrap the next data keys behind ticket `after` under the store's epoch.

        Returns the last ticket seen, None at the end, and how many keys were changed.
        """
        epoch: int = connection.execute(sa.select(ring_state.c.epoch)).scalar_one()
        target = self._ring.epoch_key(epoch)
        query = sa.select(ticket_key).where(ticket_key.c.ticket_id > after)
        rows = connection.execute(query.order_by(ticket_key.c.ticket_id).limit(_BATCH)).all()
        changed = [
            {"t": row.ticket_id, "e": row.epoch, "w": self._again(target, epoch, row)}
            for row in rows
            if row.epoch < epoch
        ]
        if changed:
            where = (ticket_key.c.ticket_id == sa.bindparam("t"), ticket_key.c.epoch == sa.bindparam("e"))
            change = sa.update(ticket_key).where(*where).values(epoch=epoch, wrapped=sa.bindparam("w"))
            connection.execute(change, changed)
        return (rows[-1].ticket_id if len(rows) == _BATCH else None), len(changed)

    def _again(self, target: bytes, epoch: int, row: sa.Row[Any]) -> bytes:
        ticket = row.ticket_id
        key = unwrap_key(self._ring.epoch_key(row.epoch), row.epoch, ticket, row.wrapped)
        return wrap_key(target, epoch, ticket, key)
