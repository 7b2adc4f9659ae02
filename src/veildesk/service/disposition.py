"""What the gateway makes of a mail, told from its structure and from what opening it found. Pure."""

from __future__ import annotations

from veildesk.core.errors import MailRefused, NotSoundCiphertext, Undecryptable, Unparsable, VeildeskError
from veildesk.core.message import Disposition, OpenedMessage, Scope

__all__ = ["dispose", "dispose_failed", "nothing_open"]


def dispose(message: OpenedMessage) -> tuple[Disposition, str]:
    """The disposition of an opened mail and a fixed word for the reason, "" when there is none.

    A signed mail that names several authors, or one that programs read differently, is put aside:
    whoever signed it, it could be read as written by somebody else.
    """
    if nothing_open(message):
        return Disposition.REFUSE, Unparsable.code
    if message.signatures and "ambiguous-sender" in message.notes:
        return Disposition.QUARANTINE, "ambiguous-sender"
    if message.automatic:
        return Disposition.AUTOMATIC, "through-a-list" if "through-a-list" in message.notes else "automatic"
    if "smime-unsupported" in message.notes and not message.text:
        return Disposition.TICKET, "smime-unsupported"
    if message.references:
        return Disposition.REPLY, "answers-a-message"
    return Disposition.TICKET, ""


def nothing_open(message: OpenedMessage) -> bool:
    """Whether all of a mail is ciphertext that is not opened where it stands: a ticket would be empty."""
    closed = message.encryption.scope is Scope.PART
    return closed and not (message.text.strip() or message.attachments)


def dispose_failed(error: VeildeskError) -> tuple[Disposition, str]:
    """The disposition of a mail that could not be opened or read."""
    if isinstance(error, MailRefused):
        return Disposition.REFUSE, error.code
    if isinstance(error, (Undecryptable, NotSoundCiphertext)):
        return Disposition.QUARANTINE, error.code
    return Disposition.QUARANTINE, "internal"
