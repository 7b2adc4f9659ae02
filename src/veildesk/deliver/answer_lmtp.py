"""Agents' answers handed over by the team's mail server (LMTP, RFC 2033), one recipient at a time.

"250" is said only when the answer lies sealed in the spool; until then it stays with the mail server, which
tries again. Nothing of a mail is logged or kept here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiosmtpd.lmtp import LMTP

__all__ = ["AnswerListener"]

_MOST: Final = 36 * 1024 * 1024
_SESSIONS: Final = 10
Take = Callable[[bytes, str, str], Awaitable[bool]]


class AnswerListener:
    """Listens on `place` ("unix:PATH" or "HOST:PORT" on loopback).

    `ours` says whether an address is one of a thread; `take` gets the mail, envelope sender and recipient,
    and returns False when it could not be kept now.
    """

    def __init__(self, place: str, hostname: str, ours: Callable[[str], bool], take: Take) -> None:
        self._place = place
        self._hostname = hostname
        self._ours = ours
        self._take = take
        self._sessions = 0
        self.port = 0

    async def run(self) -> None:
        """Listen until cancelled. Raises `OSError` for an address in use."""
        # aiosmtpd logs addresses.
        logging.getLogger("mail.log").disabled = True
        loop = asyncio.get_running_loop()
        kind, _, rest = self._place.partition(":")
        if kind == "unix":
            path = Path(rest)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            path.unlink(missing_ok=True)
            server = await loop.create_unix_server(self._session, path)
            path.chmod(0o660)
        else:
            host, _, port = self._place.rpartition(":")
            server = await loop.create_server(self._session, host.strip("[]"), int(port))
            self.port = server.sockets[0].getsockname()[1]
        async with server:
            await loop.create_future()

    def _session(self) -> LMTP:
        return LMTP(self, hostname=self._hostname, ident="", data_size_limit=_MOST, timeout=300)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """One recipient for each mail: LMTP answers for each of them, and each is another ticket."""
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"
        if not self._ours(address):
            return "550 5.1.1 No such address"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the mail, or leave it with its sender for now."""
        if self._sessions >= _SESSIONS:
            return "451 4.3.2 Busy, try again later"
        self._sessions += 1
        kept = False
        try:
            with contextlib.suppress(TimeoutError):
                kept = await self._take(
                    bytes(envelope.content or b""), envelope.mail_from or "", envelope.rcpt_tos[0]
                )
        finally:
            self._sessions -= 1
        return "250 2.0.0 Taken over" if kept else "451 4.3.0 Not kept, try again later"
