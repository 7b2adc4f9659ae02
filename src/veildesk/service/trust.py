"""Which key a ticket's answers are encrypted to: trust on first use, for each ticket by itself.

A key that comes with a mail proves nothing about a person, only that later mails are from the same hand.
So the first key is pinned to the ticket, and afterwards it changes only when a mail signed with the pinned
key brings the new one inside what is signed. Everything else is told to the agents and changes nothing. Keys
that claim our own address are never taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from veildesk.core.contact import Contact, KeyEvent, KnownKey, Provenance
from veildesk.core.errors import VeildeskError
from veildesk.core.message import OpenedMessage, Scope, Verdict
from veildesk.core.ports import CertificateStatus, Clock, Engine
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.openpgp.certificate_merge import merged
from veildesk.openpgp.key_index import index_of
from veildesk.service.known_keys import KnownKeys
from veildesk.service.reading import is_unsettled

__all__ = ["Candidate", "Learned", "Trust", "also_received", "choose", "signers"]

_MOST_RECEIVED = 200

OTHER_KEY = "Another key than the known one came with this mail; answers still go to the known key."
SEVERAL_KEYS = "Several keys for this address came with this mail; none of them was taken."
SEVERAL_KNOWN = (
    "Several keys are known for this address, and this mail is not signed; none of them was taken. Whoever "
    "has written can send the right one along."
)
UNUSABLE = (
    "A key came with this mail that cannot be used: it is expired, revoked, too weak or cannot encrypt."
)
NOT_EXPECTED = "A key came with this mail that is not the one it was signed with before; it was not taken."
FIRST_KEY = "A key came with this mail; answers to this ticket are encrypted from now on."
CHANGED = "Key changed: the mail was signed with the earlier key, and answers now go to the new one."
NEW_FOR_ADDRESS = "This address has written with another key before."
ENDED = (
    "The key of this ticket can no longer be encrypted to, as its owner says; answers wait for a newer one."
)
WITHDRAWN = "The key of this ticket was revoked by its owner; answers wait until a new one comes."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A certificate that could be pinned. `carried` says that it came with the mail at hand."""

    key: KnownKey
    status: CertificateStatus
    carried: bool

    @property
    def usable(self) -> bool:
        """Whether it can be encrypted to now."""
        return self.status.can_encrypt and not self.status.expired and not self.status.revoked


@dataclass(frozen=True, slots=True)
class Learned:
    """The contact to store, and lines for the agents. `pinned` is a key that was proven or changed now;
    `replaces` is the fingerprint that it takes the place of."""

    contact: Contact | None
    notices: tuple[str, ...] = ()
    pinned: KnownKey | None = None
    replaces: str | None = None


def signers(message: OpenedMessage) -> frozenset[str]:
    """Fingerprints of valid signatures over the whole message that are bound to From."""
    return frozenset(
        one.fingerprint
        for one in message.signatures
        if one.verdict is Verdict.VALID
        and one.scope is Scope.WHOLE
        and one.bound_to_from
        and one.fingerprint is not None
    )


def _unchecked(message: OpenedMessage) -> str | None:
    """The key that signed the whole message but could not be checked: no other is taken in its place."""
    found = {
        one.signing_fingerprint
        for one in message.signatures
        if is_unsettled(one) and one.scope is Scope.WHOLE
    }
    return found.pop() if len(found) == 1 else None


def also_received(message: OpenedMessage, contact: Contact) -> Contact:
    """The contact that knows of this mail by the id that a mailbox finds it by."""
    known = (*contact.received, *([message.outer_id] if message.outer_id else []))
    return dataclasses.replace(contact, received=tuple(dict.fromkeys(known))[-_MOST_RECEIVED:])


def _made_by(message: OpenedMessage, expected: str) -> str | None:
    """The certificate's key behind a valid signature that this key made, if there is one in the mail."""
    proven = signers(message)
    return next(
        (
            one.fingerprint
            for one in message.signatures
            if one.fingerprint in proven and expected in (one.fingerprint, one.signing_fingerprint)
        ),
        None,
    )


