"""What the gateway makes of a mail, told from its structure and from what opening it found. Pure."""

from __future__ import annotations

from veildesk.core.errors import MailRefused, NotSoundCiphertext, Undecryptable, VeildeskError
from veildesk.core.message import Disposition, OpenedMessage

__all__ = ["dispose", "dispose_failed"]


def dispose(message: OpenedMessage) -> tuple[Disposition, str]:
    """The disposition of an opened mail and a fixed word for the reason, "" when there is none.

    A signed mail that names several authors, or one that programs read differently, is put aside:
    whoever signed it, it could be read as written by somebody else.
    """
    if message.signatures and "ambiguous-sender" in message.notes:
        return Disposition.QUARANTINE, "ambiguous-sender"
    if message.automatic:
        return Disposition.AUTOMATIC, "through-a-list" if "through-a-list" in message.notes else "automatic"
    if "smime-unsupported" in message.notes and not message.text:
        return Disposition.TICKET, "smime-unsupported"
    if message.references:
        return Disposition.REPLY, "answers-a-message"
    return Disposition.TICKET, ""


def dispose_failed(error: VeildeskError) -> tuple[Disposition, str]:
    """The disposition of a mail that could not be opened or read."""
    if isinstance(error, MailRefused):
        return Disposition.REFUSE, error.code
    if isinstance(error, (Undecryptable, NotSoundCiphertext)):
        return Disposition.QUARANTINE, error.code
    return Disposition.QUARANTINE, "internal"
