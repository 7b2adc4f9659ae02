"""What was read out of a mail: parts, attachments, and what cryptography says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

__all__ = [
    "Attachment",
    "Disposition",
    "Encryption",
    "Integrity",
    "OpenedMessage",
    "Scope",
    "Signature",
    "Verdict",
]


class Verdict(StrEnum):
    """State of one signature. Only `VALID` speaks for its signer; there is no partial trust."""

    VALID = "valid"
    INVALID = "invalid"
    EXPIRED_SIGNATURE = "expired-signature"
    EXPIRED_KEY = "expired-key"
    REVOKED_KEY = "revoked-key"
    UNKNOWN_KEY = "unknown-key"
    WEAK_HASH = "weak-hash"
    FUTURE_DATE = "future-date"
    UNSUPPORTED = "unsupported"

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict is not a truth value: compare it with Verdict.VALID")


class Scope(StrEnum):
    """How much of the message an encryption or a signature covers."""

    WHOLE = "whole"
    PART = "part"
    NONE = "none"


class Integrity(StrEnum):
    """How ciphertext was protected against changes (RFC 9580 § 5.13 and § 5.14)."""

    MDC = "mdc"
    AEAD = "aead"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and its verdict.

    `fingerprint` is the primary key's (40 or 64 upper-case hex digits), None when the signature
    does not name it. `signing_fingerprint` is that of the key that made it. `created` and
    `expires` are seconds since 1970, UTC. `hash_name` is lower-case, such as "sha256".
    """

    verdict: Verdict = Verdict.INVALID
    fingerprint: str | None = None
    signing_fingerprint: str | None = None
    scope: Scope = Scope.PART
    bound_to_from: bool = False
    created: int | None = None
    expires: int | None = None
    hash_name: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a signature is not a truth value: compare its verdict")


@dataclass(frozen=True, slots=True)
class Encryption:
    """Whether the message was encrypted, how far, and how its integrity was protected.

    `integrity` is None when nothing was decrypted.
    """

    scope: Scope = Scope.NONE
    integrity: Integrity | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment in memory. `name` is a safe base name, `content` the decoded bytes.

    `media_type` may carry a charset parameter for text that was not cleaned yet.

    `cleaned` is true only after metadata was removed and the result checked; `refused` is a
    public sentence when the content was dropped instead.
    """

    name: str
    media_type: str
    content: bytes = field(repr=False)
    cleaned: bool = False
    refused: str | None = None


class Disposition(StrEnum):
    """What the gateway makes of a mail."""

    TICKET = "ticket"
    REPLY = "reply"
    AUTOMATIC = "automatic"
    REFUSE = "refuse"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A mail after opening: plaintext in memory only, with everything known about its protection.

    `text` is UTF-8 decodable Unicode, NFC, LF line ends. `reply_address` is where an answer goes,
    taken from protected headers when there are any, else None when no single address can be told;
    `outer_from` is the author and `outer_id` the message id that mail servers saw.
    `references` are message ids without angle brackets, oldest first. `recipients` are the lower-case
    addresses the mail was sent to, as far as its header says. `certificates` are
    transferable public keys carried by the mail; carrying them proves nothing. `autocrypt` is the
    fingerprint of the one that came in the Autocrypt header, which no signature covers; `enclosed` are those
    of the ones attached inside, which a signature over the whole speaks for.
    """

    subject: str = ""
    subject_protected: bool = False
    text: str = field(default="", repr=False)
    attachments: tuple[Attachment, ...] = ()
    encryption: Encryption = Encryption()
    signatures: tuple[Signature, ...] = ()
    from_address: str | None = None
    outer_from: str | None = None
    reply_address: str | None = None
    message_id: str | None = None
    outer_id: str | None = None
    references: tuple[str, ...] = ()
    recipients: tuple[str, ...] = field(default=(), repr=False)
    automatic: bool = False
    removed_headers: tuple[str, ...] = ()
    certificates: tuple[bytes, ...] = ()
    autocrypt: str | None = None
    enclosed: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
