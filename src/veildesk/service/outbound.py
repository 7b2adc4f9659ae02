"""The way back, stage by stage: compose, seal, send.

The exact bytes that will be sent are sealed into the spool before the first attempt and repeated
unchanged after a crash, under the same Message-ID, so that a repeated mail can be told from a new one.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from veildesk.core.contact import Contact, decode_contact
from veildesk.core.encoding import decode_reply
from veildesk.core.errors import SendRefused
from veildesk.core.ports import Clock, Engine, Mailer, Spool, ThreadCipher
from veildesk.core.submission import PortalAnchor, dedup_key
from veildesk.core.thread_entry import ThreadEntry, encode_thread_entry
from veildesk.core.ticket import AgentReply
from veildesk.core.work import Reason, State, Work
from veildesk.mail.compose import Draft, protected_entity, signable_entity, wrap_encrypted, wrap_signed
from veildesk.redact.engine import find
from veildesk.replies.guard import guard_contact, guard_text

__all__ = ["OUTBOUND", "Outbound", "Outgoing"]

_T = TypeVar("_T")
OUTBOUND: Final = ("compose", "seal", "send")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One answer on its way out."""

    work: Work
    reply: AgentReply = field(repr=False)
    contact: Contact | None = field(default=None, repr=False)
    anchor: PortalAnchor | None = field(default=None, repr=False)
    draft: Draft | None = field(default=None, repr=False)
    wire: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outbound:
    """Runs the stages of `OUTBOUND`. `signer` is the fingerprint of the support key."""

    spool: Spool
    engine: Engine
    mailer: Mailer | None
    cipher: ThreadCipher
    clock: Clock
    signer: str
    address: str
    name: str
    domain: str
    secret: bytes = field(repr=False)
    random_bytes: Callable[[int], bytes]

    async def run(self, work: Work) -> Work:
        """Take one collected or half-sent answer to the end. Errors are the caller's to park."""
        if work.state is State.SENDING:
            return await self._hand_over(work)
        kept = await self.spool.part(work.message_id, "reply")
        if kept is None:
            raise LookupError("an answer without its text")
        item = Outgoing(work, decode_reply(kept))
        for name in OUTBOUND:
            stage: Callable[[Outgoing], Awaitable[Outgoing]] = getattr(self, name)
            item = await stage(item)
            if item.work.state not in (State.COLLECTED, State.SENDING):
                break
        return item.work

    # ---------------------------------------------------------------- stages
    async def compose(self, item: Outgoing) -> Outgoing:
        """Decide how it leaves and write it; what must not leave is held with a reason."""
        anchor = await self.spool.anchor(item.work.ticket_id)
        stored = await self.spool.ticket_part(item.work.ticket_id, "contact")
        contact = decode_contact(stored) if stored else None
        reason = guard_text(find(item.reply.text))
        if reason is Reason.NONE and anchor is None:
            reason = guard_contact(contact)
        if reason is Reason.NONE and anchor is not None and item.reply.files:
            # The portal thread shows signed text only: an answer must not arrive without its files.
            reason = Reason.FILES
        if reason is not Reason.NONE:
            work = await self.spool.advance(item.work, State.HELD, reason=reason)
            return dataclasses.replace(item, work=work)
        draft = None if anchor else self._draft(item, contact)
        return dataclasses.replace(item, anchor=anchor, contact=contact, draft=draft)

    async def seal(self, item: Outgoing) -> Outgoing:
        """Sign; encrypt to the user, or seal into the thread that only the words open."""
        if item.anchor is not None:
            signed = await self.engine.clearsign(item.reply.text.rstrip("\n") + "\n", self.signer)
            day = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%d")
            entry = ThreadEntry(author="support", day=day, text=item.reply.text, signed=signed)
            wire = self.cipher.seal(item.anchor.public_key, encode_thread_entry(entry))
            marker = None
        else:
            draft, contact = _needed(item.draft), _needed(item.contact)
            wire = await self._seal_mail(draft, contact)
            marker = dedup_key(self.secret, b"message-id", draft.message_id.encode())
        route = {"to": item.contact.address if item.contact and not item.anchor else None}
        work = await self.spool.advance(
            item.work,
            State.SENDING,
            parts={"wire": _pack(route, wire), "reply": None},
            marker=marker,
        )
        return dataclasses.replace(item, work=work, wire=wire)

    async def send(self, item: Outgoing) -> Outgoing:
        """Hand it to the mail server, or append it to the portal thread."""
        return dataclasses.replace(item, work=await self._hand_over(item.work))

    # --------------------------------------------------------------- details
    def _draft(self, item: Outgoing, contact: Contact | None) -> Draft:
        contact = _needed(contact)
        subject = contact.subject or "Your message"
        if not subject.lower().startswith("re:"):
            subject = f"Re: {subject}"
        return Draft(
            sender=self.address,
            sender_name=self.name,
            recipient=contact.address,
            # Visible only in signed mail, which goes to who sent the subject in the clear.
            subject=subject,
            text=item.reply.text,
            message_id=f"{self.random_bytes(16).hex()}@{self.domain}",
            references=contact.references,
            day=self.clock.now() // 86400,
            files=item.reply.files,
        )

    async def _seal_mail(self, draft: Draft, contact: Contact) -> bytes:
        if contact.certificate is not None:
            inner = protected_entity(draft)
            armored = await self.engine.seal(inner, [contact.certificate], self.signer)
            return wrap_encrypted(draft, armored)
        inner = signable_entity(draft)
        signature = await self.engine.sign_detached(inner, self.signer)
        return wrap_signed(draft, inner, signature)

    async def _hand_over(self, work: Work) -> Work:
        packed = await self.spool.part(work.message_id, "wire")
        if packed is None:
            raise LookupError("a sending without its bytes")
        recipient, wire = _unpack(packed)
        if recipient is None:
            return await self.spool.advance(work, State.SENT, parts={"wire": None}, thread_entry=wire)
        if self.mailer is None:
            raise SendRefused("no outgoing server is configured")
        await self.mailer.send(wire, self.address, recipient)
        return await self.spool.advance(work, State.SENT, parts={"wire": None})


def _pack(route: dict[str, str | None], wire: bytes) -> bytes:
    return json.dumps({"v": 1, **route, "wire": base64.b64encode(wire).decode()}).encode()


def _unpack(packed: bytes) -> tuple[str | None, bytes]:
    fields = json.loads(packed)
    if fields["v"] != 1:
        raise ValueError("unknown version of a stored sending")
    return fields["to"], base64.b64decode(fields["wire"])


def _needed(value: _T | None) -> _T:
    if value is None:
        raise LookupError("a stage ran before the one it builds on")
    return value
