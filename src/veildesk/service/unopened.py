"""A mail that none of our keys opens: it stays in quarantine, and the agents are told that it came.

Without that, who encrypts to an old key would wait for an answer that nobody knows is wanted. Nothing of the
mail goes on but the fact; the sender is told nothing by a program, for nobody has proven to be the sender. An
agent may answer: no key is known, so the person gets the note that asks for one.
"""

from __future__ import annotations

from veildesk.core.contact import Contact
from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.ticket import TicketEntry
from veildesk.core.work import Reason, Work
from veildesk.mail.headers import effective_headers
from veildesk.mail.parse import parse_mail
from veildesk.mail.thread import is_automatic

__all__ = ["unopened_contact", "unopened_entry"]

_TEXTS = {
    Reason.UNDECRYPTABLE: "An encrypted mail came that none of our keys opens. Its sender may have an old "
    "key of ours, or encrypted to somebody else.",
    Reason.INTEGRITY: "An encrypted mail came that is damaged or not protected against changes, and was "
    "therefore not opened.",
}


def unopened_contact(raw: bytes, limits: Limits, *, null_sender: bool) -> Contact | None:
    """Whom an answer would go to, by the outer header; None for automatic mail and unclear senders."""
    try:
        outer = parse_mail(raw, limits)
    except VeildeskError:
        return None
    headers = effective_headers(outer)
    if headers.reply_address is None or is_automatic(outer, return_path="" if null_sender else None):
        return None
    references = tuple(one for one in (headers.message_id,) if one)
    return Contact(
        headers.reply_address,
        "",
        wrote_encrypted=True,
        references=references,
        author=headers.from_address or "",
        received=references,
    )


def unopened_entry(work: Work, key: str, reason: Reason) -> TicketEntry:
    """What the agents get instead of the mail. `key` is another than that of the mail itself."""
    return TicketEntry(
        thread=work.ticket_id,
        key=key,
        subject="A mail that could not be opened",
        text=f"{_TEXTS[reason]} It is kept aside: 'veildesk spool list' shows it to the operator, and it is "
        "delivered here if it can be opened later.\n",
        queue=work.queue,
        protection="Mail: encrypted; not opened",
    )
