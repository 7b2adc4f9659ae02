"""Fetches mail from an IMAP folder: keep first, then move; never delete.

A mail is moved to the processed folder only after `Intake.accept` has returned. If the process ends in
between, the mail is fetched again and known by its digest; the same holds when the server renumbers
the folder (UIDVALIDITY). What can never be kept goes to the failed folder, whole, for a person to see.
Losing the server is normal: the poller comes back by itself and `state` says how things stand.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from dataclasses import dataclass, field, replace

from veildesk.core.errors import ConfigInvalid, LimitExceeded, VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.ports import Intake
from veildesk.core.submission import Channel
from veildesk.intake.acceptance import Acceptance, EarlyCheck
from veildesk.intake.imap_connection import Disconnected, ImapConnection
from veildesk.intake.quiet import silence_foreign_loggers
from veildesk.intake.return_path import has_null_return_path

__all__ = ["ImapPoller", "ImapSettings", "ImapState"]

log = logging.getLogger("veildesk.intake")

# After so many mails in a row that cannot be kept now, the spool is taken to be the reason.
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """An account and how to treat it. Times in seconds, sizes in bytes.

    `idle` is the longest wait before the server must show that it is still there; `timeout` bounds each
    single command. After a failure the poller waits `backoff_first`, doubling up to `backoff_last`.
    `address` is what an early check is told as recipient.
    """

    host: str
    user: str
    password: str = field(repr=False)
    port: int = 993
    queue: str = "support"
    address: str = ""
    folder: str = "INBOX"
    processed: str = "Processed"
    failed: str = "Failed"
    idle: float = 240.0
    timeout: float = 30.0
    chunk: int = 1024 * 1024
    backoff_first: float = 1.0
    backoff_last: float = 300.0


@dataclass(frozen=True, slots=True)
class ImapState:
    """How the poller stands. `error` is a fixed word, empty when all is well."""

    connected: bool = False
    kept: int = 0
    failed: int = 0
    connections: int = 0
    error: str = ""


class ImapPoller:
    """One account, polled until cancelled.

    `tls_context` must verify certificates and host names, else `ConfigInvalid` is raised.
    `secret` keys the digests that recognise a mail; see `Acceptance`.
    """

    def __init__(
        self,
        settings: ImapSettings,
        intake: Intake,
        limits: Limits,
        secret: bytes,
        tls_context: ssl.SSLContext,
        *,
        early_check: EarlyCheck | None = None,
    ) -> None:
        if tls_context.verify_mode is not ssl.CERT_REQUIRED or not tls_context.check_hostname:
            raise ConfigInvalid("imap-tls-unverified")
        self._settings = settings
        self._limits = limits
        self._context = tls_context
        self._acceptance = Acceptance(intake, Channel.IMAP, secret, early_check)
        self._state = ImapState()
        self._changed = asyncio.Condition()
        # Where mails go that were dealt with but not yet moved, for one numbering of the folder.
        self._to_move: dict[int, str] = {}
        self._numbering = 0

    @property
    def state(self) -> ImapState:
        """What is known now."""
        return self._state

    async def wait_connected(self, timeout: float) -> None:
        """Return when the folder is open. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: self._state.connected)

    async def run(self) -> None:
        """Poll until cancelled; an acceptance under way is finished first."""
        silence_foreign_loggers()
        delay = self._settings.backoff_first
        try:
            while True:
                before = self._state.connections
                error = await self._attempt()
                if self._state.connections > before:
                    delay = self._settings.backoff_first
                log.warning("imap-interrupted code=%s", error)
                await self._note(replace(self._state, connected=False, error=error))
                await asyncio.sleep(delay * random.uniform(0.7, 1.0))  # noqa: S311
                delay = min(delay * 2, self._settings.backoff_last)
        finally:
            self._state = replace(self._state, connected=False)
            await self._acceptance.drain()

    async def _attempt(self) -> str:
        """One connection from beginning to end; the word that says why it ended."""
        try:
            await self._session()
        except Disconnected as error:
            return str(error)
        except VeildeskError as error:
            return error.detail or error.code
        except Exception as error:
            log.error("imap-fault kind=%s", type(error).__name__)
            return "fault"
        return "ended"

    async def _note(self, state: ImapState) -> None:
        async with self._changed:
            self._state = state
            self._changed.notify_all()

    async def _session(self) -> None:
        settings = self._settings
        connection = await ImapConnection.open(
            settings.host, settings.port, settings.user, settings.password, self._context, settings.timeout
        )
        try:
            await connection.ensure_folder(settings.processed)
            await connection.ensure_folder(settings.failed)
            await connection.select(settings.folder)
            if connection.uid_validity != self._numbering:
                self._to_move.clear()
                self._numbering = connection.uid_validity
            state = self._state
            await self._note(replace(state, connected=True, connections=state.connections + 1, error=""))
            while True:
                await self._sweep(connection)
                await connection.wait_news(settings.idle)
        except Disconnected:
            connection.abort()
            raise
        except BaseException:
            await connection.close()
            raise

    async def _sweep(self, connection: ImapConnection) -> None:
        """Handle all mails there are. One that cannot be kept now does not hold up those behind it."""
        postponed: list[VeildeskError] = []
        for uid in await connection.unhandled():
            try:
                await self._handle(connection, uid)
            except VeildeskError as error:
                postponed.append(error)
                if len(postponed) == _PATIENCE:
                    break
        if postponed:
            raise postponed[0]

    async def _handle(self, connection: ImapConnection, uid: int) -> None:
        """Keep one mail, then move it. Raises when nothing can be kept now."""
        if uid not in self._to_move:
            try:
                kept = await self._keep(connection, uid)
            except VeildeskError as error:
                if error.temporary:
                    raise
                log.warning("mail-failed code=%s", error.code)
                kept = False
            if kept is None:
                return
            self._to_move[uid] = self._settings.processed if kept else self._settings.failed
            state = self._state
            await self._note(
                replace(state, kept=state.kept + 1) if kept else replace(state, failed=state.failed + 1)
            )
        await connection.move(uid, self._to_move[uid])
        del self._to_move[uid]

    async def _keep(self, connection: ImapConnection, uid: int) -> bool | None:
        """True when kept, None when the mail is gone. Raises the reason why it is not kept."""
        most = self._limits.mail_size
        size = await connection.size(uid)
        if size is None:
            return None
        if size > most:
            raise LimitExceeded("size")
        raw = await connection.fetch(uid, most, self._settings.chunk)
        if raw is None:
            return None
        if len(raw) > most:
            raise LimitExceeded("size")
        null_sender = has_null_return_path(raw)
        refusal = await self._acceptance.refusal(raw, self._settings.address, null_sender=null_sender)
        if refusal is not None:
            raise refusal
        accepted = await self._acceptance.keep(raw, self._settings.queue, null_sender=null_sender)
        log.info("mail-kept fresh=%s", accepted.fresh)
        return True
