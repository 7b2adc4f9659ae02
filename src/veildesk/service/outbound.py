"""The way back, stage by stage: compose, seal, send.

The exact bytes that will be sent are sealed into the spool before the first attempt and repeated
unchanged after a crash, under the same Message-ID, so that a repeated mail can be told from a new one.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from veildesk.core.contact import Contact, decode_contact, encode_contact
from veildesk.core.encoding import decode_reply
from veildesk.core.errors import KeyUnusable, SendRefused, VeildeskError
from veildesk.core.ports import Cleaner, Clock, Engine, Mailer, Spool, ThreadCipher
from veildesk.core.submission import PortalAnchor, dedup_key
from veildesk.core.thread_entry import ThreadEntry, encode_thread_entry
from veildesk.core.ticket import AgentReply, Deletion
from veildesk.core.work import Reason, State, Work
from veildesk.mail.charset import clean_text
from veildesk.mail.compose import Draft
from veildesk.mail.quotes import divide, without_quotes
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.replies.guard import AnswerRules, guard_contact
from veildesk.service.addressee import doubt
from veildesk.service.answer_files import seal_files, signed_text
from veildesk.service.letters import KEPT_NOTE, Letters
from veildesk.service.screening import screen_files, screen_text
from veildesk.service.trust import Trust
from veildesk.spool.crashpoint import crashpoint

__all__ = ["OUTBOUND", "Outbound", "Outgoing"]

_T = TypeVar("_T")
OUTBOUND: Final = ("compose", "seal", "send")
_log = logging.getLogger("veildesk.service")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One answer on its way out. `known` is the contact as stored, `contact` with what was found since."""

    work: Work
    reply: AgentReply = field(repr=False)
    known: Contact | None = field(default=None, repr=False)
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
    reply_delimiter: str = "+"
    trust: Trust | None = None
    footer: str = ""
    cleaner: Cleaner | None = None
    rules: AnswerRules = field(default_factory=AnswerRules)

    async def run(self, work: Work) -> Work:
        """Take one collected or half-sent answer to the end. Errors are the caller's to park."""
        if work.state is State.SENDING:
            return await self._hand_over(work)
        if await self.spool.part(work.message_id, "note") is not None:
            return await self._send_note(work)
        item = await self._begin(work)
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
        contact = known = await self._contact(item.work)
        if self.trust is not None and contact is not None and anchor is None:
            contact = await self.trust.look_up(contact)
        approved = await self.spool.part(item.work.message_id, "approved") is not None
        text = clean_text(self._letters.replies.cut(item.reply.text))
        if anchor is None and (contact is None or contact.certificate is None or contact.unproven):
            # A quotation may hold what came encrypted; it goes back only under the key that signed it.
            text = without_quotes(text)
        reason = Reason.NONE
        if not approved:
            reason = await doubt(self.spool, item.work.ticket_id, item.reply)
            reason = reason or await screen_text(text, contact, self.rules)
        if reason is Reason.NONE and anchor is None:
            reason = guard_contact(contact)
        if reason is Reason.NONE and item.reply.missing:
            # Files that could not be taken over. An answer must not arrive without its files.
            reason = Reason.FILES
        screened = item.reply
        if reason is Reason.NONE and self.cleaner is not None and screened.files:
            screened, reason = await screen_files(
                screened, self.cleaner, contact, self.rules, approved=approved
            )
        # Closing a ticket in some tools sends an answer that is a signature and nothing else.
        if reason is Reason.NONE and not divide(text).own.strip() and not item.reply.files:
            reason = Reason.EMPTY
        if reason is not Reason.NONE:
            return await self._hold(item, reason)
        reply = dataclasses.replace(screened, text=text)
        draft = None if anchor else self._letters.answer(_needed(contact), text, reply.files)
        return dataclasses.replace(
            item, reply=reply, anchor=anchor, known=known, contact=contact, draft=draft
        )

    async def seal(self, item: Outgoing) -> Outgoing:
        """Sign; encrypt to the user, or seal into the thread that only the words open."""
        if item.anchor is not None:
            return await self._seal_entry(item, item.anchor)
        draft, contact = _needed(item.draft), _needed(item.contact)
        try:
            wire = await self._letters.finish(draft, contact.certificate)
        except KeyUnusable:
            if contact.certificate is None or await self._usable(contact.certificate):
                raise
            # Expired or revoked since it was pinned. Who could be answered encrypted before is not
            # answered in the clear now.
            return await self._hold(item, Reason.NO_KEY)
        if await self._contact(item.work) != item.known:
            # A mail came meanwhile and taught how to answer: the answer is written anew, for that.
            return await self._anew(item.work)
        route = {"to": contact.address, "from": self._letters.return_path(draft)}
        found = contact if contact != item.known else None
        work = await self._ready(item.work, _pack(route, wire), draft.message_id, found)
        return dataclasses.replace(item, work=work, wire=wire)

    async def _anew(self, work: Work) -> Outgoing:
        item = await self.compose(await self._begin(work))
        return await self.seal(item) if item.work.state is State.COLLECTED else item

    async def _seal_entry(self, item: Outgoing, anchor: PortalAnchor) -> Outgoing:
        """An entry for the thread; its files are stored in the commit that stores the entry's bytes."""
        reply = item.reply
        files = await asyncio.to_thread(seal_files, reply.files, self.cipher, self.random_bytes)
        signed = await self.engine.clearsign(signed_text(reply.text, files.listed), self.signer)
        day = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%d")
        entry = ThreadEntry("support", day, reply.text, files=files.listed, signed=signed)
        wire = self.cipher.seal(anchor.public_key, encode_thread_entry(entry))
        work = await self._ready(item.work, _pack({"to": None}, wire), None, files=files.parts)
        return dataclasses.replace(item, work=work, wire=wire)

    async def send(self, item: Outgoing) -> Outgoing:
        """Hand it to the mail server, or append it to the portal thread."""
        return dataclasses.replace(item, work=await self._hand_over(item.work))

    # --------------------------------------------------------------- details
    @property
    def _letters(self) -> Letters:
        return Letters(
            engine=self.engine,
            clock=self.clock,
            signer=self.signer,
            name=self.name,
            domain=self.domain,
            replies=ReplyAddresses(self.address, self.reply_delimiter),
            random_bytes=self.random_bytes,
            footer=self.footer,
        )

    async def _begin(self, work: Work) -> Outgoing:
        kept = await self.spool.part(work.message_id, "reply")
        if kept is None:
            raise LookupError("an answer without its text")
        return Outgoing(work, decode_reply(kept))

    async def _contact(self, work: Work) -> Contact | None:
        stored = await self.spool.ticket_part(work.ticket_id, "contact")
        return decode_contact(stored) if stored else None

    async def _usable(self, certificate: bytes) -> bool:
        try:
            known = await self.engine.certificate_status(certificate)
        except KeyUnusable:
            return False
        return known.can_encrypt and not known.expired and not known.revoked

    async def _hold(self, item: Outgoing, reason: Reason) -> Outgoing:
        """Keep an answer for a person to decide; who wrote encrypted without a usable key is told once.

        The digest by which the note is known lasts as long as the ticket, so a crash, a second answer and a
        key that expires again later send no second one.
        """
        if reason is Reason.NO_KEY:
            once = dedup_key(self.secret, b"key-request", item.work.ticket_id.encode())
            await self.spool.collect(item.work.ticket_id, once, {"note": b"key-request"}, None)
        work = await self.spool.advance(item.work, State.HELD, reason=reason)
        return dataclasses.replace(item, work=work)

    async def _send_note(self, work: Work) -> Work:
        contact = await self._contact(work)
        if contact is None or not contact.address:
            return await self.spool.advance(work, State.HELD, reason=Reason.NO_CONTACT)
        note = (await self.spool.part(work.message_id, "note") or b"").decode()
        kept_until = note.removeprefix(KEPT_NOTE) if note.startswith(KEPT_NOTE) else ""
        draft = self._letters.kept(contact, kept_until) if kept_until else self._letters.key_request(contact)
        wire = await self._letters.finish(draft, contact.certificate if kept_until else None)
        route = {"to": contact.address, "from": self._letters.return_path(draft)}
        return await self._hand_over(await self._ready(work, _pack(route, wire), draft.message_id))

    async def say_deleted(self, contact: Contact, deletion: Deletion) -> None:
        """Tell who deleted a ticket by mail, once: nothing is stored that would say whom. Faults end in the
        log, for the ticket and its key are gone already."""
        if self.mailer is None or not contact.address:
            return
        draft = self._letters.deleted(contact, deletion)
        try:
            wire = await self._letters.finish(draft, contact.certificate)
            await self.mailer.send(wire, self._letters.return_path(draft), contact.address)
        except VeildeskError as error:
            _log.warning("deletion-not-told reason=%s", error.code)

    async def _ready(
        self,
        work: Work,
        packed: bytes,
        message_id: str | None,
        contact: Contact | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Work:
        """Store the exact bytes, what leads an answer to them back here, the key that they were encrypted
        to, and sealed files of a thread, before the first attempt."""
        kept: dict[str, bytes | None] = dict(files or {})
        if contact is not None:
            kept["contact"] = encode_contact(contact)
        marker = dedup_key(self.secret, b"message-id", message_id.encode()) if message_id else None
        return await self.spool.advance(
            work,
            State.SENDING,
            parts={"wire": packed, "reply": None, "approved": None},
            ticket_parts=kept,
            marker=marker,
        )

    async def _hand_over(self, work: Work) -> Work:
        packed = await self.spool.part(work.message_id, "wire")
        if packed is None:
            raise LookupError("a sending without its bytes")
        route, wire = _unpack(packed)
        recipient, sender = route.get("to"), route.get("from")
        if recipient is None:
            return await self.spool.advance(work, State.SENT, parts={"wire": None}, thread_entry=wire)
        if self.mailer is None:
            raise SendRefused("no outgoing server is configured")
        crashpoint("send.before-call")
        await self.mailer.send(wire, self.address if sender is None else sender, recipient)
        crashpoint("send.after-call")
        return await self.spool.advance(work, State.SENT, parts={"wire": None})


def _pack(route: Mapping[str, str | None], wire: bytes) -> bytes:
    return json.dumps({"v": 1, **route, "wire": base64.b64encode(wire).decode()}).encode()


def _unpack(packed: bytes) -> tuple[dict[str, str | None], bytes]:
    fields = json.loads(packed)
    if fields.pop("v") != 1:
        raise ValueError("unknown version of a stored sending")
    wire = base64.b64decode(fields.pop("wire"))
    return fields, wire


def _needed(value: _T | None) -> _T:
    if value is None:
        raise LookupError("a stage ran before the one it builds on")
    return value
