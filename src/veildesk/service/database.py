"""Where the store's tables and files lie, out of a configuration."""

from __future__ import annotations

from pathlib import Path

from veildesk.core.errors import ConfigInvalid
from veildesk.service.config import Config
from veildesk.spool.file_store import ObjectSettings, Where

__all__ = ["database_of", "files_of", "read_secret"]


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


def files_of(config: Config) -> Where:
    """The place of large sealed parts. Raises `ConfigInvalid` when a key of a bucket cannot be read."""
    store = config.store
    if store is None or store.s3 is None:
        return (store.files if store else None) or config.gateway.state_dir / "files"
    s3 = store.s3
    try:
        ca = s3.ca_file.read_bytes() if s3.ca_file else None
    except OSError:
        raise ConfigInvalid("[store.s3] ca_file: it cannot be read") from None
    return ObjectSettings(
        endpoint=s3.endpoint.rstrip("/"),
        bucket=s3.bucket,
        prefix=s3.prefix,
        region=s3.region,
        access_key=_key("access_key_file", s3.access_key_file),
        secret_key=_key("secret_key_file", s3.secret_key_file),
        ca=ca,
        timeout=s3.timeout_seconds,
    )


def _key(name: str, path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
        shared = path.stat().st_mode & 0o007
    except (OSError, UnicodeDecodeError):
        raise ConfigInvalid(f"[store.s3] {name}: it cannot be read") from None
    if shared:
        raise ConfigInvalid(f"[store.s3] {name}: every user can read it (chmod o=)")
    if not key or not key.isprintable() or " " in key:
        raise ConfigInvalid(f"[store.s3] {name}: expected one line with the key")
    return key
