"""Brings the tables to the revision this code knows, or refuses a store that is newer or was moved away.

The revisions run inside one transaction of the caller, so that a process killed half way leaves the
store as it was.
"""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import StoreOther
from veildesk.spool.schema import SCHEMA_VERSION

__all__ = ["IMPORTING", "MOVED", "set_version", "stored_version", "upgrade"]

IMPORTING = "importing"
"""Stands for the revision in a database that a move or restore has not finished filling."""

MOVED = "moved"
"""Stands for the revision in a SQLite file whose content lives in PostgreSQL now."""

_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps what it is working on in its modules: two threads would write into each other's store."""

_VERSION = sa.table("alembic_version", sa.column("version_num"))
_REFUSED = {
    IMPORTING: "a move into this database was not finished; run the same command again",
    MOVED: "this store was moved to PostgreSQL; name it in [store] database",
}


def stored_version(connection: sa.Connection) -> str | None:
    """The revision of the store, None when there are no tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
    return version


def set_version(connection: sa.Connection, version: str) -> None:
    """Write another revision."""
    connection.execute(sa.update(_VERSION).values(version_num=version))


def upgrade(connection: sa.Connection) -> None:
    """Upgrade within the open transaction.

    Raises `ConfigInvalid` when the store is of a revision this code does not know.
    """
    version = stored_version(connection)
    if version == SCHEMA_VERSION:
        return
    if version in _REFUSED:
        raise StoreOther(_REFUSED[version])
    # Loaded only when there is something to do: it would be a third of the start-up time.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreOther("it was written by a newer version of Veildesk")
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, SCHEMA_VERSION)
