"""PostgreSQL, for several gateways: session advisory locks as ownership, NOTIFY, and what its errors mean.

Transactions are READ COMMITTED. Where two gateways could be in each other's way, a unique or foreign key
or a row lock makes one of them wait or fail, and the writer repeats the transaction (`is_race`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from veildesk.core.errors import ConfigInvalid, SpoolUnavailable, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.database import UNKNOWN_ERROR
from veildesk.spool.sentinel import CHANNEL, Sentinel
from veildesk.spool.statements import Statement

__all__ = ["PostgresDatabase", "connect", "connect_engine", "server_checks", "server_error"]

_SCHEMA_LOCK = 0x7665696C  # "veil"; any constant will do that nobody else uses in this database.
_GRACE = 1.0
# We notice a server that vanished before it notices us: see `sentinel`.
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_SESSION = (
    "SET lock_timeout = '5s'",
    "SET statement_timeout = '120s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET client_min_messages = 'error'",
)
_OLDEST = 150000
_RACE = frozenset({"23505", "23503", "40001", "40P01"})
_DETAILS = {
    "53100": "disk-full",
    "25006": "read-only",
    "42501": "read-only",
    "55P03": "locked",
    "57014": "locked",
    "58030": "io-error",
    "XX001": "damaged",
    "XX002": "damaged",
}
_ANNOUNCE = Statement(
    sa.select(sa.func.pg_notify(sa.bindparam("channel", type_=sa.Text), sa.bindparam("owner", type_=sa.Text)))
)
_LIVING = sa.text(
    "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def connect(conninfo: str) -> psycopg.Connection[Any]:
    """A connection with the settings of a session. Raises `SpoolUnavailable` or `ConfigInvalid`."""
    try:
        connection = psycopg.connect(conninfo, connect_timeout=5, application_name="veildesk", **_ALIVE)
    except psycopg.ProgrammingError:
        raise ConfigInvalid("[store] database: expected a PostgreSQL connection string") from None
    except psycopg.Error as error:
        raise SpoolUnavailable(_why_not(str(error))) from None
    try:
        _begin_session(connection)
    except psycopg.Error as error:
        connection.close()
        raise SpoolUnavailable(_DETAILS.get(error.sqlstate or "", "database-unreachable")) from None
    except VeildeskError:
        connection.close()
        raise
    return connection


def _begin_session(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < _OLDEST:
        raise ConfigInvalid("[store] database: PostgreSQL 15 or later is needed")
    connection.autocommit = True
    for statement in _SESSION:
        connection.execute(statement)
    if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        raise SpoolUnavailable("database-is-replica")
    if connection.execute("SHOW fsync").fetchone() == ("off",):
        raise ConfigInvalid("PostgreSQL runs with fsync off: what it says is safe would not be")
    if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
        connection.execute("SET synchronous_commit = 'on'")
    connection.autocommit = False


def _why_not(text: str) -> str:
    """Why there is no connection, from the server's words: libpq hands on no code for these."""
    if "too many clients" in text or "connection slots" in text or "too many connections" in text:
        return "database-crowded"
    refused = ("authentication failed", "no password supplied", "pg_hba.conf", "does not exist", "permission")
    return "database-refused" if any(word in text for word in refused) else "database-unreachable"


