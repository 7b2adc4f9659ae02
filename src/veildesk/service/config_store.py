"""Sections of the configuration about the store and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["MetricsConfig", "StoreConfig"]


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the store's tables lie. `database` is a libpq connection string; absent: SQLite in state_dir.

    `password_file` holds the database password, if one is needed. `files` is the folder of large sealed
    parts, shared by all gateways on the database; absent: files/ in state_dir.
    """

    database: str | None = None
    password_file: Path | None = None
    files: Path | None = None


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """OpenMetrics on a Unix socket, for a collector on this machine."""

    socket: Path = Path("run/metrics.sock")
