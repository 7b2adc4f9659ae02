"""One message on its way in, as its stages hand it on, and the clean entry that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from veildesk.attachments.finish import finish
from veildesk.core.contact import Contact
from veildesk.core.finding import MaskNumbering
from veildesk.core.message import OpenedMessage
from veildesk.core.ports import Cleaned
from veildesk.core.submission import PortalEntry
from veildesk.core.ticket import File, TicketEntry
from veildesk.core.work import Work
from veildesk.mail.charset import clean_text
from veildesk.mail.quotes import divide
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.redact.apply import redact_text
from veildesk.redact.rules import RuleSet
from veildesk.service.protection import mail_notices, protection_line
from veildesk.service.trust import Learned

__all__ = ["Item", "clean_entry", "needed"]

_T = TypeVar("_T")
_QUOTED = "Quoted text of earlier messages at the end was left out."


@dataclass(frozen=True, slots=True)
class Item:
    """One message on its way in. Each stage returns a copy with one more field filled.

    `fresh` says that its ticket came with it and that the store holds nothing else of it yet.
    """

    work: Work
    raw: bytes = field(repr=False)
    message: OpenedMessage | None = field(default=None, repr=False)
    portal: PortalEntry | None = field(default=None, repr=False)
    learned: Learned | None = field(default=None, repr=False)
    before: Contact | None = field(default=None, repr=False)
    files: tuple[Cleaned, ...] = field(default=(), repr=False)
    entry: TicketEntry | None = field(default=None, repr=False)
    numbering: MaskNumbering | None = field(default=None, repr=False)
    extension: str = ""
    remarks: tuple[str, ...] = ()
    waits: bool = False
    fresh: bool = False


def needed(value: _T | None) -> _T:
    """What an earlier stage filled in. Raises `LookupError` if it did not run."""
    if value is None:
        raise LookupError("a stage ran before the one it builds on")
    return value


def clean_entry(item: Item, numbering: MaskNumbering, replies: ReplyAddresses, rules: RuleSet) -> TicketEntry:
    """Redact text, subject, file names and text files. Runs in a thread: it is CPU work."""
    counts: dict[str, int] = {}
    kept = item.portal.kept if item.portal else ()
    own_words = item.portal.own_words if item.portal else ()
    confirmed = item.portal.confirmed if item.portal else ()

    def mask(text: str) -> str:
        masked = redact_text(
            replies.cut(text), numbering, rules=rules, own_words=own_words, kept=kept, confirmed=confirmed
        )
        for name, count in masked.counts.items():
            counts[name] = counts.get(name, 0) + count
        return masked.text

    message = item.message
    if item.portal is not None:
        counts.update(item.portal.counts)
    own, left_out = (
        (clean_text(item.portal.text), ()) if item.portal else _own_text(needed(message), item.before)
    )
    text = mask(own)
    subject = mask(message.subject) if message else ""
    files, notices = _finished(item.files, mask)
    notices = [*item.remarks, *left_out, *notices]
    if message is not None:
        notices += mail_notices(message)
    return TicketEntry(
        thread=item.work.ticket_id,
        key=item.work.message_id,
        subject=subject or "Support request",
        text=text,
        queue=item.work.queue,
        topic=item.portal.topic if item.portal else "",
        language=item.portal.language if item.portal else "",
        protection=protection_line(message, item.before, item.learned.contact if item.learned else None),
        removed=counts,
        notices=tuple(notices),
        files=tuple(files),
    )


def _own_text(message: OpenedMessage, before: Contact | None) -> tuple[str, tuple[str, ...]]:
    """The text without the quotation at its end that only repeats what the ticket holds already."""
    sections = divide(message.text) if before is not None and not message.automatic else None
    if sections is None or not sections.quoted or not sections.own:
        return message.text, ()
    signature = f"\n\n-- \n{sections.signature}" if sections.signature else ""
    return sections.own + signature, (_QUOTED,)


def _finished(cleaned: Sequence[Cleaned], mask: Callable[[str], str]) -> tuple[list[File], list[str]]:
    """Files as agents get them, and a line for each that was left out or lost something."""
    files, notices = [], []
    for one in cleaned:
        done = finish(one, mask)
        if done.content is None:
            notices.append(f"Attachment {done.name} not passed on: {done.refused}")
            continue
        kind = "text/plain" if done.text else done.media_type
        files.append(File(done.name, kind, done.content))
        if done.removed:
            notices.append(f"Removed from {done.name}: {', '.join(done.removed)}")
    return files, notices
