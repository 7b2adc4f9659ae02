"""Legal holds: tickets that must not be deleted for now, each with a reason and a last day.

The day stands in the row; the reason is sealed under the ticket's key. A hold that is past its day counts no
more; one without a day does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.spool.keyring import KeyRing
from veildesk.spool.migrate import stored_version
from veildesk.spool.schema import SCHEMA_VERSION, hold
from veildesk.spool.sealing import Place, open_row, seal_row
from veildesk.spool.sqlite_database import open_engine
from veildesk.spool.vault import Vault
from veildesk.spool.writer import Writer

__all__ = ["Hold", "Holds", "holds_of_store"]

_FIRST = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Hold:
    """`until` is the last day on which the ticket is kept, as YYYY-MM-DD."""

    ticket_id: str
    reason: str
    until: str


class Holds:
    """Holds of an open store. All raise `SpoolUnavailable` while it cannot be used."""

    def __init__(self, writer: Writer, vault: Vault) -> None:
        self._writer = writer
        self._vault = vault

    async def held(self, ticket_id: str, today: int) -> str | None:
        """The last day of a hold on a ticket that counts on a day (days since 1970 UTC), None for none."""
        return await self._writer.do("read", lambda connection: _held(connection, ticket_id, today))

    async def any(self, today: int) -> bool:
        """Whether any ticket is held on a day."""
        query = sa.select(hold.c.ticket_id).where(hold.c.until_day >= today).limit(1)
        return await self._writer.do("read", lambda connection: connection.execute(query).first() is not None)

    async def add(self, given: Hold) -> None:
        """Write one down, in place of an earlier one. Raises as the function `add`."""
        await self._writer.do("hold", lambda connection: add(connection, self._vault, given))

    async def all(self) -> list[Hold]:
        """Every hold, those that are over too."""
        return await self._writer.do("read", lambda connection: every(connection, self._vault))


def _held(connection: sa.Connection, ticket_id: str, today: int) -> str | None:
    query = sa.select(hold.c.until_day).where(hold.c.ticket_id == ticket_id, hold.c.until_day >= today)
    day: int | None = connection.execute(query).scalar_one_or_none()
    return None if day is None else date.fromordinal(_FIRST + day).isoformat()


def add(connection: sa.Connection, vault: Vault, given: Hold) -> None:
    """Write a hold down. Raises ValueError for a bad day, LookupError for a ticket that is not there."""
    day = date.fromisoformat(given.until).toordinal() - _FIRST
    key = vault.get(connection, given.ticket_id)
    if key is None:
        raise LookupError("no such ticket")
    sealed = seal_row(key, Place(given.ticket_id, "", "hold"), given.reason.encode())
    connection.execute(sa.delete(hold).where(hold.c.ticket_id == given.ticket_id))
    connection.execute(sa.insert(hold).values(ticket_id=given.ticket_id, until_day=day, sealed=sealed))


def every(connection: sa.Connection, vault: Vault) -> list[Hold]:
    """All holds, by day. A reason that does not open is told as "?": the hold counts all the same."""
    found = []
    for row in connection.execute(sa.select(hold).order_by(hold.c.until_day)):
        try:
            key = vault.get(connection, row.ticket_id)
            place = Place(row.ticket_id, "", "hold")
            reason = "?" if key is None else open_row(key, place, row.sealed).decode()
        except KeyUnusable:
            reason = "?"
        found.append(Hold(row.ticket_id, reason, date.fromordinal(_FIRST + row.until_day).isoformat()))
    return found


def lift(connection: sa.Connection, ticket_id: str) -> bool:
    """Lift a hold; False when there was none."""
    return connection.execute(sa.delete(hold).where(hold.c.ticket_id == ticket_id)).rowcount > 0


@contextmanager
def holds_of_store(
    state_dir: Path, conninfo: str | None, ring: KeyRing
) -> Iterator[tuple[sa.Connection, Vault]]:
    """One transaction on a store for the commands, beside a gateway that may be running.

    Raises `ConfigInvalid` (no store, or not of this version), `KeyUnusable`, `SpoolUnavailable`.
    """
    if conninfo is None and not (state_dir / "spool.db").exists():
        raise ConfigInvalid("there is no store in the state directory; start the gateway once")
    if conninfo is None:
        engine = open_engine(state_dir / "spool.db")
    else:
        from veildesk.spool.postgres_database import connect_engine

        engine = connect_engine(conninfo)
    try:
        with engine.begin() as connection:
            if stored_version(connection) != SCHEMA_VERSION:
                raise ConfigInvalid("the store is not of this version; start the gateway once")
            vault = Vault(ring)
            vault.check(connection)
            yield connection, vault
    except sa.exc.SQLAlchemyError:
        raise SpoolUnavailable("database-error") from None
    finally:
        engine.dispose()
