"""One SMTP (RFC 5321) or LMTP (RFC 2033) session on top of aiosmtpd.

Only CRLF "." CRLF ends a mail; whatever else looks like an end stays content, or is refused where a
client from anywhere may speak. LMTP gives one reply for each recipient. Memory is bounded before it is
used: what does not fit is read to its end, thrown away and refused for now. Replies carry enhanced
status codes (RFC 2034) and never an address, a header or the text of an exception.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope

from veildesk.core.errors import LimitExceeded, VeildeskError
from veildesk.core.submission import Accepted, Channel
from veildesk.intake.acceptance import Acceptance
from veildesk.intake.byte_budget import ByteBudget
from veildesk.intake.mail_data import has_bare_line_end, mail_pieces
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp_address import NULL_PATH, parse_path

__all__ = ["MailSession", "SessionRules"]

log = logging.getLogger("veildesk.intake")

_STEP = 64 * 1024
_MAX_RECIPIENTS = 100
_BUSY = "452 4.3.1 Too much mail at once; please try again later."
_UNKNOWN = "550 5.1.1 There is no such address here."
_BARE = "550 5.5.2 Lines must end in CR LF; nothing was kept."
_FAULT = "451 4.3.0 Something went wrong here; please try again later."
_CONTROL = re.compile(r"[^\x20-\x7e]")
# Replies that aiosmtpd gives without an enhanced status code.
_ENHANCED = {
    "221": "2.0.0",
    "250": "2.0.0",
    "252": "2.5.0",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "530": "5.7.0",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.7.0",
    "555": "5.5.4",
}
_BARE_REPLY = re.compile(r"([245]\d\d) (?!\d\.\d{1,3}\.\d{1,3} )")


class _Refused(Exception):
    """The transaction ends with this reply for every recipient."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What all sessions of a listener share. `mail_size` in bytes, `timeout` in seconds of silence.

    `joined` and `left` are told when a session begins and ends.
    """

    channel: Channel
    hostname: str
    recipients: Recipients
    acceptance: Acceptance
    mail_size: int
    timeout: float
    tls_context: ssl.SSLContext | None
    budget: ByteBudget
    joined: Callable[[MailSession], None] = field(repr=False)
    left: Callable[[MailSession], None] = field(repr=False)


def _common(replies: list[str]) -> str:
    """SMTP's one reply: kept only if kept for all; "later" goes before "never"."""
    return max(replies, key=lambda reply: "254".index(reply[0]))


