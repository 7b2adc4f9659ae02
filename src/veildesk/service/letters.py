"""Writes outgoing mails: answers of agents, and notes of our own: about a missing key, about a deletion.

Everything that leaves here is signed. Message ids and reply addresses are random; the day is the only
date. The note holds nothing of the answer, of the question or of its subject.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.contact import Contact
from veildesk.core.ports import Clock, Engine
from veildesk.core.ticket import Deletion, Erased, File
from veildesk.mail.compose import Draft, protected_entity, signable_entity, wrap_encrypted, wrap_signed
from veildesk.mail.reply_address import TOKEN_BYTES, ReplyAddresses, message_id_of, new_token
from veildesk.mail.wire import is_message_id
from veildesk.openpgp.autocrypt import autocrypt_value

__all__ = ["DELETED", "KEPT", "KEPT_NOTE", "KEY_REQUEST", "Letters"]

KEY_REQUEST = """\
There is an answer for you. It is not in this mail: you are answered encrypted only, and
we have no key of yours that can be used. None came with your message, or it has expired
or is too weak (RSA of fewer than 2048 bits).

Please answer this mail and attach your public OpenPGP key, or switch on that your mail
program sends it along (Autocrypt). The answer then comes encrypted, by itself.
If you signed your message, send the key you signed it with.

This note was written by a program and is sent only once. It is signed with our key.
"""
_SUBJECT = "We need your OpenPGP key to answer you"
DELETED = """\
Your ticket is deleted here: its key was destroyed, and nobody can read what was kept.
{helpdesk}
Code of this deletion, for 30 days: {code}
With it the page "What became of a deletion" of our portal, or the support team, tells
what became of every copy. The code says nothing about you or your ticket.

This note was written by a program. It is signed with our key.
"""
_HELPDESK = {
    Erased.GONE: "In the support team's own system nothing is left either.",
    Erased.REQUESTED: "In the support team's own system deletion was asked for and is not confirmed yet.",
    Erased.UNSUPPORTED: "The support team's own system cannot delete by itself: a copy remains there.",
}
KEPT_NOTE: Final = "kept "
"""How a stored note of this kind begins; the last day that the ticket is kept follows."""
KEPT = """\
You asked us to delete your ticket. Nothing was deleted: the law obliges the support team
to keep it until {until}. Ask again after that day.

This note was written by a program. It is signed with our key.
"""


@dataclass(frozen=True, slots=True)
class Letters:
    """`random_bytes(n)` is a secure source; `domain` stands in Message-IDs; `signer` is the support key.

    `footer` stands below every mail.
    """

    engine: Engine
    clock: Clock
    signer: str
    name: str
    domain: str
    replies: ReplyAddresses
    random_bytes: Callable[[int], bytes] = field(repr=False)
    footer: str = ""

    def answer(self, contact: Contact, text: str, files: tuple[File, ...]) -> Draft:
        """An agent's answer."""
        subject = contact.subject or "Your message"
        if not subject.lower().startswith("re:"):
            subject = f"Re: {subject}"
        # Visible only in signed mail, which goes to who sent the subject in the clear.
        return self._draft(contact, subject, text, files)

    def key_request(self, contact: Contact) -> Draft:
        """The note without content."""
        return self._draft(contact, _SUBJECT, KEY_REQUEST, (), automatic=True)

    def deleted(self, contact: Contact, deletion: Deletion) -> Draft:
        """What became of a ticket that its author deleted by mail."""
        text = DELETED.format(code=deletion.code, helpdesk=_HELPDESK[deletion.outcome])
        return self._draft(contact, "Your ticket is deleted", text, (), automatic=True)

    def kept(self, contact: Contact, until: str) -> Draft:
        """Why a ticket was not deleted. `until` is a day, YYYY-MM-DD."""
        text = KEPT.format(until=until)
        return self._draft(contact, "Your ticket is kept for now", text, (), automatic=True)

    def _draft(
        self, contact: Contact, subject: str, text: str, files: tuple[File, ...], *, automatic: bool = False
    ) -> Draft:
        token = new_token(self.random_bytes(TOKEN_BYTES))
        return Draft(
            sender=self.replies.address,
            sender_name=self.name,
            recipient=contact.address,
            reply_to=self.replies.with_token(token) if self.replies.delimiter else "",
            subject=subject,
            text=text,
            message_id=message_id_of(token, self.domain),
            references=tuple(filter(is_message_id, contact.references)),
            moment=self.clock.now(),
            files=files,
            automatic=automatic,
            footer=self.footer,
        )

    def return_path(self, draft: Draft) -> str:
        """The envelope sender: bounces lead to the ticket; what no person wrote has none (RFC 3834 § 3.3)."""
        return "" if draft.automatic else draft.reply_to or draft.sender

    async def finish(self, draft: Draft, certificate: bytes | None) -> bytes:
        """The complete mail, signed, and encrypted where there is a certificate.

        Raises `KeyUnusable` if our key or theirs cannot be used.
        """
        if certificate is not None:
            inner = protected_entity(draft)
            return wrap_encrypted(draft, await self.engine.seal(inner, [certificate], self.signer))
        own = await self.engine.export(self.signer)
        draft = dataclasses.replace(draft, autocrypt=autocrypt_value(own, draft.sender) or "")
        inner = signable_entity(draft)
        return wrap_signed(draft, inner, await self.engine.sign_detached(inner, self.signer))
