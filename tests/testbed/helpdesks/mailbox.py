"""A helpdesk that reads mail: a mailbox that agents answer from with their mail program."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from testbed.mail_servers import MailServers
from veildesk.core.ticket import Delivered, Erased, File, TicketEntry
from veildesk.deliver.backends.mailbox import MailboxBackend, from_config

DESK, ANSWERS = "desk@users.test", "answers@users.test"
RESULTS = "mx.users.test; dkim=pass (2048-bit) header.d=users.test header.s=k1"


class InTurn(MailboxBackend):
    """Each mail lies in the box before the next one goes: Postfix delivers what waits side by side."""

    servers: MailServers

    async def deliver(self, entry: TicketEntry) -> Delivered:
        done = await super().deliver(entry)
        await drained(self.servers)
        return done


async def drained(servers: MailServers) -> None:
    for _ in range(400):
        if not servers.queued():
            return
        await asyncio.sleep(0.05)


class MailboxDesk:
    erases = Erased.UNSUPPORTED

    def __init__(self, servers: MailServers, backend: MailboxBackend) -> None:
        self.servers, self.backend = servers, backend

    def mails(self, thread: str) -> list[EmailMessage]:
        found = [message_from_bytes(raw, policy=policy.default) for raw in self.servers.messages(DESK)]
        return [mail for mail in found if f"+{thread}@" in mail.get("Reply-To", "")]

    async def _settled(self, thread: str) -> list[EmailMessage]:
        """Postfix has taken the mails; wait until they lie in the box."""
        await drained(self.servers)
        return await asyncio.to_thread(self.mails, thread)

    async def texts(self, thread: str) -> list[str]:
        return [mail.get_body(("plain",)).get_content() for mail in await self._settled(thread)]

    async def files(self, thread: str) -> list[bytes]:
        parts = [part for mail in await self._settled(thread) for part in mail.iter_attachments()]
        return [part.get_payload(decode=True) for part in parts]

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        mail = EmailMessage()
        mail["Authentication-Results"] = RESULTS
        mail["From"], mail["Subject"] = "agent@users.test", "Re: it"
        mail["To"] = (await self._settled(thread))[-1]["Reply-To"]
        if html:
            mail.set_content(html, subtype="html")
        else:
            mail.set_content(text)
        for file in files:
            main, _, sub = file.media_type.partition("/")
            mail.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
        await self.send(mail)

    async def send(self, mail: EmailMessage) -> None:
        before = len(self.servers.messages(ANSWERS))
        await asyncio.to_thread(self._send, mail)
        await asyncio.to_thread(self.servers.wait_messages, ANSWERS, before + 1, seconds=30)

    def _send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.servers.smtp_port, timeout=30) as client:
            client.send_message(mail, mail["From"], [mail["To"]])

    async def note(self, thread: str, text: str) -> None:
        raise NotImplementedError

    async def close_ticket(self, thread: str) -> None:
        raise NotImplementedError

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        return True

    def leftovers(self, needle: bytes) -> int:
        return sum(raw.count(needle) for box in (DESK, ANSWERS) for raw in self.servers.messages(box))


@asynccontextmanager
async def mailbox_desk(servers: MailServers, folder: Any, **changes: Any) -> AsyncIterator[MailboxDesk]:
    settings = {
        "base": str(folder),
        "host": "127.0.0.1",
        "port": servers.smtp_port,
        "security": "plain",
        "from": "tickets@users.test",
        "to": DESK,
        "answers": ANSWERS,
        "domain": "gateway.test",
        "imap_host": "localhost",
        "imap_port": servers.imap_port,
        "imap_user": ANSWERS,
        "imap_password_file": str(servers.password_file(ANSWERS)),
        "ca_file": str(servers.tls_ca),
        "agents": ["users.test"],
        "authserv": "mx.users.test",
        **changes,
    }
    backend = from_config("mailbox", settings)
    backend.__class__ = InTurn
    backend.servers = servers
    yield MailboxDesk(servers, backend)
