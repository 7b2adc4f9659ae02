"""The contact store: certificates of people who signed, found by address or by key in constant time.

Addresses and fingerprints are in the database as keyed digests only, certificates and history sealed.
The keys for both come from the root of the key ring, not from a ticket: what is here outlives tickets, by
no more than the days of retention after it was last used.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable

import sqlalchemy as sa

from veildesk.core.contact import KeyEvent, KnownKey, Provenance
from veildesk.spool.contact_tables import contact, contact_name
from veildesk.spool.keyring import KeyRing
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.writer import Writer

__all__ = ["StoredContacts"]

_VERSION = 1
_MOST = 4


class StoredContacts:
    """`veildesk.core.ports.Contacts` over the store's database."""

    def __init__(self, writer: Writer, ring: KeyRing) -> None:
        self._writer = writer
        self._names = ring.derive_secret(b"contact names")
        self._key = ring.derive_secret(b"contacts")

    async def by_address(self, address: str) -> tuple[KnownKey, ...]:
        """Keys known for a lower-case address, the latest first, at most four."""
        name = self._digest("address", address)
        found = await self._writer.do("read", lambda connection: _load(connection, name))
        return tuple(self._open(*row) for row in found)

    async def by_key(self, fingerprint: str) -> KnownKey | None:
        """The certificate that holds a key with this fingerprint."""
        name = self._digest("key", fingerprint)
        found = await self._writer.do("read", lambda connection: _load(connection, name))
        return self._open(*found[0]) if found else None

    async def remember(self, key: KnownKey, replaces: str | None = None) -> None:
        """Store or refresh a key; its history grows by what is new.

        A key that it `replaces` still checks old signatures but is no longer found by address.
        """
        before = await self.by_key(key.fingerprint)
        if before is not None:
            events = dict.fromkeys((*before.history, *key.history))
            key = KnownKey(
                key.certificate,
                key.fingerprint,
                key.keys,
                key.addresses,
                key.provenance,
                key.expires,
                key.last_day,
                tuple(events)[-20:],
            )
        old = await self.by_key(replaces) if replaces is not None else None
        digest = self._digest("contact", key.fingerprint)
        names = {self._digest("address", address) for address in key.addresses}
        names |= {self._digest("key", name) for name in key.keys}
        sealed = seal_row(self._key, Place("", digest.hex(), "contact"), _encode(key))
        gone = [self._digest("address", address) for address in old.addresses] if old is not None else []

        def run(connection: sa.Connection) -> None:
            _store(connection, digest, sealed, key.last_day, names)
            if old is not None:
                before = self._digest("contact", old.fingerprint)
                chosen = contact_name.c.contact == before, contact_name.c.digest.in_(gone)
                connection.execute(sa.delete(contact_name).where(*chosen))

        await self._writer.do("contacts", run)

    async def forget_before(self, day: int) -> int:
        """Forget keys last used before `day`."""

        def run(connection: sa.Connection) -> int:
            old = sa.select(contact.c.digest).where(contact.c.last_day < day)
            digests = list(connection.execute(old).scalars())
            _delete(connection, digests)
            return len(digests)

        return await self._writer.do("contacts", run)

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.digest(self._names, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), "sha256")

    def _open(self, digest: bytes, sealed: bytes) -> KnownKey:
        return _decode(open_row(self._key, Place("", digest.hex(), "contact"), sealed))


def _load(connection: sa.Connection, name: bytes) -> list[tuple[bytes, bytes]]:
    query = (
        sa.select(contact.c.digest, contact.c.sealed)
        .join(contact_name, contact_name.c.contact == contact.c.digest)
        .where(contact_name.c.digest == name)
        .order_by(contact.c.last_day.desc())
        .limit(_MOST)
    )
    return [(row.digest, row.sealed) for row in connection.execute(query)]


def _store(connection: sa.Connection, digest: bytes, sealed: bytes, day: int, names: Iterable[bytes]) -> None:
    _delete(connection, [digest])
    connection.execute(sa.insert(contact).values(digest=digest, sealed=sealed, last_day=day))
    connection.execute(sa.insert(contact_name), [{"digest": name, "contact": digest} for name in names])


def _delete(connection: sa.Connection, digests: list[bytes]) -> None:
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
