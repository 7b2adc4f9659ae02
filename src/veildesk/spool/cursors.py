"""Where the last poll of each helpdesk ended, sealed: positions may tell times or ticket numbers."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from veildesk.core.errors import KeyUnusable
from veildesk.spool.schema import cursor
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.vault import Vault

__all__ = ["Cursors"]


class Cursors:
    """Stores and loads positions within transactions of the writer thread."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def store(self, connection: sa.Connection, backend: str, position: str) -> None:
        """Replace the position of a backend."""
        epoch, key = self._vault.epoch(connection), secrets.token_bytes(32)
        connection.execute(sa.delete(cursor).where(cursor.c.backend == backend))
        row = {
            "backend": backend,
            "sealed": seal_row(key, Place("", backend, "cursor"), position.encode()),
            "epoch": epoch,
            "wrapped": self._vault.wrap(epoch, f"cursor:{backend}", key),
        }
        connection.execute(sa.insert(cursor).values(row))

    def load(self, connection: sa.Connection, backend: str) -> str | None:
        """The position of a backend.

        None also for one out of an older backup whose epoch is gone: asking from the start loses nothing.
        """
        row = connection.execute(sa.select(cursor).where(cursor.c.backend == backend)).one_or_none()
        if row is None:
            return None
        try:
            if row.epoch == 0:
                key = self._vault.secret(0, b"spool cursors")
            else:
                key = self._vault.unwrap(row.epoch, f"cursor:{backend}", row.wrapped)
        except KeyUnusable:
            return None
        return open_row(key, Place("", backend, "cursor"), row.sealed).decode()

    def rewrap(self, connection: sa.Connection) -> int:
        """Bring all positions under the store's epoch; returns how many were changed."""
        old = cursor.c.epoch < self._vault.epoch(connection)
        names = list(connection.execute(sa.select(cursor.c.backend).where(old)).scalars())
        for name in names:
            if (position := self.load(connection, name)) is not None:
                self.store(connection, name, position)
            else:
                connection.execute(sa.delete(cursor).where(cursor.c.backend == name))
        return len(names)
