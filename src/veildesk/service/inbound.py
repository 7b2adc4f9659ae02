"""The way in, stage by stage: open, normalise, redact, deliver.

Plaintext lives in the `Item` that goes from stage to stage, in memory only. The first thing that leaves
it is the clean entry, sealed into the spool in the same commit that says delivery is about to happen.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.contact import Contact, decode_contact, encode_contact
from veildesk.core.encoding import decode_entry, encode_entry
from veildesk.core.envelope import split_envelope
from veildesk.core.errors import (
    NotSoundCiphertext,
    Undecryptable,
    VeildeskError,
    WorkLost,
)
from veildesk.core.finding import MaskNumbering
from veildesk.core.limits import Limits
from veildesk.core.message import Attachment, OpenedMessage
from veildesk.core.portal_entry import decode_numbering, decode_portal_entry, encode_numbering
from veildesk.core.ports import Backend, Cleaned, Cleaner, Clock, Engine, Spool
from veildesk.core.submission import Channel, dedup_key
from veildesk.core.ticket import Deletion, Erased, TicketEntry
from veildesk.core.work import Reason, State, Work
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.openpgp.off_loop import off_loop
from veildesk.redact.rules import RuleSet
from veildesk.service.config import NOTICE_QUEUE, QueueConfig
from veildesk.service.delete_command import is_delete_command
from veildesk.service.dispatch import Dispatch
from veildesk.service.erasure import place_in, split_place
from veildesk.service.hand_over import HandOver
from veildesk.service.inbound_item import Item, clean_entry, needed
from veildesk.service.known_keys import KnownKeys
from veildesk.service.letters import KEPT_NOTE
from veildesk.service.mail_reader import MailReader, unknown_signers
from veildesk.service.protection import aged_notices
from veildesk.service.trust import Learned, Trust, also_received, signers
from veildesk.service.turns import Turns
from veildesk.service.unopened import unopened_contact, unopened_entry
from veildesk.spool.crashpoint import crashpoint

__all__ = ["INBOUND", "Inbound"]

INBOUND: Final = ("open", "normalise", "redact", "deliver")
_STRAY = (
    "This mail answers an earlier ticket, but comes from another address or is not signed with that "
    "ticket's key, so it is a ticket of its own."
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """Runs the stages of `INBOUND`. `random_bytes(n)` is a secure source.

    `domain` is that of our Message-IDs, `replies` knows our address and its tokens, `keys` what
    certificates there are.
    """

    spool: Spool
    engine: Engine
    cleaner: Cleaner
    backends: Mapping[str, Backend]
    queues: Mapping[str, QueueConfig]
    secret: bytes = field(repr=False)
    random_bytes: Callable[[int], bytes]
    domain: str
    replies: ReplyAddresses
    keys: KnownKeys
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    rules: RuleSet = field(default_factory=RuleSet)
    subscribe: Callable[[OpenedMessage], Awaitable[bool]] | None = None
    """Takes a mail to the notices' address; True when there is nothing left to do with it."""
    dispatch: Dispatch | None = None
    erase: Callable[[str], Awaitable[Deletion]] | None = None
    say_deleted: Callable[[Contact, Deletion], Awaitable[None]] | None = None
    """Deletes a ticket everywhere."""
    ahead: HandOver | None = None
    """What listeners of this process have just kept."""
    judging: Turns = field(default_factory=Turns, repr=False)
    working: Turns = field(default_factory=Turns, repr=False)
    """Turns of large mails. A helpdesk that is slow must not hold up who waits for an answer to DATA."""

    async def run(self, work: Work) -> Work:
        """Take one accepted or half-delivered message to the end. Errors are the caller's to park."""
        if work.state is State.DELIVERING:
            return await self._hand_over(work)
        item = await self._begin(work)
        async with self.working.turn(len(item.raw)):
            for name in INBOUND:
                stage: Callable[[Item], Awaitable[Item]] = getattr(self, name)
                item = await stage(item)
                if item.work.state is not State.ACCEPTED or item.waits:
                    break
        return item.work

    # ---------------------------------------------------------------- stages
    async def open(self, item: Item) -> Item:
        """Decrypt and verify; a portal entry is taken apart. Nothing is decided on what is unsound."""
        if item.work.channel is Channel.PORTAL:
            return dataclasses.replace(item, raw=b"", portal=decode_portal_entry(item.raw))
        mail = split_envelope(item.raw)
        message = item.message
        try:
            message = message or await self._reader.read(mail)
        except (Undecryptable, NotSoundCiphertext) as error:
            work = await self._put_aside(
                item.work, mail.raw, Reason(error.code), null_sender=mail.null_sender
            )
            return dataclasses.replace(item, work=work)
        self._reader.require(item.work.queue, message)
        # What a stage is done with goes, so that a large mail is not held several times.
        return dataclasses.replace(item, raw=b"", message=message, extension=mail.extension)

    async def normalise(self, item: Item) -> Item:
        """Find the ticket it belongs to, learn how to answer, and clean the attachments."""
        if item.portal is not None:
            uploads = tuple(Attachment(n, t, c) for n, t, c in item.portal.attachments)
            numbering = decode_numbering(item.portal.numbering) if item.portal.numbering else None
            return dataclasses.replace(item, files=await self._clean(uploads), numbering=numbering)
        message = needed(item.message)
        if item.work.queue == NOTICE_QUEUE and self.subscribe is not None and await self.subscribe(message):
            # It was no request for help; nothing of it is kept.
            await self.spool.erase(item.work.ticket_id)
            return dataclasses.replace(item, waits=True)
        work, before, stray = await self._belongs_to(item.work, message, item.extension)
        looped = message.from_address is not None and self.replies.is_own(message.from_address)
        if looped or (message.automatic and before is None):
            # A bounce, an auto-reply or a list's mail without a ticket asks for nobody's help, and what
            # claims to be from ourselves is a loop or a forgery; it is kept, not dropped.
            listed = not looped and "through-a-list" in message.notes
            reason = Reason.LIST if listed else Reason.AUTOMATIC
            await self.spool.advance(work, State.QUARANTINED, reason=reason)
            return dataclasses.replace(item, work=dataclasses.replace(work, state=State.QUARANTINED))
        if work.ticket_id != item.work.ticket_id and await self._has_earlier(work):
            # It turned out to belong behind a message that is still on its way; the spool keeps order.
            await self.spool.release(work)
            return dataclasses.replace(item, work=work, waits=True)
        if self.erase is not None and is_delete_command(message, before, self.clock.now()):
            deletion = await self.erase(work.ticket_id)
            if deletion.outcome is not Erased.KEPT:
                # The command went with everything else of the ticket.
                if self.say_deleted is not None and before is not None:
                    await self.say_deleted(before, deletion)
                raise WorkLost("deleted by its author")
            await self._say_kept(work.ticket_id, deletion.kept_until)
        learned = await self._learn(message, before)
        files = await self._clean(message.attachments)
        return dataclasses.replace(
            item,
            message=dataclasses.replace(message, attachments=()) if files else message,
            work=work,
            fresh=item.fresh and work.ticket_id == item.work.ticket_id,
            before=before,
            learned=learned,
            files=files,
            remarks=(
                *([_STRAY] if stray else []),
                *learned.notices,
                *aged_notices(message, self.clock.now()),
            ),
        )

    async def redact(self, item: Item) -> Item:
        """Mask what an agent need not see, with the same masks as earlier in this ticket."""
        numbering = item.numbering or await self._numbering(item)
        entry = await asyncio.to_thread(
            clean_entry, item, numbering, self.replies, self._rules(item.work.queue)
        )
        return dataclasses.replace(item, files=(), entry=entry, numbering=numbering)

    def _rules(self, queue: str) -> RuleSet:
        """The operator's rules, with the types that this queue's agents get to see switched off."""
        settings = self.queues.get(queue)
        unmasked = settings.unmasked if settings else ()
        return RuleSet(self.rules.off.union(unmasked), self.rules.own)

    async def deliver(self, item: Item) -> Item:
        """Seal the clean entry, say that delivery is about to happen, and deliver."""
        entry = needed(item.entry)
        ticket_parts: dict[str, bytes | None] = {
            "numbering": json.dumps(encode_numbering(needed(item.numbering))).encode()
        }
        learned = item.learned or Learned(None)
        if item.message is not None and item.before is not None:
            stored = await self.spool.ticket_part(item.work.ticket_id, "contact")
            if stored is not None and (current := decode_contact(stored)) != item.before:
                # An answer that was written meanwhile found a key.
                learned = await self._learn(item.message, current)
        if learned.contact is not None:
            ticket_parts["contact"] = encode_contact(learned.contact)
        own_id = item.message.message_id if item.message else None
        known = None if item.fresh else await self.spool.backend_ref(item.work.ticket_id)
        name, entry = self._dispatch.choose(entry, known)
        place = known if split_place(known or "")[0] == name else place_in(name, "")
        work = await self.spool.advance(
            item.work,
            State.DELIVERING,
            parts={"entry": await _encoded(entry)},
            ticket_parts=ticket_parts,
            backend_ref=place,
            marker=self._reader.marker(own_id) if own_id else None,
        )
        if learned.pinned is not None:
            await self.keys.remember(learned.pinned, learned.replaces)
        done = await self._deliver(work, name, entry)
        if not item.fresh:
            await self._try_held(work.ticket_id)
        return dataclasses.replace(item, work=done)

    # --------------------------------------------------------------- details
    async def judge(self, payload: bytes, queue: str) -> VeildeskError | None:
        """What an SMTP sender can be told before anything is kept; None when the mail is welcome."""
        try:
            async with self.judging.turn(len(payload)):
                message = await self._reader.read(split_envelope(payload), ask=False)
            self._reader.require(queue, message)
        except VeildeskError as error:
            return error
        if self.ahead is not None and not unknown_signers(message):
            self.ahead.offer(payload, message)
        return None

    async def _begin(self, work: Work) -> Item:
        taken = self.ahead.take(work) if self.ahead is not None else None
        if taken is not None:
            return Item(work, taken.payload, taken.message, fresh=True)
        raw = await self.spool.part(work.message_id, "raw")
        if raw is None:
            raise LookupError("a message without its payload")
        return Item(work, raw)

    async def _put_aside(self, work: Work, raw: bytes, reason: Reason, *, null_sender: bool) -> Work:
        """Quarantine what cannot be opened, and tell the agents, once, that it came."""
        contact = await asyncio.to_thread(unopened_contact, raw, self.limits, null_sender=null_sender)
        if contact is None or self.replies.is_own(contact.address):
            return await self.spool.advance(work, State.QUARANTINED, reason=reason)
        place = await self.spool.backend_ref(work.ticket_id)
        if place is None:
            key = dedup_key(self.secret, b"unopened", work.message_id.encode()).hex()[:32]
            name, entry = self._dispatch.choose(unopened_entry(work, key, reason), place)
            place = place_in(name, (await self._dispatch.deliver(name, entry)).ref)
        return await self.spool.advance(
            work,
            State.QUARANTINED,
            reason=reason,
            ticket_parts={"contact": encode_contact(contact)},
            backend_ref=place,
        )

    async def _belongs_to(
        self, work: Work, message: OpenedMessage, extension: str
    ) -> tuple[Work, Contact | None, bool]:
        """Join an earlier ticket when the mail answers it and comes from the same correspondent.

        Knowing a message id or a reply address is not enough: they are quoted and forwarded. The address
        must be the same, and where the ticket has a signing key, so must the key. The last value is true
        for a mail that answers a ticket of somebody else.
        """
        stray = False
        for answered in self._reader.answered(message, extension):
            ticket = await self.spool.find_by_marker(self._reader.marker(answered))
            stored = await self.spool.ticket_part(ticket, "contact") if ticket else None
            if ticket is None or stored is None:
                continue
            before = decode_contact(stored)
            if ticket == work.ticket_id:
                # Joined already, before a crash or a pause.
                return work, before, False
            # Bounces name what we sent; whoever knows what a person sent may call his own mail automatic.
            bounced = message.automatic and answered.endswith(f"@{self.domain}")
            if bounced or _same_person(message, before):
                return await self.spool.join(work, ticket), before, False
            stray = True
        return work, None, stray

    async def _learn(self, message: OpenedMessage, before: Contact | None) -> Learned:
        if message.automatic and before is not None:
            return Learned(also_received(message, before))
        return await Trust(self.engine, self.keys, self.replies, self.clock).learn(message, before)

    async def _has_earlier(self, work: Work) -> bool:
        on_the_way = (State.ACCEPTED, State.DELIVERING)
        rows = await self.spool.listing(on_the_way, ticket_id=work.ticket_id)
        return bool(rows) and rows[0].message_id != work.message_id

    async def _clean(self, files: Sequence[Attachment]) -> tuple[Cleaned, ...]:
        cleaned = []
        for file in files:
            if file.refused is not None:
                cleaned.append(Cleaned(file.name, file.media_type, None, refused=file.refused))
            else:
                cleaned.append(await self.cleaner.clean(file.name, file.media_type, file.content))
        return tuple(cleaned)

    async def _numbering(self, item: Item) -> MaskNumbering:
        stored = None if item.fresh else await self.spool.ticket_part(item.work.ticket_id, "numbering")
        if stored is None:
            return MaskNumbering(self.random_bytes(32))
        return decode_numbering(json.loads(stored))

    @property
    def _reader(self) -> MailReader:
        return MailReader(
            self.spool,
            self.engine,
            self.keys,
            self.replies,
            self.queues,
            self.secret,
            self.domain,
            self.clock,
            self.limits,
        )

    @property
    def _dispatch(self) -> Dispatch:
        return self.dispatch or Dispatch(self.backends, self.queues)

    async def _hand_over(self, work: Work) -> Work:
        sealed = await self.spool.part(work.message_id, "entry")
        if sealed is None:
            raise LookupError("a delivery without its entry")
        known = await self.spool.backend_ref(work.ticket_id)
        async with self.working.turn(len(sealed)):
            name, entry = self._dispatch.choose(decode_entry(sealed), known)
            done = await self._deliver(work, name, entry)
        await self._try_held(work.ticket_id)
        return done

    async def _deliver(self, work: Work, name: str, entry: TicketEntry) -> Work:
        """Hand an entry over whose delivery is stored as begun."""
        crashpoint("deliver.before-call")
        delivered = await self._dispatch.deliver(name, entry)
        crashpoint("deliver.after-call")
        try:
            done = await self.spool.advance(
                work,
                State.DELIVERED,
                parts={"raw": None, "entry": None},
                backend_ref=place_in(name, delivered.ref),
            )
        except WorkLost:
            # Deleted while it was on its way: what just arrived there must not stay. But a ticket that is
            # still there was taken over by another gateway, and its place in the helpdesk is right.
            if await self.spool.ticket_part(work.ticket_id, "numbering") is None:
                await self.backends[name].erase(delivered.ref, work.ticket_id)
            raise
        return done

    async def _say_kept(self, ticket_id: str, until: str) -> None:
        """A note to who wished to delete what the law keeps, once for each last day. Agents get the wish as
        any other message."""
        note = f"{KEPT_NOTE}{until}".encode()
        once = dedup_key(self.secret, b"kept", ticket_id.encode(), note)
        await self.spool.collect(ticket_id, once, {"note": note}, None)

    async def _try_held(self, ticket_id: str) -> None:
        """Answers that waited for a key are tried again when their correspondent wrote; without one they
        are held again, and nobody is told a second time."""
        for row in await self.spool.listing((State.HELD,), ticket_id=ticket_id):
            if row.reason is Reason.NO_KEY:
                await self.spool.retry(row.message_id)


async def _encoded(entry: TicketEntry) -> bytes:
    size = len(entry.text) + sum(len(file.content) for file in entry.files)
    return await off_loop(size, lambda: encode_entry(entry))


def _same_person(message: OpenedMessage, before: Contact) -> bool:
    if before.signer is not None:
        return bool(signers(message) & {before.signer, *before.earlier})
    # Servers vouch for the outer From at most. Whom answers go to is anybody's to write, and so is what
    # stands inside an encryption.
    known = {before.address.lower(), before.author.lower() or before.address.lower()}
    authors = {(one or "").lower() for one in (message.from_address, message.outer_from)}
    return authors <= known and (message.reply_address or "").lower() == before.address.lower()
