"""The store's connection string out of a configuration."""

from __future__ import annotations

from pathlib import Path

from veildesk.core.errors import ConfigInvalid
from veildesk.service.config import Config

__all__ = ["database_of", "read_secret"]


def database_of(config: Config) -> str | None:
    """The store's connection string with its password, None for SQLite. Raises `ConfigInvalid`."""
    store = config.store
    if store is None or store.database is None:
        return None
    # Loaded only where it is used: it takes five megabytes.
    import psycopg

    password = read_secret(store.password_file)
    try:
        return psycopg.conninfo.make_conninfo(store.database, **({"password": password} if password else {}))
    except psycopg.ProgrammingError:
        raise ConfigInvalid("[store] database: expected a PostgreSQL connection string") from None


def read_secret(path: Path | None) -> str:
    """The one line of a password file, empty without one. Raises `ConfigInvalid`."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError:
        raise ConfigInvalid("a password file cannot be read") from None
