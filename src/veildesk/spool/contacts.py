"""The contact store: certificates of people who signed, found by address or by key in constant time.

Addresses and fingerprints are in the database as keyed digests only, certificates and history sealed, each
under a key of its own. Both end with the epoch: a rotation wraps the keys anew and digests the names anew, so
that an older copy of the database neither opens nor confirms a name. What is here outlives tickets, by no
more than the days of retention after it was last used.
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import secrets
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from veildesk.core.contact import KeyEvent, KnownKey, Provenance
from veildesk.core.errors import KeyUnusable
from veildesk.spool.contact_tables import contact, contact_name
from veildesk.spool.schema import ring_state
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.statements import ListStatement
from veildesk.spool.vault import Vault
from veildesk.spool.writer import Writer

__all__ = ["StoredContacts"]

_VERSION = 1
_MOST = 4
_BATCH = 200
# With the store's epoch in each row, and a row of nothing else where no name is known.
_NAMED = ListStatement(
    lambda names: (
        sa.select(ring_state.c.epoch, *contact.c)
        .select_from(
            ring_state.outerjoin(contact_name, contact_name.c.digest.in_(names)).outerjoin(
                contact, contact.c.digest == contact_name.c.contact
            )
        )
        .order_by(contact.c.last_day.desc())
        .limit(sa.literal(_MOST))
    )
)


class _Row(NamedTuple):
    """A contact, columns in the order of the table."""

    digest: bytes
    sealed: bytes
    last_day: int
    epoch: int
    wrapped: bytes


class StoredContacts:
    """`veildesk.core.ports.Contacts` over the store's database."""

    def __init__(self, writer: Writer, vault: Vault) -> None:
        self._writer = writer
        self._vault = vault

    async def by_address(self, address: str) -> tuple[KnownKey, ...]:
        """Keys known for a lower-case address, the latest first, at most four."""
        return await self._writer.do("read", lambda connection: self._find(connection, "address", address))

    async def by_key(self, fingerprint: str) -> KnownKey | None:
        """The certificate that holds a key with this fingerprint."""
        found = await self._writer.do("read", lambda connection: self._find(connection, "key", fingerprint))
        return found[0] if found else None

    async def remember(self, key: KnownKey, replaces: str | None = None) -> None:
        """Store or refresh a key; its history grows by what is new.

        A key that it `replaces` still checks old signatures but is no longer found by address.
        """
        await self._writer.do("contacts", lambda connection: self._remember(connection, key, replaces))

    async def forget_before(self, day: int) -> int:
        """Forget keys last used before `day`."""

        def run(connection: sa.Connection) -> int:
            old = sa.select(contact.c.digest).where(contact.c.last_day < day)
            digests = list(connection.execute(old).scalars())
            _delete(connection, digests)
            return len(digests)

        return await self._writer.do("contacts", run)

    # ------------------------------------------------------------------ in the writer thread

    def _remember(self, connection: sa.Connection, key: KnownKey, replaces: str | None) -> None:
        epoch = self._vault.epoch(connection)
        rows = self._own_rows(connection, key.fingerprint)
        if rows:
            before = self._open(rows[0])
            events = tuple(dict.fromkeys((*before.history, *key.history)))[-20:]
            key = dataclasses.replace(key.with_names_of(before), history=events)
            if key == before and replaces is None and self._is_named(connection, rows[0], epoch, key):
                return  # The second mail of a day brings no news.
        old = self._own_rows(connection, replaces) if replaces is not None else []
        if old:
            addresses = [
                digest
                for address in self._open(old[0]).addresses
                for digest in self._digests(connection, "address", address)
            ]
            chosen = contact_name.c.contact == old[0].digest, contact_name.c.digest.in_(addresses)
            connection.execute(sa.delete(contact_name).where(*chosen))
        _delete(connection, [row.digest for row in rows])
        self._insert(connection, epoch, key, self._names(epoch, key))

    def _own_rows(self, connection: sa.Connection, fingerprint: str) -> list[_Row]:
        """Rows of the certificate with this primary key, not of those that hold it as a subkey."""
        own = self._digests(connection, "contact", fingerprint)
        return [row for row in self._rows(connection, "key", fingerprint) if row.digest in own]

    def _names(self, epoch: int, key: KnownKey) -> set[bytes]:
        names = {self._digest(epoch, "address", address) for address in key.addresses}
        return names | {self._digest(epoch, "key", name) for name in key.keys}

    def _is_named(self, connection: sa.Connection, row: _Row, epoch: int, key: KnownKey) -> bool:
        """Whether it lies under this epoch and is found by all its names."""
        query = sa.select(contact_name.c.digest).where(contact_name.c.contact == row.digest)
        return row.epoch == epoch and set(connection.execute(query).scalars()) == self._names(epoch, key)

    def _insert(self, connection: sa.Connection, epoch: int, key: KnownKey, names: set[bytes]) -> None:
        digest, data_key = self._digest(epoch, "contact", key.fingerprint), secrets.token_bytes(32)
        row = {
            "digest": digest,
            "sealed": seal_row(data_key, Place("", digest.hex(), "contact"), _encode(key)),
            "last_day": key.last_day,
            "epoch": epoch,
            "wrapped": self._vault.wrap(epoch, f"contact:{digest.hex()}", data_key),
        }
        connection.execute(sa.insert(contact).values(row))
        if names:
            connection.execute(
                sa.insert(contact_name), [{"digest": name, "contact": digest} for name in sorted(names)]
            )

    def rewrap(self, connection: sa.Connection) -> tuple[bool, int]:
        """Bring the next contacts under the store's epoch, their names too.

        Returns whether more may be left, and how many were changed.
        """
        epoch = self._vault.epoch(connection)
        old = sa.select(contact).where(contact.c.epoch < epoch).limit(_BATCH)
        rows = connection.execute(old).all()
        for row in rows:
            try:
                key = self._open(row)
            except KeyUnusable:
                # Out of a backup whose epoch is gone: nobody can ever read it.
                _delete(connection, [row.digest])
                continue
            query = sa.select(contact_name.c.digest).where(contact_name.c.contact == row.digest)
            present = set(connection.execute(query).scalars())
            pairs = [("address", one) for one in key.addresses] + [("key", one) for one in key.keys]
            names = {
                self._digest(epoch, kind, name)
                for kind, name in pairs
                if self._digest(row.epoch, kind, name) in present
            }
            _delete(connection, [row.digest])
            self._insert(connection, epoch, key, names)
        return len(rows) == _BATCH, len(rows)

    def _find(self, connection: sa.Connection, kind: str, name: str) -> tuple[KnownKey, ...]:
        return tuple(self._open(row) for row in self._rows(connection, kind, name))

    def _rows(self, connection: sa.Connection, kind: str, name: str) -> list[_Row]:
        # In one statement with the look at the epoch, which mostly is one that we know.
        epochs = self._vault.at_hand
        rows = self._named(connection, epochs, kind, name)
        if rows and rows[0][0] not in epochs:
            rows = self._named(connection, self._vault.epochs(connection), kind, name)
        return [_Row(*row[1:]) for row in rows if row[1] is not None]

    def _named(
        self, connection: sa.Connection, epochs: Sequence[int], kind: str, name: str
    ) -> list[tuple[Any, ...]]:
        return _NAMED.all(connection, [self._digest(epoch, kind, name) for epoch in (0, *epochs)])

    def _digests(self, connection: sa.Connection, kind: str, name: str) -> list[bytes]:
        # More than one epoch while a rotation is under way; 0 for what an older version wrote.
        return [self._digest(epoch, kind, name) for epoch in (0, *self._vault.epochs(connection))]

    def _digest(self, epoch: int, kind: str, name: str) -> bytes:
        secret = self._vault.secret(epoch, b"contact names")
        return hmac.digest(secret, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), "sha256")

    def _open(self, row: _Row | sa.Row[Any]) -> KnownKey:
        if row.epoch == 0:
            key = self._vault.secret(0, b"contacts")
        else:
            key = self._vault.unwrap(row.epoch, f"contact:{row.digest.hex()}", row.wrapped)
        return _decode(open_row(key, Place("", row.digest.hex(), "contact"), row.sealed))


