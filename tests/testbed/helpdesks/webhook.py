"""The small receiver of deploy/helpdesk/webhook as a process, and an agent at its database."""

from __future__ import annotations

import base64
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from testbed.helpdesks.waiting import stop
from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.webhook import Webhook, from_config

RECEIVER = Path(__file__).parents[3] / "deploy" / "helpdesk" / "webhook" / "receiver.py"


def encoded(kind: str, raw: bytes) -> str:
    return f"{kind}_{base64.b64encode(raw).decode()}"


@dataclass
class WebhookServer:
    home: Path
    url: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.home / "desk.sqlite"

    def command(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        name, *rest = words
        command = [sys.executable, str(RECEIVER), name, "--db", str(self.database), *rest]
        return subprocess.run(command, capture_output=True, timeout=60, check=True)


def make_keys(home: Path, kind: str) -> Path:
    """Our key in `home/key`; returns the file with what the receiver needs of it."""
    if kind == "hmac":
        (home / "key").write_text(encoded("whsec", secrets.token_bytes(32)))
        return home / "key"
    private = Ed25519PrivateKey.generate()
    (home / "key").write_text(encoded("whsk", private.private_bytes_raw()))
    (home / "public").write_text(encoded("whpk", private.public_key().public_bytes_raw()))
    return home / "public"


@contextmanager
def webhook_server(home: Path, kind: str = "hmac") -> Iterator[WebhookServer]:
    server = WebhookServer(home)
    key = make_keys(home, kind)
    (home / "hints").write_text(encoded("whsec", secrets.token_bytes(32)))
    command = [sys.executable, str(RECEIVER), "serve", "--db", str(server.database)]
    command += ["--key-file", str(key), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        server.url = process.stdout.readline().decode().strip()
        server.settings = {
            "base": str(home),
            "url": server.url,
            "key_file": "key",
            "webhook_file": "hints",
            "queue": "support",
        }
        yield server
    finally:
        stop(process)
        process.stdout.close()


class WebhookDesk:
    erases = Erased.GONE

    def __init__(self, server: WebhookServer, backend: Webhook) -> None:
        self.server, self.backend = server, backend

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.server.database, timeout=20)) as base, base:
            return base.execute(query, values).fetchall()

    async def texts(self, thread: str) -> list[str]:
        query = (
            "SELECT text FROM messages m JOIN tickets t ON t.id = m.ticket WHERE thread = ? AND author = ?"
        )
        return [text for (text,) in self.rows(query + " ORDER BY m.id", thread, "person")]

    async def files(self, thread: str) -> list[bytes]:
        query = (
            "SELECT content FROM files f JOIN messages m ON m.id = f.message "
            "JOIN tickets t ON t.id = m.ticket "
            "WHERE thread = ? AND author = 'person' ORDER BY f.id"
        )
        return [content for (content,) in self.rows(query, thread)]

    def add(self, thread: str, text: str, *, public: bool, kind: str, files: Sequence[File] = ()) -> None:
        with closing(sqlite3.connect(self.server.database, timeout=20)) as base, base:
            (ticket,) = base.execute("SELECT id FROM tickets WHERE thread = ?", (thread,)).fetchone()
            row = (ticket, "agent", public, kind, text)
            query = "INSERT INTO messages (ticket, author, public, type, text) VALUES (?, ?, ?, ?, ?)"
            number = base.execute(query, row).lastrowid
            for file in files:
                query = "INSERT INTO files (message, name, type, content) VALUES (?, ?, ?, ?)"
                base.execute(query, (number, file.name, file.media_type, file.content))

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        kind = "text/html" if html else "text/plain"
        self.add(thread, html or text, public=True, kind=kind, files=files)

    async def note(self, thread: str, text: str) -> None:
        self.add(thread, text, public=False, kind="text/plain")

    async def close_ticket(self, thread: str) -> None:
        self.rows("UPDATE tickets SET open = 0 WHERE thread = ?", thread)

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        return bool(self.rows("SELECT open FROM tickets WHERE thread = ?", thread)[0][0])

    def leftovers(self, needle: bytes) -> int:
        return sum(path.read_bytes().count(needle) for path in self.server.home.glob("desk.sqlite*"))


@asynccontextmanager
async def webhook_desk(server: WebhookServer, **changes: Any) -> AsyncIterator[WebhookDesk]:
    backend = from_config("webhook", {**server.settings, **changes})
    try:
        yield WebhookDesk(server, backend)
    finally:
        await backend.close()
