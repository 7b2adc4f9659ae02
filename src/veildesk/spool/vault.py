"""Data keys in the database: made, wrapped, unwrapped, wrapped anew, destroyed.

Everything here runs inside a transaction in the writer thread. Which epoch is in use stands in the
database, so that a process whose copy of the ring is old reads the file again before it wraps. Who has no
ring (`IntakeKeys`) wraps with the epoch's public half, by the version byte of the wrapped key.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from veildesk.core.errors import KeyUnusable, RingUnusable, SpoolUnavailable, StoreMissing
from veildesk.spool import intake_key
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import ring_state, ticket_key
from veildesk.spool.sealing import unwrap_key, wrap_key
from veildesk.spool.statements import Statement

__all__ = ["DataKeys", "IntakeKeys", "Vault"]

# The row lock (PostgreSQL) keeps a rotation from passing by while a key is being wrapped.
_EPOCH = Statement(sa.select(ring_state.c.epoch).with_for_update(read=True))
_LOOK = sa.select(ring_state.c.epoch)
_PUBLIC = sa.select(ring_state).with_for_update(read=True)
_KEY = Statement(
    sa.select(ticket_key.c.epoch, ticket_key.c.wrapped).where(
        ticket_key.c.ticket_id == sa.bindparam("ticket")
    )
)
_BATCH = 2000
_INSERT = Statement(sa.insert(ticket_key), "ticket_id", "epoch", "wrapped")


class DataKeys(Protocol):
    """What taking over needs: `get` opens, `put` keeps the keys of new tickets."""

    def put(self, connection: sa.Connection, keys: Mapping[str, bytes]) -> None:
        """Store the data keys of new tickets, by ticket id, wrapped."""

    def get(self, connection: sa.Connection, ticket: str) -> bytes | None:
        """The data key of a ticket; None when it was destroyed or never there."""


class Vault:
    """Wraps and unwraps data keys with the epoch keys of `ring`."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._proof = ring.derive_secret(b"spool identity")[:16]
        self._intake = ring.intake_secret
        self._secrets: dict[tuple[int, bytes], bytes] = {}
        self._matched = 0

    def attach(self, connection: sa.Connection) -> None:
        """Tie a new store to a new ring.

        Raises `KeyUnusable` for another ring's store, `StoreMissing` for a new one with a ring in use.
        """
        if connection.execute(sa.select(ring_state.c.id)).first() is None:
            if self._ring.newest > 1:
                # A ring that was rotated has served a store: an empty one in its place is a mistake.
                raise StoreMissing("an empty store for a key ring that has been in use")
            values = {"id": 1, "epoch": self._ring.newest, "proof": self._proof}
            connection.execute(sa.insert(ring_state).values(values))
        self.check(connection)
        self.publish(connection)

    def check(self, connection: sa.Connection) -> None:
        """Raise `KeyUnusable` if the store belongs to another ring."""
        proof = connection.execute(sa.select(ring_state.c.proof)).scalar_one_or_none()
        if proof is not None and not hmac.compare_digest(proof, self._proof):
            raise RingUnusable("the key ring belongs to another store")

    def publish(self, connection: sa.Connection) -> None:
        """Let the public half of the store's epoch stand beside it."""
        epoch: int = connection.execute(_LOOK).scalar_one()
        if epoch not in self._ring.epochs:
            return  # Another process rotated, and did this.
        self._match(connection, epoch)
        public = intake_key.public_half(self._ring.epoch_key(epoch))
        values = {"intake_public": public, "intake_tag": intake_key.tag_of(self._intake, epoch, public)}
        same = ring_state.c.intake_tag == values["intake_tag"]
        if connection.execute(sa.select(ring_state.c.id).where(same)).first() is None:
            connection.execute(sa.update(ring_state).where(ring_state.c.epoch == epoch).values(values))

    def epoch(self, connection: sa.Connection) -> int:
        """The epoch to wrap under; it stays in use until this transaction ends.

        Raises `SpoolUnavailable` while our ring does not have the store's key of it.
        """
        epoch = int(_EPOCH.value(connection, {}))
        if epoch != self._matched:
            self._match(connection, epoch)
            self._matched = epoch
        return epoch

    def _match(self, connection: sa.Connection, epoch: int) -> None:
        """Two hosts whose rings are copies may both have made this epoch, each with a key of its own: the
        one whose public half stands in the database counts. What we wrapped under ours nobody could open."""
        row = connection.execute(sa.select(ring_state)).one()
        try:
            public = intake_key.check_public(self._intake, epoch, row.intake_public, row.intake_tag)
        except KeyUnusable:
            return  # Of an older epoch, or of an older version: to be published.
        if intake_key.public_half(self._ring.epoch_key(epoch)) != public:
            self._ring.reload()
            if intake_key.public_half(self._ring.epoch_key(epoch)) != public:
                raise SpoolUnavailable("ring-outdated")

    def epochs(self, connection: sa.Connection) -> tuple[int, ...]:
        """All epochs under which something may lie now, the one in use among them."""
        self._ring.epoch_key(connection.execute(_LOOK).scalar_one())
        return self._ring.epochs

    @property
    def at_hand(self) -> tuple[int, ...]:
        """The epochs of the ring as it was read last; another process may have rotated since."""
        return self._ring.epochs

    def secret(self, epoch: int, label: bytes) -> bytes:
        """32 bytes for one purpose that end with the epoch."""
        self._ring.epoch_key(epoch or self._ring.newest)
        found = self._secrets.get((epoch, label))
        if found is None:
            kept = {one: secret for one, secret in self._secrets.items() if one[0] in (0, *self._ring.epochs)}
            found = kept[epoch, label] = self._ring.epoch_secret(epoch, label)
            self._secrets = kept
        return found

    def wrap(self, epoch: int, name: str, key: bytes) -> bytes:
        """Wrap a data key, bound to epoch and name."""
        return wrap_key(self._ring.epoch_key(epoch), epoch, name, key)

    def unwrap(self, epoch: int, name: str, wrapped: bytes) -> bytes:
        """Unwrap a data key. Raises `KeyUnusable`."""
        return unwrap_key(self._ring.epoch_key(epoch), epoch, name, wrapped)

    def put(self, connection: sa.Connection, keys: Mapping[str, bytes]) -> None:
        """Store the data keys of new tickets, by ticket id, wrapped."""
        if not keys:
            return
        epoch = self.epoch(connection)
        rows = [
            {"ticket_id": ticket, "epoch": epoch, "wrapped": self.wrap(epoch, ticket, key)}
            for ticket, key in keys.items()
        ]
        _INSERT.many(connection, rows)

    def get(self, connection: sa.Connection, ticket: str) -> bytes | None:
        """The data key of a ticket; None when it was destroyed or never there."""
        row = _KEY.one(connection, {"ticket": ticket})
        return None if row is None else self.unwrap(row[0], ticket, row[1])

    def destroy(self, connection: sa.Connection, ticket: str) -> None:
        """Delete the wrapped key."""
        connection.execute(sa.delete(ticket_key).where(ticket_key.c.ticket_id == ticket))

    def rewrap(self, connection: sa.Connection, after: str) -> tuple[str | None, int]:
        """Wrap the next data keys behind ticket `after` under the store's epoch.

        Returns the last ticket seen, None at the end, and how many keys were changed.
        """
        epoch: int = connection.execute(sa.select(ring_state.c.epoch)).scalar_one()
        query = sa.select(ticket_key).where(ticket_key.c.ticket_id > after)
        rows = connection.execute(query.order_by(ticket_key.c.ticket_id).limit(_BATCH)).all()
        changed = [
            {"t": row.ticket_id, "e": row.epoch, "w": self._again(epoch, row)}
            for row in rows
            if row.epoch < epoch
        ]
        if changed:
            where = (ticket_key.c.ticket_id == sa.bindparam("t"), ticket_key.c.epoch == sa.bindparam("e"))
            change = sa.update(ticket_key).where(*where).values(epoch=epoch, wrapped=sa.bindparam("w"))
            connection.execute(change, changed)
        return (rows[-1].ticket_id if len(rows) == _BATCH else None), len(changed)

    def _again(self, epoch: int, row: sa.Row[Any]) -> bytes:
        return self.wrap(epoch, row.ticket_id, self.unwrap(row.epoch, row.ticket_id, row.wrapped))


