"""Where the last poll of each helpdesk ended, sealed: positions may tell times or ticket numbers."""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import cursor
from veildesk.spool.sealing import Place, open_row, seal_row

__all__ = ["Cursors"]


class Cursors:
    """Stores and loads positions within transactions of the writer thread."""

    def __init__(self, ring: KeyRing) -> None:
        self._key = ring.derive_secret(b"spool cursors")

    def store(self, connection: sa.Connection, backend: str, position: str) -> None:
        """Replace the position of a backend."""
        connection.execute(sa.delete(cursor).where(cursor.c.backend == backend))
        sealed = seal_row(self._key, Place("", backend, "cursor"), position.encode())
        connection.execute(sa.insert(cursor).values(backend=backend, sealed=sealed))

    def load(self, connection: sa.Connection, backend: str) -> str | None:
        """The position of a backend."""
        query = sa.select(cursor.c.sealed).where(cursor.c.backend == backend)
        sealed: bytes | None = connection.execute(query).scalar_one_or_none()
        return None if sealed is None else open_row(self._key, Place("", backend, "cursor"), sealed).decode()