def _delete(connection: sa.Connection, digests: Collection[bytes]) -> None:
    for digest in digests:
        connection.execute(sa.delete(contact_name).where(contact_name.c.contact == digest))
        connection.execute(sa.delete(contact).where(contact.c.digest == digest))


def _encode(key: KnownKey) -> bytes:
    return json.dumps(
        {
            "v": _VERSION,
            "certificate": base64.b64encode(key.certificate).decode(),
            "fingerprint": key.fingerprint,
            "keys": list(key.keys),
            "addresses": list(key.addresses),
            "provenance": key.provenance,
            "expires": key.expires,
            "last_day": key.last_day,
            "history": [[one.day, one.word, one.fingerprint] for one in key.history],
        }
    ).encode()


def _decode(data: bytes) -> KnownKey:
    fields = json.loads(data)
    if fields["v"] != _VERSION:
        raise ValueError("unknown version of a stored contact")
    return KnownKey(
        certificate=base64.b64decode(fields["certificate"]),
        fingerprint=fields["fingerprint"],
        keys=tuple(fields["keys"]),
        addresses=tuple(fields["addresses"]),
        provenance=Provenance(fields["provenance"]),
        expires=fields["expires"],
        last_day=fields["last_day"],
        history=tuple(KeyEvent(*one) for one in fields["history"]),
    )
