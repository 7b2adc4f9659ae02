"""Whether it is certain whom an agent's answer is meant for."""

from __future__ import annotations

from veildesk.core.contact import Contact, decode_contact
from veildesk.core.ports import Spool
from veildesk.core.ticket import AgentReply
from veildesk.core.work import Reason

__all__ = ["doubt"]


async def doubt(spool: Spool, ticket_id: str, reply: AgentReply) -> Reason:
    """Why a person must look at the answer first, `NONE` when whom it is for is certain.

    Agents may merge the tickets of one correspondent. Of different ones, or where that cannot be told (the
    portal knows nobody, an erased ticket has no contact any more), the answer may be meant for the other.
    """
    if reply.doubt is not Reason.NONE:
        return reply.doubt
    others = set(reply.others) - {ticket_id}
    if not others:
        return Reason.NONE
    mine = await _contact(spool, ticket_id)
    for other in others:
        theirs = await _contact(spool, other) if other else None
        if mine is None or theirs is None or not _same(mine, theirs):
            return Reason.MERGED
    return Reason.NONE


async def _contact(spool: Spool, ticket_id: str) -> Contact | None:
    """Who is behind a mail ticket; None for the portal's and for one that is not there."""
    stored = await spool.ticket_part(ticket_id, "contact")
    return decode_contact(stored) if stored and await spool.anchor(ticket_id) is None else None


def _same(one: Contact, other: Contact) -> bool:
    """One address and one key: an answer reaches the same person, and no less protected."""
    return bool(one.address) and (
        (one.address.lower(), one.signer, one.fingerprint, one.wrote_encrypted)
        == (other.address.lower(), other.signer, other.fingerprint, other.wrote_encrypted)
    )
