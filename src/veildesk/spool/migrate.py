"""Brings the tables to the revision this code knows, or refuses a store that is newer.

The revisions run inside one transaction of the caller, so that a process killed half way leaves the
store as it was.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid
from veildesk.spool.schema import SCHEMA_VERSION

__all__ = ["stored_version", "upgrade"]


def stored_version(connection: sa.Connection) -> str | None:
    """The revision of the store, None when there are no tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(connection: sa.Connection) -> None:
    """Upgrade within the open transaction.

    Raises `ConfigInvalid` when the store is of a revision this code does not know.
    """
    version = stored_version(connection)
    if version == SCHEMA_VERSION:
        return
    # Loaded only when there is something to do: it would be a third of the start-up time.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigInvalid("the store was written by a newer version of Veildesk")
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA_VERSION)
