"""The world around the gateway that survives every crash: who sends, who receives, and the ledger of both."""

from __future__ import annotations

import hashlib
import io
import os
import smtplib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from PIL import Image

__all__ = ["Feeder", "Sink", "free_port", "wait_until"]

SUPPORT = "support@gateway.test"
_LARGE = 300_000


def _noise() -> bytes:
    """A picture that does not shrink."""
    side = int((_LARGE / 3) ** 0.5)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(out, "PNG")
    return out.getvalue()


class Sink:
    """The users' mail server. Counts each Message-ID and notes when its bytes ever differ."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.recipients: Counter[str] = Counter()
        self.changed = 0
        self._bytes: dict[str, str] = {}
        self.port = free_port()
        self._controller = Controller(self, "127.0.0.1", self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep what arrived."""
        name = message_from_bytes(envelope.content)["Message-ID"]
        digest = hashlib.sha256(envelope.content).hexdigest()
        self.changed += self._bytes.setdefault(name, digest) != digest
        if not self.received[name]:
            self.recipients[envelope.rcpt_tos[0]] += 1
        self.received[name] += 1
        return "250 OK"

    @property
    def repeated(self) -> int:
        """How often a mail came again."""
        return sum(count - 1 for count in self.received.values())

    def close(self) -> None:
        """Stop."""
        self._controller.stop()


class Feeder(threading.Thread):
    """Sends numbered mails, each again until somebody said 250; that is when it counts.

    `smtp` is Postfix's port, or `lmtp` the gateway's. Nothing is sent while `full()`. With `large` two of
    three mails have a file, so that a store keeps them as one: a picture that is passed on, or what is not.
    """

    def __init__(
        self,
        *,
        smtp: int = 0,
        lmtp: int = 0,
        pause: float = 0.05,
        prefix: str = "",
        full: Callable[[], bool] = lambda: False,
        large: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self._smtp, self._lmtp = smtp, lmtp
        self._pause = pause
        self._prefix = prefix
        self._full = full
        self._large = large
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        number = 0
        while not self._ended.is_set():
            if self._full():
                self._ended.wait(0.1)
                continue
            token = f"token-{self._prefix}-{number}"
            if self._send(token):
                self.acknowledged.append(token)
                number += 1
                self._ended.wait(self._pause)
            else:
                self._ended.wait(0.1)

    def compose(self, token: str) -> bytes:
        """The mail."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = f"{token}@users.test", SUPPORT, "Help"
        mail["Message-ID"] = f"<{token}@users.test>"
        mail.set_content(f"My wallet shows nothing since this morning. {token}\n")
        if self._large and (number := int(token.rpartition("-")[2])) % 3:
            kind, content = ("png", _noise()) if number % 3 == 1 else ("octet-stream", os.urandom(_LARGE))
            main = "image" if kind == "png" else "application"
            mail.add_attachment(content, main, kind, filename=f"file.{kind}")
        return mail.as_bytes()

    def _send(self, token: str) -> bool:
        content = self.compose(token)
        try:
            kind = smtplib.LMTP if self._lmtp else smtplib.SMTP
            with kind("127.0.0.1", self._lmtp or self._smtp, timeout=20) as client:
                client.sendmail(f"{token}@users.test", [SUPPORT], content)
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        self.join(60)


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Any, seconds: float) -> bool:
    """Whether `ready()` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.05)
    return bool(ready())