def choose(
    candidates: Sequence[Candidate], address: str, signer: str | None, expected: str | None
) -> tuple[Candidate | None, tuple[str, ...]]:
    """The key to pin on first use, and what the agents are told.

    Who signed gets answers to the key that signed, and to no other: `signer` is the primary key of a
    signature that was found valid, `expected` a key that made one which nobody could check, and belongs to a
    certificate only if that is known to sign with it. For unsigned mail a known key goes
    before one that anybody could have attached, and of several attached ones none is taken, nor of several
    known ones unless one of them is attached.
    """
    usable = [one for one in candidates if one.usable]
    wanted = signer or expected

    def fits(one: Candidate) -> bool:
        if signer is not None:
            return one.key.fingerprint == signer
        return wanted is None or wanted in (one.key.fingerprint, *one.status.signing)

    useless = any(one.carried and not one.usable and fits(one) for one in candidates)
    if wanted is not None:
        found = next((one for one in usable if fits(one)), None)
        if found is None and useless:
            return None, (UNUSABLE,)
        strange = found is None and signer is None and any(one.carried for one in usable)
        return found, (NOT_EXPECTED,) if strange else ()
    named = [one for one in usable if address.lower() in one.status.addresses]
    fresh = {one.key.fingerprint: one for one in named if one.carried}
    known = [one for one in named if not one.carried]
    if known and known[0].key.provenance is not Provenance.CONFIGURED:
        names = {one.key.fingerprint for one in known}
        # Whoever forges From can have a key of his own remembered beside theirs: no guess which is whose.
        chosen = names if len(names) == 1 else names & set(fresh)
        if len(chosen) != 1:
            return None, (SEVERAL_KNOWN,)
        known = [one for one in known if one.key.fingerprint in chosen]
    if known:
        return known[0], (OTHER_KEY,) if set(fresh) - {known[0].key.fingerprint} else ()
    if len(fresh) > 1:
        return None, (SEVERAL_KEYS,)
    return next(iter(fresh.values()), None), (UNUSABLE,) if useless and not fresh else ()


