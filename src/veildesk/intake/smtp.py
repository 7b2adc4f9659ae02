"""The listener: LMTP on a Unix socket or a loopback port (default), or SMTP.

It bounds sessions and bytes in flight, and it ends in order: no new mail, acceptances under way are
finished and answered or left to the client's next try. See `veildesk.intake.smtp_session` for the
protocol itself. Nothing about a mail or an address is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from veildesk.core.errors import ConfigInvalid, ListenerUnavailable
from veildesk.core.limits import Limits
from veildesk.core.ports import Intake
from veildesk.core.submission import Channel
from veildesk.intake.acceptance import Acceptance, EarlyCheck
from veildesk.intake.byte_budget import ByteBudget
from veildesk.intake.quiet import silence_foreign_loggers
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp_session import MailSession, SessionRules

__all__ = ["Listener", "ListenerSettings"]

log = logging.getLogger("veildesk.intake")


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Where and how to listen.

    `hostname` is the fixed name in greetings. `path` (a Unix socket, created with `socket_mode`) or
    `host` and `port` (0 picks a free one) say where. `bytes_in_flight` bounds the raw size of all
    unfinished mails together; each is in memory once until it is kept, with lines of ours in front twice.
    `timeout` is seconds of silence before a client is dropped (RFC 5321 § 4.5.3.2).
    """

    hostname: str
    channel: Channel = Channel.LMTP
    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    socket_mode: int = 0o660
    max_sessions: int = 50
    bytes_in_flight: int = 128 * 1024 * 1024
    timeout: float = 300.0


class _Busy(asyncio.Protocol):
    """Sends one connection away for now."""

    def __init__(self, hostname: str) -> None:
        self._reply = f"421 4.3.2 {hostname} Too many connections, try again later\r\n".encode("ascii")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._reply)
        transport.close()


class Listener:
    """One listening socket and its sessions.

    After `start`, exactly one of `port` and `path` says where it listens. Raises `ConfigInvalid` at
    construction for settings that cannot work.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        intake: Intake,
        limits: Limits,
        recipients: Recipients,
        secret: bytes,
        *,
        early_check: EarlyCheck | None = None,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        if settings.channel not in (Channel.LMTP, Channel.SMTP):
            raise ConfigInvalid("listener-channel")
        if settings.bytes_in_flight < limits.mail_size:
            raise ConfigInvalid("bytes-in-flight-below-mail-size")
        self.port: int | None = None
        self.path: Path | None = None
        self._settings = settings
        self._acceptance = Acceptance(intake, settings.channel, secret, early_check)
        self._sessions: set[MailSession] = set()
        self._server: asyncio.Server | None = None
        self._rules = SessionRules(
            channel=settings.channel,
            hostname=settings.hostname,
            recipients=recipients,
            acceptance=self._acceptance,
            mail_size=limits.mail_size,
            timeout=settings.timeout,
            tls_context=tls_context,
            budget=ByteBudget(settings.bytes_in_flight),
            joined=self._sessions.add,
            left=self._sessions.discard,
        )

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    @property
    def bytes_held(self) -> int:
        """Bytes of unfinished mails in memory."""
        return self._rules.budget.used

    async def start(self) -> None:
        """Listen. Raises `ListenerUnavailable` if the address cannot be bound."""
        silence_foreign_loggers()
        try:
            await self._bind()
        except OSError as error:
            why = (error.strerror or type(error).__name__).partition(":")[0]
            channel = self._settings.channel.value
            raise ListenerUnavailable(f"[{channel}] listen: {os.strerror(error.errno or 0) or why}") from None
        log.info("listening channel=%s", self._settings.channel.value)

    async def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        factory = self._factory(loop)
        if self._settings.path is not None:
            listening = _unix_socket(self._settings.path, self._settings.socket_mode)
            self._server = await loop.create_unix_server(factory, sock=listening, backlog=128)
            self.path = self._settings.path
        else:
            self._server = await loop.create_server(
                factory, self._settings.host, self._settings.port, backlog=128
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self, grace: float = 10.0) -> None:
        """Stop listening, let acceptances under way end (at most `grace` seconds), drop the sessions."""
        if self._server is None:
            return
        await _stop_accepting(self._server)
        for session in list(self._sessions):
            if session.idle.is_set():
                session.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                for session in list(self._sessions):
                    await session.idle.wait()
                await self._acceptance.drain()
        for session in list(self._sessions):
            session.hang_up()
        await self._server.wait_closed()
        self._server = None
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        log.info("closed channel=%s", self._settings.channel.value)

    def _factory(self, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Protocol]:
        def make() -> asyncio.Protocol:
            if len(self._sessions) >= self._settings.max_sessions:
                log.warning("too-many-sessions")
                return _Busy(self._settings.hostname)
            return MailSession(self._rules, loop)

        return make


async def _stop_accepting(server: asyncio.Server) -> None:
    """Close the listening sockets; who was let in just before has a session by then.

    A connection that asyncio has accepted and not yet given to a session when the server closes stays open
    without a word until the process ends (CPython 3.11), and its client waits for a greeting as long.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):  # The task that accepts, the call that connects, the session's first step.
        await asyncio.sleep(0)
    server.close()


def _unix_socket(path: Path, mode: int) -> socket.socket:
    """A bound Unix socket with its final permissions before anyone can connect."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(mode)
    except OSError:
        listening.close()
        raise
    return listening