def connect_engine(conninfo: str) -> sa.Engine:
    """An engine with one connection, for one thread."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(conninfo),
        poolclass=StaticPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _configure)
    return engine


class PostgresDatabase:
    """`Database` behind a libpq connection string; gateways on several hosts may share it.

    Needs direct connections: transaction pooling would drop the session's locks.
    """

    kind = "postgresql"

    def __init__(self, conninfo: str) -> None:
        self._sentinel = Sentinel(connect(conninfo))
        self.owner = self._sentinel.owner
        self._absent: dict[str, float] = {}
        self.engine = connect_engine(conninfo)

    def living(self, connection: sa.Connection) -> Callable[[str], bool]:
        """By advisory locks. Who is absent for the first time still counts as alive for a moment.

        The moment is for an owner whose connection broke and who is about to find out.
        """
        present = {f"{row[0]:08x}{row[1]:08x}" for row in connection.execute(_LIVING)}
        now = time.monotonic()

        def alive(owner: str) -> bool:
            if owner in present:
                self._absent.pop(owner, None)
                return True
            return now - self._absent.setdefault(owner, now) < _GRACE

        return alive

    def forget_dead(self) -> None:
        """Nothing to do: the server drops the locks of the dead."""

    def lock_schema(self, connection: sa.Connection) -> None:
        """One lock for all that change tables."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK, 1)))

    def checkpoint(self) -> bool:
        """Nothing is brought out here: old row versions stay until VACUUM, log segments until recycled."""
        return True

    def version(self, connection: sa.Connection) -> int:
        """Always 0: NOTIFY tells."""
        return 0

    def announce(self, connection: sa.Connection) -> None:
        """NOTIFY, delivered by the server at commit."""
        _ANNOUNCE.all(connection, {"channel": CHANNEL, "owner": self.owner})

    def listen(self, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Start the sentinel."""
        self._sentinel.start(changed, lost)

    def lease(self, name: str) -> bool:
        """By an advisory lock on the sentinel's session."""
        return self._sentinel.lease(name)

    def checks(self, connection: sa.Connection) -> list[CheckResult]:
        """Settings, and whether every row can be read."""
        return server_checks(connection)

    def is_race(self, error: BaseException) -> bool:
        """A key that another transaction took, or a deadlock."""
        return _state(error) in _RACE

    def is_fatal(self, error: BaseException) -> bool:
        """The connection is gone (what it last committed is unknown then), or pages are damaged."""
        if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
            return True
        state = _state(error)
        gone = state is None and isinstance(_original(error), psycopg.OperationalError)
        return gone or ((state or "")[:2] in ("08", "57", "58", "XX") and state != "57014")

    def explain(self, error: BaseException) -> SpoolUnavailable:
        """By SQLSTATE."""
        if self.is_fatal(error):
            return server_error(error)
        return SpoolUnavailable(_DETAILS.get(_state(error) or "", UNKNOWN_ERROR))

    def close(self) -> None:
        """End the sentinel's session, and with it locks and leases."""
        self._sentinel.close()


def server_error(error: BaseException) -> SpoolUnavailable:
    """A fault of the server or of the way to it as a code word."""
    return SpoolUnavailable(_DETAILS.get(_state(error) or "", "database-unreachable"))


def _configure(connection: psycopg.Connection[Any], _record: Any) -> None:
    # Statements repeat; server-side preparation after five uses saves parsing. Bounded per session.
    connection.prepared_max = 100


def _original(error: BaseException | None) -> BaseException | None:
    return error.orig if isinstance(error, exc.DBAPIError) else error


def _state(error: BaseException | None) -> str | None:
    return getattr(_original(error), "sqlstate", None)


def server_checks(connection: sa.Connection) -> list[CheckResult]:
    """Whether pages are sound and commits durable, as far as the server says."""
    return [_readable(connection), _durability(connection)]


def _readable(connection: sa.Connection) -> CheckResult:
    title = "Database pages are sound"
    if connection.execute(sa.text("SHOW data_checksums")).scalar_one() != "on":
        fix = "Switch page checksums on: pg_checksums --enable, while the server is down."
        return CheckResult("spool.integrity", title, Level.SKIP, "checksums off", "checksums on", fix)
    query = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database"
    failures = int(connection.execute(sa.text(query)).scalar_one())
    level = Level.FAIL if failures else Level.OK
    fix = "Restore the database from a backup; see PostgreSQL's log." if failures else ""
    return CheckResult("spool.integrity", title, level, f"{failures} checksum failures", "0", fix)


def _durability(connection: sa.Connection) -> CheckResult:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    found = {name: connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in names}
    level = Level.OK if "off" not in found.values() else Level.FAIL
    said = ", ".join(f"{name} {value}" for name, value in found.items())
    return CheckResult("spool.durability", "Commits survive a power cut", level, said, "none of them off")
