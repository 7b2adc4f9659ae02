"""One IMAP connection that never hangs (RFC 3501, RFC 2177, RFC 6851).

aioimaplib leaves three holes that are closed here: a lost connection wakes nobody, a farewell of the
server (BYE) looks like any line, and an announcement of new mail outside IDLE is dropped. Every command
races the loss of the connection and a time limit; on any doubt the connection is given up, for a new
one costs little and mails are only moved after they were kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

from aioimaplib import aioimaplib

from veildesk.core.errors import AuthenticationFailed, ConfigInvalid
from veildesk.intake.modified_utf7 import quoted_folder

__all__ = ["Disconnected", "ImapConnection"]

T = TypeVar("T")

_EXISTS = re.compile(rb"\* (\d+) EXISTS\b")
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_QUOTED = re.compile(rb'BODY\[\]<\d+> "((?:[^"\\]|\\.)*)"')


class Disconnected(Exception):
    """The connection is lost or cannot be trusted any more. Holds a fixed word, never server text."""


class _Protocol(aioimaplib.IMAP4ClientProtocol):
    """Tells when the connection ends and when the selected folder has news."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, self._ended)
        self.lost: asyncio.Future[str] = loop.create_future()
        self.news = asyncio.Event()

    def _ended(self, _error: Exception | None) -> None:
        self._lose("lost")

    def _lose(self, word: str) -> None:
        if not self.lost.done():
            self.lost.set_result(word)
        self.news.set()

    def _untagged_response(self, line: bytes) -> aioimaplib.Command:
        if _EXISTS.match(line):
            self.news.set()
        elif line.upper().startswith(b"* BYE"):
            self._lose("bye")
        return super()._untagged_response(line)