class _Hooks:
    """What aiosmtpd asks its handler; every answer is the session's own."""

    def __dir__(self) -> tuple[str, ...]:
        """aiosmtpd looks for hooks and AUTH methods among all names, anew for each connection."""
        return ("handle_MAIL", "handle_RCPT", "handle_exception")

    async def handle_MAIL(  # noqa: N802
        self, server: MailSession, _session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        return server.admit_sender(envelope, address, options)

    async def handle_RCPT(  # noqa: N802
        self, server: MailSession, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        return server.admit_recipient(envelope, address)

    async def handle_exception(self, error: Exception) -> str:
        log.error("session-fault kind=%s", type(error).__name__)
        return _FAULT


class MailSession(SMTP):
    """A connection of one client. `idle` is set unless a whole mail waits for its answer."""

    def __init__(self, rules: SessionRules, loop: asyncio.AbstractEventLoop) -> None:
        # aiosmtpd keeps this table on the class, where sessions would raise each other's limits.
        self.command_size_limits = defaultdict(lambda: 1000)
        self._rules = rules
        self._lmtp = rules.channel is Channel.LMTP
        self._share = rules.budget.share()
        self._keeping: asyncio.Task[Accepted] | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        super().__init__(
            _Hooks(),
            data_size_limit=rules.mail_size,
            enable_SMTPUTF8=True,
            hostname=rules.hostname,
            ident="LMTP" if self._lmtp else "ESMTP",
            tls_context=rules.tls_context,
            timeout=rules.timeout,
            loop=loop,
        )

    def __dir__(self) -> tuple[str, ...]:
        """The commands, which is what aiosmtpd looks for; nobody logs in here."""
        return _COMMANDS

    # ------------------------------------------------------------------ connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the listener; after STARTTLS this is called a second time."""
        super().connection_made(transport)
        self._rules.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Leave the listener and give memory back; not that of a mail which is still being kept."""
        self._let_go()
        self.idle.set()
        self._rules.left(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        """End the session from our side."""
        if self.transport is not None:
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        """Send one reply line, with an enhanced status code and without anything that could split it."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        match = _BARE_REPLY.match(text)
        if match and match[1] in _ENHANCED:
            text = f"{match[1]} {_ENHANCED[match[1]]} {text[match.end() :]}"
        await super().push(_CONTROL.sub("?", text))

    # ------------------------------------------------------------------ commands

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        """HELO, in SMTP only."""
        if self._lmtp:
            await self.push("500 5.5.1 This is LMTP: say LHLO")
        elif not hostname:
            await self.push("501 5.5.4 Syntax: HELO hostname")
        else:
            self._begin(hostname, extended=False)
            await super().push(f"250 {self.hostname}")

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        """EHLO, in SMTP only."""
        if self._lmtp:
            await self.push("500 5.5.1 This is LMTP: say LHLO")
        else:
            await self._greet("EHLO", hostname)

    async def smtp_LHLO(self, hostname: str | None) -> None:  # noqa: N802
        """LHLO (RFC 2033 § 4.1), in LMTP only."""
        if self._lmtp:
            await self._greet("LHLO", hostname)
        else:
            await self.push("500 5.5.1 This is SMTP: say EHLO")

    async def _greet(self, command: str, hostname: str | None) -> None:
        if not hostname:
            await self.push(f"501 5.5.4 Syntax: {command} hostname")
            return
        self._begin(hostname, extended=True)
        words = [f"SIZE {self._rules.mail_size}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
        if self._rules.tls_context is not None and self._tls_protocol is None:
            words.append("STARTTLS")
        words.append("ENHANCEDSTATUSCODES")
        lines = [f"250-{self.hostname}", *(f"250-{word}" for word in words[:-1]), f"250 {words[-1]}"]
        await super().push("\r\n".join(lines))

    def _begin(self, hostname: str, *, extended: bool) -> None:
        assert self.session is not None
        self._forget()
        self.session.extended_smtp = extended
        self.session.host_name = hostname

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Nobody logs in here."""
        await self.push("502 5.5.1 AUTH is not offered")

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802
        """Say nothing about addresses (RFC 5321 § 7.3)."""
        await self.push("252 2.5.0 Send some mail and see")

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        """Say nothing about the software."""
        await self.push("214 2.0.0 See RFC 5321")

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        parsed = parse_path(arg)
        return parsed if parsed is not None else (None, None)

    async def smtp_RSET(self, arg: str | None) -> None:  # noqa: N802
        """Forget the transaction."""
        if arg:
            await self.push("501 5.5.4 Syntax: RSET")
            return
        self._forget()
        await self.push("250 2.0.0 OK")

    def _forget(self) -> None:
        self._let_go()
        self.envelope = self._create_envelope()

    def _let_go(self) -> None:
        share, keeping = self._share, self._keeping
        if keeping is None or keeping.done():
            share.release()
            return
        # Nobody waits for it any more, but it has its mail in memory until it ends.
        keeping.add_done_callback(lambda _: share.release())
        self._share, self._keeping = self._rules.budget.share(), None

    def _begun(self, keeping: asyncio.Task[Accepted]) -> None:
        self._keeping = keeping

    def admit_sender(self, envelope: Envelope, address: str, options: list[str]) -> str:
        """The reply to MAIL; a declared size that has no room now is refused for now (RFC 1870 § 6.1)."""
        for option in options:
            name, _, value = option.partition("=")
            if name == "SIZE" and not self._rules.budget.has_room(int(value)):
                return _BUSY
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    def admit_recipient(self, envelope: Envelope, address: str) -> str:
        """The reply to RCPT. In SMTP all recipients of a transaction share one queue.

        SMTP has one reply for all of them, which could not tell apart what was kept and what was
        refused; 452 makes the client send to the others in a transaction of their own
        (RFC 5321 § 4.5.3.1.10).
        """
        queue = self._rules.recipients.queue_for(address)
        if queue is None:
            return _UNKNOWN
        accepted = envelope.rcpt_tos
        if len(accepted) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if not self._lmtp and accepted and self._rules.recipients.queue_for(accepted[0]) != queue:
            return "452 4.5.3 Please send to this address separately"
        accepted.append(address)
        return "250 2.1.5 OK"

    # ------------------------------------------------------------------ mail

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """Receive a mail, keep it, and answer: once (SMTP), or once per recipient (RFC 2033 § 4.2)."""
        if await self.check_helo_needed("LHLO" if self._lmtp else "EHLO"):
            return
        assert self.envelope is not None
        recipients = list(self.envelope.rcpt_tos)
        if not recipients:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        null_sender = self.envelope.mail_from == NULL_PATH
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            raw = await self._receive()
            self.idle.clear()
            replies = await self._dispose(raw, recipients, null_sender=null_sender)
        except _Refused as refused:
            replies = [refused.reply] * len(recipients)
        finally:
            self._forget()
        try:
            for reply in replies if self._lmtp else [_common(replies)]:
                await self.push(reply)
        finally:
            self.idle.set()

    async def _receive(self) -> bytes:
        """Read up to the end mark. Raises `_Refused`."""
        mail = io.BytesIO()  # Gives its bytes away without a copy.
        refused: str | None = None
        bare = False
        size = read = 0
        async for piece in mail_pieces(self._reader):
            read += len(piece)
            if refused is None:
                refused = self._no_room(size + len(piece))
                if refused is None:
                    size += mail.write(piece)
                    bare = bare or has_bare_line_end(piece)
                    continue
                mail = io.BytesIO()
            elif read > 2 * self._rules.mail_size + _STEP:
                self.hang_up()
                break
        if refused is not None:
            raise _Refused(refused)
        if bare and not self._lmtp:
            raise _Refused(_BARE)
        return mail.getvalue()

    def _no_room(self, size: int) -> str | None:
        """Why `size` bytes cannot be held, None if they can."""
        if size > self._rules.mail_size:
            return LimitExceeded("size").smtp_reply
        if size <= self._share.held:
            return None
        self._reset_timeout()
        step = min(self._share.held + _STEP, self._rules.mail_size)
        return None if self._share.cover(max(size, step)) else _BUSY

    async def _dispose(self, raw: bytes, recipients: list[str], *, null_sender: bool) -> list[str]:
        """Check and keep a mail, once for each queue; the reply for each recipient, in order."""
        outcome: dict[str, str] = {}
        replies = []
        for recipient in recipients:
            queue = self._rules.recipients.queue_for(recipient)
            if queue is None:
                replies.append(_UNKNOWN)
                continue
            extension = self._rules.recipients.extension_of(recipient)
            refusal = await self._rules.acceptance.refusal(
                raw, recipient, null_sender=null_sender, extension=extension
            )
            if refusal is not None:
                log.info("mail-refused code=%s", refusal.code)
                replies.append(refusal.smtp_reply)
                continue
            if queue not in outcome:
                outcome[queue] = await self._keep(raw, queue, null_sender=null_sender, extension=extension)
            replies.append(outcome[queue])
        return replies

    async def _keep(self, raw: bytes, queue: str, *, null_sender: bool, extension: str) -> str:
        try:
            accepted = await self._rules.acceptance.keep(
                raw, queue, null_sender=null_sender, extension=extension, begun=self._begun
            )
        except VeildeskError as error:
            log.warning("mail-not-kept code=%s", error.code)
            return error.smtp_reply
        log.info("mail-kept fresh=%s", accepted.fresh)
        return "250 2.0.0 Kept"


_COMMANDS = tuple(name for name in dir(MailSession) if name.startswith("smtp_"))
