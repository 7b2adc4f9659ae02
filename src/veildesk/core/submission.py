"""What reaches the spool, whatever way it came.

A `Submission` is one mail or portal entry at the moment of acceptance. After `Spool.accept` returns,
it is durable, sealed, and the sender may be told so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Accepted", "Channel", "PortalAnchor", "PortalEntry", "SpareCode", "Submission", "dedup_key"]


class Channel(StrEnum):
    """How something reached the gateway."""

    SMTP = "smtp"
    LMTP = "lmtp"
    IMAP = "imap"
    PORTAL = "portal"
    BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class PortalAnchor:
    """What ties a portal ticket to its words: derived from them, never the words themselves.

    `lookup_id` is 32 bytes, `public_key` the encoded public key to which thread entries are sealed.
    """

    lookup_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class SpareCode:
    """What is kept of a spare code: by what it is found, and the thread's keys sealed under it.

    `digest` is 16 bytes. Neither tells the code.
    """

    digest: bytes
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Submission:
    """One thing to accept.

    `dedup` is the idempotency key: the same key accepted twice is one message. `payload` is the raw
    mail, or an encoded `PortalEntry`. `anchor` is set for portal entries; `thread_entry` is then the
    copy for the user's own thread, sealed to `anchor.public_key` by the caller. `spares` are kept with
    the first entry of a portal ticket. `message_id` is the random id it gets if it is fresh (32 hex
    digits), "" to let the spool choose.
    """

    channel: Channel
    dedup: bytes
    payload: bytes = field(repr=False)
    queue: str = "support"
    anchor: PortalAnchor | None = None
    thread_entry: bytes | None = field(default=None, repr=False)
    spares: tuple[SpareCode, ...] = field(default=(), repr=False)
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The spool's word that a submission is kept. `fresh` is False when the key was known."""

    message_id: str
    ticket_id: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class PortalEntry:
    """What a portal user sends to the agents: text with the user's choices already applied.

    `kept` lists values the user chose to leave visible, so that the later redaction leaves them too
    (secrets are hidden all the same, unless the user said so a second time: `confirmed`). `counts` are
    the findings hidden so far, by type. `numbering` is an encoded `MaskNumbering`. Attachments are
    `(name, media type, content)` as uploaded; names and text in them are still to be redacted, with the
    user's `own_words`.
    """

    text: str = field(repr=False)
    topic: str = "other"
    language: str = "en"
    kept: tuple[str, ...] = field(default=(), repr=False)
    counts: Mapping[str, int] = field(default_factory=dict)
    numbering: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attachments: tuple[tuple[str, str, bytes], ...] = field(default=(), repr=False)
    own_words: tuple[str, ...] = field(default=(), repr=False)
    confirmed: tuple[str, ...] = field(default=(), repr=False)


def dedup_key(secret: bytes, *parts: bytes) -> bytes:
    """A keyed digest (HMAC-SHA-256, 32 bytes) over length-prefixed parts, so that it tells nothing."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.digest()
