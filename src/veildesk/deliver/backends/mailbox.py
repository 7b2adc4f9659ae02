"""Any helpdesk that reads mail: tickets go to its address, agents' answers come to a mailbox of ours.

Reply-To carries the thread, an opaque token that only the helpdesk gets to see. A mail server cannot be
asked whether it has a message already; a mark in our own mailbox says so, and a crash just between sending
and marking sends the same Message-ID once more, which most helpdesks drop.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import aiosmtplib

from veildesk.core.errors import BackendRefused, BackendUnavailable, ConfigInvalid, VeildeskError
from veildesk.core.ports import Engine
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)
from veildesk.deliver.answer_box import AnswerBox
from veildesk.deliver.answer_lmtp import AnswerListener
from veildesk.deliver.answer_proof import PROOFS, AnswerProof
from veildesk.deliver.http import read_secret
from veildesk.deliver.settings import Settings, token
from veildesk.mail.agent import compose_ticket, read_agent_reply
from veildesk.mail.parse import parse_mail
from veildesk.mail.thread import is_automatic

__all__ = ["MailboxBackend", "from_config"]

_log = logging.getLogger("veildesk.deliver")
_PATIENCE: Final = 60.0
_KNOWN: Final = {
    *("host", "port", "security", "user", "password_file", "from", "to", "answers", "domain", "ca_file"),
    *("imap_host", "imap_port", "imap_user", "imap_password_file", "agents", "authserv"),
    *("lmtp", "proof", "agent_keys"),
}


def from_config(name: str, settings: Mapping[str, Any]) -> MailboxBackend:
    """Make the connector from `[backends.NAME]`; see docs/helpdesks/mailbox.md."""
    read = Settings(name, settings, _KNOWN)
    ca_file = settings.get("ca_file")
    context = ssl.create_default_context(cafile=str(Path(settings["base"]) / ca_file) if ca_file else None)
    security = read.text("security", "starttls")
    if security not in ("tls", "starttls", "plain"):
        raise read.wrong("security", "tls, starttls or plain")
    if security == "plain" and read.text("host") not in ("127.0.0.1", "::1", "localhost"):
        raise read.wrong("security", "tls or starttls; plain is for loopback only")
    answers = read.text("answers")
    if answers.count("@") != 1 or "+" in answers:
        raise read.wrong("answers", "an address whose server delivers name+anything@ to it")
    proof = _proof(read)
    box = AnswerBox(
        read.text("imap_host"),
        read.whole("imap_port", 993),
        read.text("imap_user"),
        read_secret(name, settings, "imap_password_file"),
        context,
    )
    smtp = {
        "hostname": read.text("host"),
        "port": read.whole("port", 25),
        "use_tls": security == "tls",
        "start_tls": security == "starttls",
        "tls_context": context if security != "plain" else None,
        "username": read.text("user", "") or None,
        "password": read_secret(name, settings, "password_file") if "password_file" in settings else None,
        "timeout": 60,
    }
    if read.places(read.text("to"))[1:]:
        raise ConfigInvalid(
            f"[backends.{name}]: a route's place is not possible; add a second mailbox backend"
        )
    return MailboxBackend(
        name,
        smtp,
        box,
        sender=read.text("from"),
        recipient=read.text("to"),
        answers=answers,
        domain=read.text("domain"),
        proof=proof,
        lmtp=_listens_at(read),
    )


def _proof(read: Settings) -> AnswerProof:
    agents = frozenset(word.lower() for word in read.words("agents"))
    if not agents:
        raise read.wrong("agents", "addresses or domains that may answer")
    authserv = read.text("authserv", "")
    kinds = frozenset(read.words("proof")) or frozenset({"results"} if authserv else ())
    if not kinds <= set(PROOFS):
        raise read.wrong("proof", f"a list of {', '.join(PROOFS)}")
    if "results" in kinds and not authserv:
        raise read.wrong("authserv", "the name your mail server writes its results under")
    certificates: tuple[bytes, ...] = ()
    if "signature" in kinds:
        folder = Path(read.values["base"]) / read.text("agent_keys")
        certificates = tuple(path.read_bytes() for path in sorted(folder.glob("*.asc")))
        if not certificates:
            raise read.wrong("agent_keys", "a folder with agents' public keys, NAME.asc")
    return AnswerProof(agents, authserv, kinds, certificates)


def _listens_at(read: Settings) -> str:
    place = read.text("lmtp", "")
    if place.startswith("unix:"):
        return "unix:" + str(Path(read.values["base"]) / place.removeprefix("unix:"))
    host, _, port = place.rpartition(":")
    if place and (host.strip("[]") not in ("127.0.0.1", "::1") or not port.isdigit()):
        raise read.wrong("lmtp", "unix:PATH, 127.0.0.1:PORT or [::1]:PORT")
    return place


class MailboxBackend:
    """Implements `core.ports.Backend` over SMTP and IMAP."""

    def __init__(
        self,
        name: str,
        smtp: Mapping[str, Any],
        box: AnswerBox,
        *,
        sender: str,
        recipient: str,
        answers: str,
        domain: str,
        proof: AnswerProof,
        lmtp: str = "",
    ) -> None:
        self.name = name
        self._smtp = dict(smtp)
        self._box = box
        self._sender = sender
        self._recipient = recipient
        self._local, _, self._answers_domain = answers.partition("@")
        self._domain = domain
        self._proof = proof
        self._lmtp = lmtp
        self._engine: Engine | None = None
        self._pending: dict[str, int] = {}
        self._handed: dict[str, tuple[AgentReply, asyncio.Future[bool]]] = {}
        self._nudge: Callable[[], None] = lambda: None
        self._turn = asyncio.Lock()
        form = rf"{re.escape(self._local)}\+([a-z0-9]{{8,64}})@{re.escape(self._answers_domain)}"
        self._thread = re.compile(form.encode(), re.IGNORECASE)

    async def check(self) -> list[CheckResult]:
        """Log in to the mailbox; greet the mail server."""
        place = f"backend.{self.name}"
        results = []
        for title, act, fix in (
            ("mailbox for answers", self._check_box, "correct imap_host, imap_user and imap_password_file"),
            ("mail server", self._check_smtp, "correct host, port, security, user and password_file"),
        ):
            try:
                await act()
            except VeildeskError as error:
                results.append(CheckResult(f"{place}.{title}", title, Level.FAIL, error.detail, fix=fix))
            else:
                results.append(CheckResult(f"{place}.{title}", title, Level.OK))
        kinds = ", ".join(sorted(self._proof.kinds)) or "nothing"
        fix = "" if self._proof.kinds else "set authserv, or let nobody outside the team send to this mailbox"
        level = Level.OK if self._proof.kinds else Level.WARN
        title = "answers are proven to be the team's"
        results.append(CheckResult(f"{place}.proof", title, level, f"by {kinds}", fix=fix))
        return results

    async def _check_box(self) -> None:
        await self._in_box(self._box.check)

    async def _check_smtp(self) -> None:
        try:
            async with aiosmtplib.SMTP(**self._smtp) as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError):
            raise BackendUnavailable("smtp") from None

    async def _in_box(self, act: Any, *arguments: Any) -> Any:
        async with self._turn:
            return await asyncio.to_thread(act, *arguments)

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Send unless it is marked as sent. `ref` is the thread's first message id."""
        key, thread = token(entry.key), token(entry.thread)
        own_id = f"{thread}.{key[:8]}@{self._domain}"
        first = await self._in_box(self._box.first_sent, thread)
        if await self._in_box(self._box.was_sent, own_id):
            return Delivered(first or own_id, fresh=False)
        mail = compose_ticket(
            entry,
            sender=self._sender,
            recipient=self._recipient,
            message_id=own_id,
            in_reply_to=first,
            reply_to=f"{self._local}+{thread}@{self._answers_domain}",
        )
        await self._send(mail.replace(b"\n", b"\r\n"))
        await self._in_box(self._box.mark_sent, own_id)
        return Delivered(first or own_id)

    async def _send(self, wire: bytes) -> None:
        try:
            async with aiosmtplib.SMTP(**self._smtp) as client:
                options = [] if wire.isascii() else ["BODY=8BITMIME"]
                await client.sendmail(self._sender, [self._recipient], wire, mail_options=options)
        except aiosmtplib.SMTPResponseException as error:
            if 500 <= error.code < 600 and not isinstance(error, aiosmtplib.SMTPAuthenticationError):
                raise BackendRefused(f"smtp-{error.code}") from None
            raise BackendUnavailable(f"smtp-{error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            kind = BackendRefused if codes and min(codes) >= 500 else BackendUnavailable
            raise kind("smtp-recipient") from None
        except (aiosmtplib.SMTPException, OSError):
            raise BackendUnavailable("smtp") from None

    # -------------------------------------------------------------------- out
    def verify_with(self, engine: Engine) -> None:
        """What checks agents' signatures."""
        self._engine = engine

    async def listen(self, nudge: Callable[[], None]) -> None:
        """Take answers by LMTP if that is switched on."""
        self._nudge = nudge
        if not self._lmtp:
            return

        def ours(address: str) -> bool:
            return self._thread.fullmatch(address.encode("utf-8", "replace")) is not None

        await AnswerListener(self._lmtp, self._domain, ours, self.take).run()

    async def take(self, raw: bytes, sender: str, recipient: str) -> bool:
        """Keep one mail that was handed over; True once it lies sealed in the spool, or put aside.

        What no agent wrote is put aside rather than refused: a refusal would become a bounce to an address
        that nobody has proven.
        """
        reply = await self._read(raw, sender=sender, recipient=recipient)
        if reply is None:
            _log.warning("answer-refused backend=%s", self.name)
            await self._in_box(self._box.put_aside, raw)
            return True
        if reply.reply_id in self._handed:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._handed[reply.reply_id] = (reply, done)
        self._nudge()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await done
        finally:
            self._handed.pop(reply.reply_id, None)

    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Mails handed over or in the box that agents wrote to a thread's address; others are put aside."""
        for handed, _ in list(self._handed.values()):
            yield handed
        for uid, raw in await self._in_box(self._box.waiting):
            reply = await self._read(raw)
            if reply is None:
                _log.warning("answer-refused backend=%s", self.name)
                await self._in_box(self._box.refuse, uid)
                continue
            self._pending[reply.reply_id] = uid
            yield reply

    async def _read(
        self, raw: bytes, *, sender: str | None = None, recipient: str | None = None
    ) -> AgentReply | None:
        try:
            mail = await asyncio.to_thread(parse_mail, raw)
            proven = None if is_automatic(mail) else await self._proof.proven(raw, sender, self._engine)
            if proven is None:
                return None
            fields = (*mail.values("To"), *mail.values("Cc"), *mail.values("Delivered-To"))
            if recipient is not None:
                fields = (recipient.encode(),)
            threads = self._threads(fields)
            signed = await asyncio.to_thread(parse_mail, proven[0]) if proven[0] is not raw else None
            answer = await asyncio.to_thread(read_agent_reply, proven[0])
        except VeildeskError:
            # One mail that cannot be read must not hold up the others.
            return None
        if len(threads) != 1 or not (answer.text.strip() or answer.files):
            return None
        meant = (*signed.values("To"), *signed.values("Cc")) if signed is not None else ()
        if meant and not threads <= self._threads(meant):
            # Signed for somebody else, and sent here by whoever had it in between.
            return None
        thread = threads.pop()
        return AgentReply(thread, f"{proven[1]}{thread[:8]}", "", answer.text, answer.files)

    def _threads(self, fields: Iterable[bytes]) -> set[str]:
        return {found.decode().lower() for value in fields for found in self._thread.findall(value)}

    async def acknowledge(self, reply: AgentReply) -> None:
        """Say so to who handed it over, or remove the mail: it lies sealed in the spool now."""
        _, handed = self._handed.get(reply.reply_id, (None, None))
        if handed is not None and not handed.done():
            handed.set_result(True)
        uid = self._pending.pop(reply.reply_id, None)
        if uid is not None:
            await self._in_box(self._box.remove, uid)

    def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Answers bring their files with them."""
        raise BackendRefused("no-such-file")

    async def update(self, ref: str, change: TicketChange) -> None:
        """Mail has no place for any of it."""

    async def erase(self, ref: str, thread: str) -> Erased:
        """Our own mailbox is emptied; what was sent cannot be called back."""
        await self._in_box(self._box.forget, token(thread))
        return Erased.UNSUPPORTED