class IntakeKeys:
    """The half of a vault that a process without the ring has: it keeps keys and opens none.

    `intake_secret` is what `KeyRing.intake_secret` gives.
    """

    def __init__(self, intake_secret: bytes) -> None:
        self._secret = intake_secret

    def check(self, connection: sa.Connection) -> None:
        """Raise `KeyUnusable` if the store is another gateway's, or nobody with a ring opened it yet."""
        self._public(connection)

    def _public(self, connection: sa.Connection) -> tuple[int, bytes]:
        row = connection.execute(_PUBLIC).one_or_none()
        if row is None:
            raise KeyUnusable("the store has no intake key yet: start the gateway once")
        return row.epoch, intake_key.check_public(self._secret, row.epoch, row.intake_public, row.intake_tag)

    def put(self, connection: sa.Connection, keys: Mapping[str, bytes]) -> None:
        """Store the data keys of new tickets, wrapped so that this process cannot unwrap them again."""
        if not keys:
            return
        try:
            epoch, public = self._public(connection)
        except KeyUnusable:
            # The sender tries again; nothing may be sealed for whoever put another key there.
            raise SpoolUnavailable("intake-key") from None
        rows = [
            {"ticket_id": ticket, "epoch": epoch, "wrapped": intake_key.seal_key(public, epoch, ticket, key)}
            for ticket, key in keys.items()
        ]
        _INSERT.many(connection, rows)

    def get(self, connection: sa.Connection, ticket: str) -> bytes | None:
        """Raises `KeyUnusable`: nothing can be opened here."""
        raise KeyUnusable("this process only accepts")
