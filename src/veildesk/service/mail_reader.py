"""Reading incoming mail in the gateway: with the keys that can matter, and only what its queue may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from veildesk.core.contact import decode_contact
from veildesk.core.envelope import Payload
from veildesk.core.errors import AmbiguousSender, NotEncrypted, NothingOpened, NotSigned
from veildesk.core.limits import Limits
from veildesk.core.message import Disposition, OpenedMessage, Scope, Verdict
from veildesk.core.ports import Clock, Engine, Spool
from veildesk.core.submission import dedup_key
from veildesk.mail.reply_address import ReplyAddresses, message_id_of
from veildesk.openpgp.opening import look_at
from veildesk.service.config import QueueConfig
from veildesk.service.disposition import dispose, nothing_open
from veildesk.service.known_keys import KnownKeys
from veildesk.service.reading import is_unsettled, read_mail

__all__ = ["MailReader", "unknown_signers"]

_MAX_TOKENS = 5


@dataclass(frozen=True, slots=True)
class MailReader:
    """`secret` keys the digests under which message ids are remembered, `domain` is that of our own ones."""

    spool: Spool
    engine: Engine
    keys: KnownKeys
    replies: ReplyAddresses
    queues: Mapping[str, QueueConfig]
    secret: bytes = field(repr=False)
    domain: str
    clock: Clock
    limits: Limits

    async def read(self, mail: Payload, *, ask: bool = True) -> OpenedMessage:
        """Open and verify with the few keys that can matter: those known for the sender, and if they do not
        settle it, those that the signatures and the ticket name, and what the sender's domain publishes (not
        where a client waits for the reply: `ask`). Raises as `read_mail`."""
        raw = mail.raw
        looked = await look_at(raw, self.limits)
        sender = looked.sender
        own = frozenset((self.replies.address.lower(), *self._addresses()))
        known = [key.certificate for key in await self.keys.by_address(sender)]
        message = await read_mail(
            raw, self.engine, known, self.limits, null_sender=mail.null_sender, own=own, looked=looked
        )
        unknown = unknown_signers(message)
        if not unknown:
            return message
        more: list[bytes | None] = [await self._pinned(message, mail.extension)]
        for fingerprint in unknown:
            key = await self.keys.by_key(fingerprint) if fingerprint else None
            more.append(key.certificate if key is not None else None)
        if ask and not any(more):
            published = await self.keys.discover(sender, self.clock.now() // 86400)
            more = [key.certificate for key in published if set(key.keys) & set(unknown)]
        if not any(more):
            return message
        known += [certificate for certificate in more if certificate is not None]
        return await read_mail(
            raw, self.engine, known, self.limits, null_sender=mail.null_sender, own=own, looked=looked
        )

    def _addresses(self) -> tuple[str, ...]:
        return tuple(one.lower() for queue in self.queues.values() for one in queue.addresses)

    def marker(self, message_id: str) -> bytes:
        """The keyed digest under which a message id is remembered."""
        return dedup_key(self.secret, b"message-id", message_id.encode("utf-8", "surrogatepass"))

    def answered(self, message: OpenedMessage, extension: str) -> tuple[str, ...]:
        """Message ids that this mail answers, the surest first: by reply address, then by reference."""
        tokens = self.replies.tokens(message.recipients, extension)
        by_token = [message_id_of(token, self.domain) for token in tokens[:_MAX_TOKENS]]
        return tuple(dict.fromkeys((*by_token, *reversed(message.references))))

    def require(self, queue: str, message: OpenedMessage) -> None:
        """Raises what speaks against a mail: `NothingOpened`, `AmbiguousSender`, `NotEncrypted`, `NotSigned`.

        The sender can be told each of them while the mail is offered.
        """
        if nothing_open(message):
            raise NothingOpened("encrypted-structure")
        if dispose(message)[0] is Disposition.QUARANTINE:
            raise AmbiguousSender
        require = self.queues[queue].require if queue in self.queues else "nothing"
        if require == "encryption" and message.encryption.scope is not Scope.WHOLE:
            raise NotEncrypted("queue requires encryption")
        if require == "signature" and not any(
            s.verdict is Verdict.VALID and s.scope is Scope.WHOLE for s in message.signatures
        ):
            raise NotSigned("queue requires a signature")

    async def _pinned(self, message: OpenedMessage, extension: str) -> bytes | None:
        """The certificate of the ticket that a mail names; it is only for checking a signature."""
        for answered in self.answered(message, extension):
            ticket = await self.spool.find_by_marker(self.marker(answered))
            stored = await self.spool.ticket_part(ticket, "contact") if ticket else None
            if stored is not None:
                return decode_contact(stored).certificate
        return None


def unknown_signers(message: OpenedMessage) -> list[str | None]:
    """Keys that signed and are not known for certain; while there are any, a later look may find more."""
    return [one.signing_fingerprint for one in message.signatures if is_unsettled(one)]
