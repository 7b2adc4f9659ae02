"""Mail between the gateway and agents: clean tickets out to a mailbox, answers back.

A ticket mail has no field that comes from the user's mail but the subject. An answer is read with the
same bounded parser as strangers' mail; quotations of the ticket are cut, since decrypted text must
never be quoted back without a person meaning it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from veildesk.core.limits import Limits
from veildesk.core.shown import shown
from veildesk.core.ticket import File, TicketEntry
from veildesk.mail.charset import clean_text
from veildesk.mail.headers import is_placeholder_subject
from veildesk.mail.names import default_name, safe_name
from veildesk.mail.parse import parse_mail
from veildesk.mail.quotes import without_quotes
from veildesk.mail.text import read_body
from veildesk.mail.thread import references
from veildesk.mail.wire import (
    address_field,
    body_base64,
    coarse_date,
    disposition_field,
    field_line,
    id_field,
    text_field,
)

__all__ = ["AgentAnswer", "compose_ticket", "read_agent_reply"]

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_MAX_LINE = 900


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """An agent's answer: ids it answers (no angle brackets, oldest first), own text, files."""

    references: tuple[str, ...]
    text: str = field(repr=False)
    files: tuple[File, ...] = ()


def compose_ticket(
    entry: TicketEntry,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    in_reply_to: str | None = None,
    day: int | None = None,
    reply_to: str | None = None,
) -> bytes:
    """One clean ticket as a mail with LF line ends, as a Maildir keeps it.

    Ids come without angle brackets. The body begins with what was done to the message, then the text.
    Lines are 8-bit UTF-8 and shorter than 998 bytes. Raises `SendRefused` for unfit header values.
    """
    fields = [
        ("From", address_field(sender)),
        ("To", address_field(recipient)),
        ("Subject", text_field(_subject(entry.subject))),
        ("Message-ID", id_field(message_id)),
    ]
    if reply_to is not None:
        # Answers by machines would come back here; who heeds this sends none.
        fields += [("Reply-To", address_field(reply_to)), ("X-Auto-Response-Suppress", "All")]
    if day is not None:
        fields.append(("Date", coarse_date(day * 86400)))
    if in_reply_to is not None:
        fields += [("In-Reply-To", id_field(in_reply_to)), ("References", id_field(in_reply_to))]
    fields.append(("MIME-Version", "1.0"))
    boundary = f"=veildesk-{entry.key}="
    if entry.files:
        fields.append(("Content-Type", f'multipart/mixed; boundary="{boundary}"'))
    head = b"".join(field_line(name, value) for name, value in fields)
    text = (
        field_line("Content-Type", "text/plain; charset=utf-8")
        + field_line("Content-Transfer-Encoding", "8bit")
        + b"\r\n"
        + _body(entry).encode("utf-8", "replace").replace(b"\n", b"\r\n")
    )
    if not entry.files:
        return (head + text).replace(b"\r\n", b"\n")
    mark = b"\r\n--" + boundary.encode("ascii")
    parts = b"".join(mark + b"\r\n" + part for part in (text, *map(_file, entry.files)))
    return (head + parts + mark + b"--\r\n").replace(b"\r\n", b"\n")


def _subject(subject: str) -> str:
    """One line; what only stands in for a hidden subject is none."""
    line = " ".join(subject.split())
    return "(no subject)" if is_placeholder_subject(line) else line


def _body(entry: TicketEntry) -> str:
    lines = clean_text(shown(entry)).rstrip("\n").split("\n")
    return "\n".join(piece for line in lines for piece in _pieces(line)) + "\n"


def _pieces(line: str) -> list[str]:
    """A line cut so that no piece is longer than a mail line may be."""
    if len(line) <= _MAX_LINE // 4 or len(line.encode("utf-8", "replace")) <= _MAX_LINE:
        return [line]
    return [line[n : n + _MAX_LINE // 4] for n in range(0, len(line), _MAX_LINE // 4)]


def _file(item: File) -> bytes:
    media_type = item.media_type.lower() if _MEDIA_TYPE.fullmatch(item.media_type.lower()) else ""
    if not media_type or media_type.startswith(("multipart/", "message/")):
        media_type = "application/octet-stream"
    return b"".join(
        (
            field_line("Content-Type", media_type),
            field_line("Content-Transfer-Encoding", "base64"),
            field_line("Content-Disposition", disposition_field(safe_name(item.name))),
            b"\r\n",
            body_base64(item.content).removesuffix(b"\r\n"),
        )
    )


def read_agent_reply(raw: bytes, limits: Limits | None = None) -> AgentAnswer:
    """Read an answer. Raises `LimitExceeded` or `Unparsable`."""
    root = parse_mail(raw, limits)
    body = read_body(root, limits=limits)
    files = tuple(
        File(safe_name(part.filename, default_name(part.media_type, n)), part.media_type, part.content)
        for n, part in enumerate(body.attachments, 1)
    )
    return AgentAnswer(references(root), without_quotes(body.text), files)
