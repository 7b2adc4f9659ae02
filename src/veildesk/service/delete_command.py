"""A signed mail that says nothing but "delete my ticket" deletes its ticket. Pure.

Only the key that the ticket knows may say it: an address can be forged, and nobody may delete for others. The
signature has to be of these days and not older than the ticket: somebody who captured the command for one
ticket could otherwise send it again to another of the same person.
"""

from __future__ import annotations

from typing import Final

from veildesk.core.contact import Contact
from veildesk.core.message import OpenedMessage, Scope, Verdict
from veildesk.mail.quotes import without_quotes

__all__ = ["COMMANDS", "is_delete_command"]

COMMANDS: Final = frozenset({"delete my ticket", "удалить обращение"})


_DAY = 86400
_DAYS_ON_THE_WAY: Final = 7


def is_delete_command(message: OpenedMessage, before: Contact | None, now: int) -> bool:
    """Whether the whole own text is the command, wholly signed by the key the ticket knows, and lately."""
    if before is None or before.signer is None or message.automatic or message.attachments:
        return False
    text = " ".join(without_quotes(message.text).split()).strip(" .!").lower()
    if text not in COMMANDS:
        return False
    whole = [s for s in message.signatures if s.scope is Scope.WHOLE]
    if len(whole) != 1 or len(message.signatures) != 1:
        return False
    begun = before.history[0].day * _DAY if before.history else 0
    return (
        whole[0].verdict is Verdict.VALID
        and whole[0].bound_to_from
        and whole[0].fingerprint == before.signer
        and (whole[0].created or 0) >= max(begun, now - _DAYS_ON_THE_WAY * _DAY)
    )
