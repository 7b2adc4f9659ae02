"""Sections of the configuration about the store and its numbers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from veildesk.core.errors import ConfigInvalid

__all__ = ["MetricsConfig", "S3Config", "StoreConfig", "check_store_config"]


@dataclass(frozen=True, slots=True)
class S3Config:
    """A bucket of an S3-compatible store. `endpoint` is its address without the bucket.

    Over https, or over http on loopback. `ca_file` is an authority beside the system's. Everything lies under
    `prefix`, which no other store may use. `timeout_seconds` is the longest time of one request.
    """

    endpoint: str
    bucket: str
    access_key_file: Path
    secret_key_file: Path
    prefix: str = "veildesk"
    region: str = "us-east-1"
    ca_file: Path | None = None
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the store's tables lie. `database` is a libpq connection string; absent: SQLite in state_dir.

    `password_file` holds the database password, if one is needed. `files` is the folder of large sealed
    parts, shared by all gateways on the database, or `s3` a bucket for them; absent: files/ in state_dir.
    """

    database: str | None = None
    password_file: Path | None = None
    files: Path | None = None
    s3: S3Config | None = None


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """OpenMetrics on a Unix socket, for a collector on this machine."""

    socket: Path = Path("run/metrics.sock")


def check_store_config(store: StoreConfig | None) -> None:
    """Raises `ConfigInvalid`."""
    if store is None or store.s3 is None:
        return
    if store.database is None:
        raise ConfigInvalid(
            "[store.s3]: only with [store] database; a store in SQLite keeps its files beside it"
        )
    if store.files is not None:
        raise ConfigInvalid("[store] files: either a folder or [store.s3], not both")
    s3 = store.s3
    _check_endpoint(s3)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", s3.bucket):
        raise ConfigInvalid("[store.s3] bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", s3.prefix):
        raise ConfigInvalid("[store.s3] prefix: letters, digits, '-' and '_', with '/' between")
    if not re.fullmatch(r"[A-Za-z0-9-]+", s3.region):
        raise ConfigInvalid("[store.s3] region: a name such as eu-central-1")
    if not 1 <= s3.timeout_seconds <= 300:
        raise ConfigInvalid("[store.s3] timeout_seconds: from 1 to 300")


def _check_endpoint(s3: S3Config) -> None:
    expected = "[store.s3] endpoint: expected an address such as https://s3.example.org"
    try:
        url = urlsplit(s3.endpoint)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise ConfigInvalid(expected) from None
    if url.scheme not in ("https", "http") or not host or url.path not in ("", "/") or url.query:
        raise ConfigInvalid(expected)
    if url.username is not None or url.password is not None or url.fragment:
        raise ConfigInvalid("[store.s3] endpoint: an address only; keys belong into files")
    if host.endswith(".onion"):
        raise ConfigInvalid("[store.s3] endpoint: no onion; let a port on loopback lead there, and name that")
    if url.scheme == "http" and not _loopback(host):
        raise ConfigInvalid("[store.s3] endpoint: http is for loopback only; use https")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