@dataclass(frozen=True, slots=True)
class Trust:
    """Decides what a mail teaches about its correspondent."""

    engine: Engine
    keys: KnownKeys
    replies: ReplyAddresses
    clock: Clock

    async def learn(self, message: OpenedMessage, before: Contact | None) -> Learned:
        """What is known after this mail; `before` is what the ticket knew already."""
        if before is None and message.reply_address is None:
            return Learned(None)
        if before is not None:
            learned = await self._again(message, before)
        else:
            learned = await self._first(message, message.reply_address or "")
        contact = learned.contact
        if contact is None or message.encryption.scope is Scope.NONE:
            return learned
        # Where the key changes, the earlier one has signed.
        theirs = {contact.fingerprint, before.fingerprint if before is not None else None}
        proven = bool(signers(message) & theirs) and not contact.unproven
        # A subject that was inside goes back to nobody else either.
        hidden = before is None and not proven and message.subject_protected
        subject = "" if hidden else contact.subject
        contact = dataclasses.replace(contact, unproven=not proven, subject=subject)
        return dataclasses.replace(learned, contact=contact)

    async def _first(self, message: OpenedMessage, address: str) -> Learned:
        signed = signers(message)
        signer = next(iter(signed)) if len(signed) == 1 else None
        expected = _unchecked(message) if signer is None else None
        carried = await self._carried(message)
        known = await self._known(address, signer, carried)
        pin, notices = choose([*known, *carried], address, signer, expected)
        if signer is not None and any(one.key.fingerprint != signer for one in known):
            notices = (*notices, NEW_FOR_ADDRESS)
        contact = Contact(
            address=address,
            subject=message.subject,
            wrote_encrypted=message.encryption.scope is not Scope.NONE,
            signer=signer,
            author=message.from_address if message.from_address not in (None, address) else "",
            expected=expected,
            references=tuple(r for r in (*message.references[-5:], message.message_id or "") if r),
        )
        contact = also_received(message, contact)
        if pin is None:
            if signer is not None:
                # What is not encrypted to who signed goes to the address that the signature vouches for.
                contact = dataclasses.replace(contact, address=message.from_address or address, author="")
            return Learned(contact, notices)
        proven = signer is not None and pin.key.provenance is not Provenance.CONFIGURED
        key = self._seen(pin, Provenance.SIGNED if proven and pin.carried else pin.key.provenance, message)
        pinned = self._pin(contact, key, "pinned")
        if key.provenance is Provenance.SIGNED and not pin.carried:
            pinned = dataclasses.replace(pinned, provenance=Provenance.EARLIER)
        return Learned(pinned, notices, key if proven else None)

    async def _again(self, message: OpenedMessage, before: Contact) -> Learned:
        contact = dataclasses.replace(
            before,
            wrote_encrypted=before.wrote_encrypted or message.encryption.scope is not Scope.NONE,
            references=tuple(r for r in (*before.references[-20:], message.message_id or "") if r),
        )
        contact = also_received(message, contact)
        carried = await self._carried(message, but=before.certificate)
        if before.certificate is None:
            signed = signers(message)
            if before.signer is None and before.expected is not None:
                # Whoever else signs now is not who wrote first.
                signer = _made_by(message, before.expected)
            else:
                signer = before.signer or (next(iter(signed)) if len(signed) == 1 else None)
            known = await self._known(before.address, signer, carried)
            pin, notices = choose([*known, *carried], before.address, signer, before.expected)
            if pin is None:
                return Learned(contact, notices)
            key = self._seen(pin, pin.key.provenance)
            return Learned(self._pin(contact, key, "pinned"), (*notices, FIRST_KEY))
        same = [one for one in carried if one.key.fingerprint == before.fingerprint]
        others = [one for one in carried if one.key.fingerprint != before.fingerprint]
        told: dict[str, None] = {}
        for copy in same:
            contact, news = await self._refreshed(copy, contact)
            told.update(dict.fromkeys(news))
        if WITHDRAWN in told:
            return Learned(contact, tuple(told))
        changed = self._changed(message, contact, others)
        return dataclasses.replace(changed, notices=(*told, *changed.notices))

    async def look_up(self, contact: Contact) -> Contact:
        """The contact with a key that its mail domain publishes, where there was none to answer with."""
        if contact.certificate is not None or not await self.keys.discover(contact.address, self._today()):
            return contact
        wanted = contact.signer or contact.expected
        pin, _ = choose(
            await self._known(contact.address, wanted), contact.address, contact.signer, contact.expected
        )
        return contact if pin is None else self._pin(contact, self._seen(pin, pin.key.provenance), "pinned")

    async def _refreshed(self, copy: Candidate, contact: Contact) -> tuple[Contact, tuple[str, ...]]:
        """The contact with what a copy of its pinned key adds to it, and what the agents are told."""
        one = await self._with_copy(contact.certificate or b"", copy)
        if one is None:
            return contact, ()
        key = self._seen(one, contact.provenance or copy.key.provenance)
        told = () if one.usable else (WITHDRAWN,) if one.status.revoked else (ENDED,)
        return self._pin(contact, key, "refreshed"), told

    async def _with_copy(self, certificate: bytes, copy: Candidate) -> Candidate | None:
        """A known certificate with what a copy adds to it; None when that is nothing.

        What a key says of itself is signed by it, so it does not matter who brings it; a copy that says less
        takes nothing away, above all no revocation.
        """
        try:
            data = merged(certificate, copy.key.certificate)
        except VeildeskError:
            return None
        if data == certificate:
            return None
        one = await self._candidate(dataclasses.replace(copy.key, certificate=data), carried=True)
        if one is not None:
            # It holds for their other tickets too.
            await self.keys.add_copy(one.key.fingerprint, data)
        return one

    def _changed(self, message: OpenedMessage, contact: Contact, others: Sequence[Candidate]) -> Learned:
        """A different key: only the pinned one can speak for it, in a mail that brings exactly one."""
        named = {
            one.key.fingerprint: one
            for one in others
            if one.usable and contact.address.lower() in one.status.addresses
        }
        if not named:
            return Learned(contact, pinned=self._used(message, contact))
        vouched = signers(message) & {contact.fingerprint, contact.signer}
        # No signature covers the mail's own header, so a key from there is anybody's.
        inside = [one for name, one in named.items() if name in message.enclosed]
        if not vouched or len(inside) != 1:
            return Learned(contact, (SEVERAL_KEYS if len(inside) > 1 else OTHER_KEY,))
        key = self._seen(inside[0], Provenance.SUCCESSOR, message)
        old = contact.fingerprint or ""
        history = (KeyEvent(self._today(), "replaces", old), *key.history)
        key = dataclasses.replace(key, history=history)
        changed = dataclasses.replace(
            self._pin(contact, key, "replaced-by"),
            signer=key.fingerprint if contact.signer is not None else None,
            earlier=(*contact.earlier[-5:], old),
        )
        return Learned(changed, (CHANGED,), key, old)

    def _used(self, message: OpenedMessage, contact: Contact) -> KnownKey | None:
        """The pinned key when this mail proved it again, so that the store remembers it for longer."""
        if contact.certificate is None or contact.fingerprint not in signers(message):
            return None
        if contact.provenance in (None, Provenance.CONFIGURED):
            return None
        source = Provenance.SUCCESSOR if contact.provenance is Provenance.SUCCESSOR else Provenance.SIGNED
        key = KnownKey(contact.certificate, contact.fingerprint or "", (), (), source, contact.expires)
        return self._named(key, message, (message.from_address or "",))

    # --------------------------------------------------------------- details
    def _today(self) -> int:
        return self.clock.now() // 86400

    def _pin(self, contact: Contact, key: KnownKey, word: str) -> Contact:
        event = KeyEvent(self._today(), word, key.fingerprint)
        return dataclasses.replace(
            contact,
            certificate=key.certificate,
            fingerprint=key.fingerprint,
            provenance=key.provenance,
            expires=key.expires,
            history=(*contact.history[-20:], event),
        )

    def _seen(self, one: Candidate, provenance: Provenance, message: OpenedMessage | None = None) -> KnownKey:
        key = dataclasses.replace(one.key, provenance=provenance, keys=one.status.signing)
        key = dataclasses.replace(key, expires=one.status.expires)
        return self._named(key, message, one.status.addresses)

    def _named(self, key: KnownKey, message: OpenedMessage | None, addresses: Sequence[str]) -> KnownKey:
        """The key under the names that it has proven: who makes a key writes any address and any other's key
        into it. That is the address which a signed mail came from, and the keys that have signed."""
        signatures = message.signatures if message is not None else ()
        made = [one.signing_fingerprint for one in signatures if one.fingerprint == key.fingerprint]
        author = (message.from_address or "").lower() if message is not None else ""
        return dataclasses.replace(
            key,
            keys=tuple(dict.fromkeys(one for one in (key.fingerprint, *key.keys, *made) if one)),
            addresses=tuple(one for one in map(str.lower, addresses) if one and one == author),
            last_day=self._today(),
        )

    async def _known(
        self, address: str, signer: str | None, copies: Sequence[Candidate] = ()
    ) -> list[Candidate]:
        """Known keys for an address and of a signer, with what copies of them in the mail add."""
        keys = list(await self.keys.by_address(address))
        if signer is not None and not any(signer == key.fingerprint for key in keys):
            more = await self.keys.by_key(signer)
            keys += [more] if more is not None else []
        for at, key in enumerate(keys):
            for copy in copies:
                if copy.key.fingerprint == key.fingerprint:
                    fuller = await self._with_copy(keys[at].certificate, copy)
                    if fuller is not None:
                        keys[at] = dataclasses.replace(key, certificate=fuller.key.certificate)
        return [one for key in keys if (one := await self._candidate(key, carried=False)) is not None]

    async def _carried(self, message: OpenedMessage, but: bytes | None = None) -> list[Candidate]:
        found: list[Candidate] = []
        seen: list[bytes] = []
        for certificate in message.certificates:
            try:
                names = index_of(certificate)
            except VeildeskError:
                continue
            if names.certificate in (but, *seen):
                continue
            seen.append(names.certificate)
            source = Provenance.ATTACHED
            if message.autocrypt == names.fingerprint:
                source = Provenance.AUTOCRYPT
            # A copy without the revocation that we know of is an old one.
            whole = await self.keys.with_known(names.fingerprint, names.certificate)
            key = KnownKey(whole, names.fingerprint, names.keys, names.addresses, source)
            candidate = await self._candidate(key, carried=True)
            if candidate is not None:
                found.append(candidate)
        return found

    async def _candidate(self, key: KnownKey, *, carried: bool) -> Candidate | None:
        """None for what the engine cannot use at all, and for keys that claim to be ours."""
        try:
            status = await self.engine.certificate_status(key.certificate)
        except VeildeskError as error:
            if error.temporary:
                raise
            return None
        if any(self.replies.is_own(address) for address in (*status.addresses, *key.addresses)):
            return None
        return Candidate(key, status, carried)