class _Client(aioimaplib.IMAP4_SSL):
    """IMAP over TLS from the first byte; there is no other way to make one."""

    protocol: _Protocol  # type: ignore[assignment]

    def create_client(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop | None,
        conn_lost_cb: object = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Begin to connect, with a protocol of our own."""
        if ssl_context is None or ssl_context.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigInvalid("imap-tls-unverified")
        running = asyncio.get_running_loop()
        self.protocol = _Protocol(running)
        self._client_task = running.create_task(
            running.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        )


class ImapConnection:
    """A logged-in connection with one folder selected. All times are seconds."""

    def __init__(self, client: _Client, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self.uid_validity = 0

    @classmethod
    async def open(
        cls, host: str, port: int, user: str, password: str, context: ssl.SSLContext, timeout: float
    ) -> ImapConnection:
        """Connect with verified TLS and log in.

        Raises `Disconnected`, or `AuthenticationFailed` if either side did not prove who it is.
        """
        if not context.check_hostname:
            raise ConfigInvalid("imap-tls-unverified")
        client = _Client(host, port, timeout=timeout, ssl_context=context)
        connection = cls(client, timeout)
        try:
            await connection._greeting()
            if client.protocol.state != aioimaplib.NONAUTH:
                raise Disconnected("preauth")
            reply = await connection._command(client.login(_quoted(user), password))
            if reply.result != "OK":
                raise AuthenticationFailed("imap-login")
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _greeting(self) -> None:
        try:
            await self._command(self._client.wait_hello_from_server())
        except ssl.SSLCertVerificationError:
            raise AuthenticationFailed("imap-certificate") from None
        except OSError:
            raise Disconnected("connect") from None

    async def _command(self, action: Awaitable[T], timeout: float | None = None) -> T:
        """Await a command, the loss of the connection, or the time limit, whichever comes first."""
        task = asyncio.ensure_future(action)
        lost = self._client.protocol.lost
        either: list[asyncio.Future[Any]] = [task, lost]
        try:
            await asyncio.wait(either, timeout=timeout or self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Disconnected(lost.result() if lost.done() else "silent")
            return task.result()
        except (aioimaplib.AioImapException, TimeoutError):
            raise Disconnected("refused-or-silent") from None
        finally:
            if not task.done():
                # Not awaited: it may wait for a lock that only `abort` sets free.
                task.add_done_callback(_forget)
                task.cancel()

    # ------------------------------------------------------------------ folders

    async def ensure_folder(self, name: str) -> None:
        """Make a folder unless it is there. Raises `ConfigInvalid` if that is not allowed."""
        folder = quoted_folder(name)
        if (await self._command(self._client.status(folder, "(UIDVALIDITY)"))).result == "OK":
            return
        await self._command(self._client.create(folder))
        if (await self._command(self._client.status(folder, "(UIDVALIDITY)"))).result != "OK":
            raise ConfigInvalid("imap-folder")
        await self._command(self._client.subscribe(folder))

    async def select(self, name: str) -> None:
        """Select a folder and learn its UIDVALIDITY. Raises `ConfigInvalid` if there is none."""
        reply = await self._command(self._client.select(quoted_folder(name)))
        if reply.result != "OK":
            raise ConfigInvalid("imap-folder")
        found = [match for line in reply.lines if (match := _UIDVALIDITY.search(bytes(line)))]
        self.uid_validity = int(found[-1][1]) if found else 0

    async def unhandled(self) -> list[int]:
        """UIDs of all mails that are not marked as deleted, oldest first.

        Clears the news flag first, so that what arrives during the search is seen afterwards.
        """
        await self._command(self._client.noop())
        self._client.protocol.news.clear()
        reply = await self._command(self._client.uid_search("UNDELETED", charset=None))
        if reply.result != "OK":
            raise Disconnected("search")
        words = [word for line in reply.lines[:-1] for word in bytes(line).split()]
        return sorted({int(word) for word in words if word.isdigit()})

    async def has_folder(self, name: str) -> bool:
        """Whether there is such a folder."""
        folder = quoted_folder(name)
        reply = await self._command(self._client.status(folder, "(UIDVALIDITY)"))
        return bool(reply.result == "OK")

    async def search(self, criteria: str) -> list[int]:
        """UIDs in the selected folder that meet search criteria (RFC 9051 § 6.4.4), ASCII only."""
        reply = await self._command(self._client.uid_search(criteria, charset=None))
        if reply.result != "OK":
            raise Disconnected("search")
        words = [word for line in reply.lines[:-1] for word in bytes(line).split()]
        return sorted({int(word) for word in words if word.isdigit()})

    async def expunge(self, uids: Sequence[int]) -> None:
        """Remove these mails and no others (RFC 4315). Raises `Disconnected` if the server cannot."""
        if not uids:
            return
        if not self._client.has_capability("UIDPLUS"):
            raise Disconnected("no-uidplus")
        those = ",".join(map(str, uids))
        await self._must_succeed(self._client.uid("store", those, "+FLAGS.SILENT", r"(\Deleted)"))
        await self._must_succeed(self._client.uid("expunge", those))

    # ------------------------------------------------------------------ mails

    async def size(self, uid: int) -> int | None:
        """RFC822.SIZE in bytes, None if the mail is gone."""
        reply = await self._command(self._client.uid("fetch", str(uid), "(RFC822.SIZE)"))
        for line in reply.lines[:-1]:
            if match := _SIZE.search(bytes(line)):
                return int(match[1])
        return None

    async def fetch(self, uid: int, most: int, chunk: int) -> bytes | None:
        """A mail in pieces of `chunk` bytes, unread state unchanged; None if it is gone.

        Reads at most one byte more than `most`, so that the caller sees a mail that is too large even
        if the server gave a wrong size.
        """
        mail = bytearray()
        while len(mail) <= most:
            wanted = min(chunk, most + 1 - len(mail))
            item = f"(BODY.PEEK[]<{len(mail)}.{wanted}>)"
            reply = await self._command(self._client.uid("fetch", str(uid), item))
            piece = _piece(reply.lines[:-1])
            if piece is None:
                return None if not mail else bytes(mail)
            mail += piece
            if len(piece) < wanted:
                break
        return bytes(mail)

    async def move(self, uid: int, folder: str) -> None:
        """Move a mail (RFC 6851); without MOVE copy it and mark the original as deleted.

        The original is expunged by its UID (RFC 4315) where that is possible, never with others.
        Raises `Disconnected` if the server refuses.
        """
        target = quoted_folder(folder)
        uids = str(uid)
        if self._client.has_capability("MOVE"):
            await self._must_succeed(self._client.uid("move", uids, target))
            return
        await self._must_succeed(self._client.uid("copy", uids, target))
        await self._must_succeed(self._client.uid("store", uids, "+FLAGS.SILENT", r"(\Deleted)"))
        if self._client.has_capability("UIDPLUS"):
            await self._must_succeed(self._client.uid("expunge", uids))

    async def _must_succeed(self, action: Awaitable[aioimaplib.Response]) -> None:
        if (await self._command(action)).result != "OK":
            raise Disconnected("move-refused")

    # ------------------------------------------------------------------ waiting

    async def wait_news(self, seconds: float) -> None:
        """Return when the folder may have changed, at the latest after `seconds`; uses IDLE if it can.

        Raises `Disconnected` if the server has gone, or does not answer afterwards.
        """
        protocol = self._client.protocol
        if protocol.news.is_set():
            return
        if not self._client.has_capability("IDLE"):
            await self._news_or(seconds)
            return
        idle = await self._command(self._client.idle_start(timeout=seconds + self._timeout))
        await self._news_or(seconds)
        self._client.idle_done()
        await self._command(idle)
        while not protocol.idle_queue.empty():
            protocol.idle_queue.get_nowait()

    async def _news_or(self, seconds: float) -> None:
        protocol = self._client.protocol
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(protocol.news.wait(), seconds)
        if protocol.lost.done():
            raise Disconnected(protocol.lost.result())

    # ------------------------------------------------------------------ end

    async def close(self) -> None:
        """Say goodbye if the server still listens, and end."""
        with contextlib.suppress(Disconnected, aioimaplib.AioImapException, OSError):
            if self._client.has_pending_idle():
                self._client.idle_done()
            await self._command(self._client.logout(), timeout=2.0)
        self.abort()

    def abort(self) -> None:
        """End at once."""
        waiter = cast("asyncio.TimerHandle | None", self._client._idle_waiter)
        if waiter is not None:
            waiter.cancel()
        connecting = self._client._client_task
        for task in (connecting, *self._client.tasks, *self._client.protocol.tasks):
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()
        transport = cast("asyncio.WriteTransport | None", self._client.protocol.transport)
        if transport is not None:
            transport.abort()


def _forget(task: asyncio.Future[Any]) -> None:
    """Mark the outcome of an abandoned command as seen."""
    if not task.cancelled():
        task.exception()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _piece(lines: list[bytes | bytearray]) -> bytes | None:
    """The body part of a FETCH response: a literal, or a quoted string (RFC 3501 § 4.3)."""
    for line in lines:
        if isinstance(line, bytearray):
            return bytes(line)
        if match := _QUOTED.search(line):
            return re.sub(rb"\\(.)", rb"\1", match[1])
    return None
