"""Mails a statement to every subscriber, each alone, signed, with the exact signed text attached."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from veildesk.core.errors import SendFailed, SendRefused
from veildesk.core.notice import Board, Kind, Notice, PublishedNotice
from veildesk.core.ports import Clock, Engine, Mailer
from veildesk.core.ticket import File
from veildesk.mail.compose import Draft, signable_entity, wrap_signed
from veildesk.notices.archive import replace_file
from veildesk.notices.distribution import ChannelFailed
from veildesk.notices.subscribers import Subscribers
from veildesk.notices.text import HEADINGS

__all__ = ["MailChannel", "MailSettings", "mail_text"]


@dataclass(frozen=True, slots=True)
class MailSettings:
    """`address` is the subscription address, from which notices come; `signer` signs the mails."""

    address: str
    name: str
    domain: str
    signer: str
    footer: str
    secret: bytes = field(repr=False)


def mail_text(item: PublishedNotice, stop: str, address: str) -> str:
    """What a subscriber reads: every language of the notice, action first, and how to leave."""
    lines: list[str] = []
    content = item.statement.content
    if isinstance(content, Notice):
        for language, words in content.words.items():
            lines += [words.title, f"{content.state.value}, {content.severity.value}", ""]
            for name, heading in HEADINGS[language].items():
                if text := getattr(words, name):
                    lines += [f"{heading}:", text, ""]
    else:
        lines += [f"New signed statement: {item.kind.value}.", "Read the attached text.", ""]
    lines += [
        f"The signed text is attached: notice-{item.number}.asc, sha256 {item.sha256}",
        "",
        "To get no more of these, send this line to " + address + ":",
        stop,
    ]
    return "\n".join(lines) + "\n"


class MailChannel:
    """`folder` remembers who got what, by record id."""

    name = "mail"
    seconds = 3600.0

    def __init__(
        self,
        settings: MailSettings,
        subscribers: Subscribers,
        engine: Engine,
        mailer: Mailer | None,
        clock: Clock,
        folder: Path,
    ) -> None:
        self._settings = settings
        self._subscribers = subscribers
        self._engine = engine
        self._mailer = mailer
        self._clock = clock
        self._folder = folder

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """See `Channel.deliver`. Who has it already is not written to again."""
        if item.kind is Kind.CANARY:
            return "canaries are not mailed"
        if self._mailer is None:
            raise ChannelFailed("no outgoing server is configured: add [outgoing]")
        sent = refused = waiting = 0
        for record, address in self._subscribers.all():
            mark = self._folder / f"{item.number:06d}" / record
            if mark.exists():
                sent += 1
                continue
            try:
                await self._mailer.send(
                    await self._mail(item, record, address), self._settings.address, address
                )
                sent += 1
            except SendRefused:
                refused += 1
            except SendFailed:
                waiting += 1
                continue
            await asyncio.to_thread(replace_file, mark, b"", 0o600)
        said = f"{sent} mailed" + (f", {refused} refused" if refused else "")
        if waiting:
            raise ChannelFailed(f"{said}, {waiting} waiting for the mail server")
        return said

    async def _mail(self, item: PublishedNotice, record: str, address: str) -> bytes:
        settings = self._settings
        # The same mail after a crash has the same id, so that it can be recognised as the same.
        tag = hmac.digest(settings.secret, f"message|{item.number}|{record}".encode(), "sha256")[:16].hex()
        stop = self._subscribers.stop_token(address)
        content = item.statement.content
        title = content.title if isinstance(content, Notice) else item.kind.value
        draft = Draft(
            sender=settings.address,
            sender_name=settings.name,
            recipient=address,
            subject=f"[notice {item.number}] {title}",
            text=mail_text(item, stop, settings.address),
            message_id=f"{tag}@{settings.domain}",
            moment=self._clock.now(),
            files=(File(f"notice-{item.number}.asc", "text/plain", item.signed_text.encode()),),
            automatic=True,
            footer=settings.footer,
        )
        inner = signable_entity(draft)
        signature = await self._engine.sign_detached(inner, settings.signer)
        return wrap_signed(draft, inner, signature)
