"""The session that says this gateway is alive: advisory locks, a heartbeat, and wake-ups by NOTIFY.

PostgreSQL drops a session's advisory locks when the session ends, so whoever holds the lock of a name is
alive, however long it was stopped. When the session breaks, another gateway may take this one's claims:
`lost` is called at once and this gateway must do nothing more.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

__all__ = ["CHANNEL", "Sentinel"]

CHANNEL = "veildesk"
_BEAT, _TURN = 1.0, 0.25
# A host that vanished without a word must be noticed by the server in seconds, and the gateway must
# notice a vanished server before the server gives its locks away.
_SERVER_SIDE = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 3",
    "SET tcp_keepalives_count = 5",
    "SET statement_timeout = '4s'",
    "SET idle_session_timeout = 0",
)


class Sentinel:
    """Holds the lock of `owner` on `connection`, which is its own from now on."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        connection.autocommit = True
        self._connection = connection
        self.owner = secrets.token_hex(8)
        for statement in _SERVER_SIDE:
            connection.execute(statement)
        key = int.from_bytes(bytes.fromhex(self.owner), "big", signed=True)
        connection.execute("SELECT pg_advisory_lock(%s)", [key])
        connection.execute(f"LISTEN {CHANNEL}")
        self._leases: set[str] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Watch in a thread of its own."""
        self._thread = threading.Thread(
            target=self._watch, args=(changed, lost), name="veildesk-sentinel", daemon=True
        )
        self._thread.start()

    def lease(self, name: str) -> bool:
        """Try to take the lease `name`; kept as long as the session."""
        with self._lock:
            if name in self._leases:
                return True
            if self._closed.is_set():
                return False
            # Two-number locks are another key space than the owners' one-number locks.
            number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big", signed=True)
            try:
                row = self._connection.execute(
                    "SELECT pg_try_advisory_lock(%s, %s)", [0x6C65, number]
                ).fetchone()
            except psycopg.Error:
                return False
            if row is not None and row[0]:
                self._leases.add(name)
                return True
            return False

    def _watch(self, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        beat = 0.0
        while not self._closed.is_set():
            try:
                # In short turns, so that a lease can be asked for in between.
                with self._lock:
                    heard = list(self._connection.notifies(timeout=_TURN, stop_after=1))
                    if time.monotonic() >= beat:
                        self._connection.execute("SELECT 1")
                        beat = time.monotonic() + _BEAT
            except psycopg.Error:
                if not self._closed.is_set():
                    lost("ownership-lost")
                return
            if any(note.payload != self.owner for note in heard):
                changed()
            self._closed.wait(0.001)

    def close(self) -> None:
        """End the session."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)
        self._connection.close()
