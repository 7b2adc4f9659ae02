"""The store's former name, kept for callers that only know SQLite."""

from veildesk.spool.store import SqlSpool as SqliteSpool

__all__ = ["SqliteSpool"]
