"""Who writes to us: how to reach the person behind a ticket, and which key is known for whom.

A `Contact` is kept sealed under its ticket's key and decides for that ticket alone. A `KnownKey` is what
the contact store remembers beyond one ticket.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

__all__ = ["Contact", "KeyEvent", "KnownKey", "Provenance", "decode_contact", "encode_contact"]

_VERSION = 1


class Provenance(StrEnum):
    """How a certificate came to be known, the strongest first."""

    CONFIGURED = "configured"
    SUCCESSOR = "signed-by-earlier-key"
    EARLIER = "earlier-tickets"
    SIGNED = "came-with-its-signature"
    WKD = "wkd"
    AUTOCRYPT = "autocrypt"
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One line of a key's history: day since 1970 UTC, a fixed word, and the fingerprint it is about.

    Words in use: "pinned", "refreshed", "replaced-by", "replaces".
    """

    day: int
    word: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A certificate and what is known of it.

    `keys` are fingerprints and `addresses` lower-case addresses under which it is found. What is learned from
    mails has only such as have proven to belong to it. `expires` is seconds
    since 1970 UTC, None for never or not known; `last_day` is the day it was last used.
    """

    certificate: bytes = field(repr=False)
    fingerprint: str
    keys: tuple[str, ...]
    addresses: tuple[str, ...] = field(repr=False)
    provenance: Provenance
    expires: int | None = None
    last_day: int = 0
    history: tuple[KeyEvent, ...] = ()

    def with_names_of(self, before: KnownKey) -> KnownKey:
        """This key under the names that it was found by before, too."""
        return replace(
            self,
            keys=tuple(dict.fromkeys((*self.keys, *before.keys))),
            addresses=tuple(dict.fromkeys((*self.addresses, *before.addresses))),
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and how an answer goes.

    `certificate` is the transferable public key answers are encrypted to, pinned for the ticket;
    `fingerprint` is its primary key, `provenance` how it came, `expires` when it ends (seconds since 1970
    UTC, None for never). `wrote_encrypted` forbids plaintext answers for good.
    `author` is the address in From, "" where it is `address`: an answer may be wished elsewhere.
    `signer` is the fingerprint of the first valid signature, None for unsigned mail. `expected` is that of
    a key which signed but was not there to check it: no other is taken for this ticket. `earlier` are
    fingerprints of keys that were replaced, `history` tells when. `references`
    are message ids for threading at the user's side, oldest first, without angle brackets; what a mail says
    that it answers is among them. `received` are those of the ticket's own mails alone. `unproven` says
    that a message of the ticket came encrypted and was not signed inside by the pinned key: its text may be
    somebody else's, captured and sent again, and is quoted to nobody.
    """

    address: str = field(repr=False)
    subject: str = field(repr=False)
    wrote_encrypted: bool
    certificate: bytes | None = field(default=None, repr=False)
    fingerprint: str | None = field(default=None, repr=False)
    signer: str | None = field(default=None, repr=False)
    references: tuple[str, ...] = field(default=(), repr=False)
    provenance: Provenance | None = None
    expires: int | None = None
    expected: str | None = field(default=None, repr=False)
    earlier: tuple[str, ...] = field(default=(), repr=False)
    history: tuple[KeyEvent, ...] = field(default=(), repr=False)
    unproven: bool = False
    author: str = field(default="", repr=False)
    received: tuple[str, ...] = field(default=(), repr=False)


def encode_contact(contact: Contact) -> bytes:
    """Versioned JSON bytes."""
    return json.dumps(
        {
            "v": _VERSION,
            "address": contact.address,
            "subject": contact.subject,
            "encrypted": contact.wrote_encrypted,
            "certificate": base64.b64encode(contact.certificate).decode() if contact.certificate else None,
            "fingerprint": contact.fingerprint,
            "signer": contact.signer,
            "references": list(contact.references),
            "provenance": contact.provenance,
            "expires": contact.expires,
            "expected": contact.expected,
            "earlier": list(contact.earlier),
            "history": [[one.day, one.word, one.fingerprint] for one in contact.history],
            "unproven": contact.unproven,
            "author": contact.author,
            "received": list(contact.received),
        }
    ).encode()


def decode_contact(data: bytes) -> Contact:
    """The reverse. Raises `ValueError` for another version."""
    fields = json.loads(data)
    if fields["v"] != _VERSION:
        raise ValueError("unknown contact version")
    return Contact(
        address=fields["address"],
        subject=fields["subject"],
        wrote_encrypted=fields["encrypted"],
        certificate=base64.b64decode(fields["certificate"]) if fields["certificate"] else None,
        fingerprint=fields["fingerprint"],
        signer=fields["signer"],
        references=tuple(fields["references"]),
        provenance=Provenance(fields["provenance"]) if fields["provenance"] else None,
        expires=fields["expires"],
        expected=fields["expected"],
        earlier=tuple(fields["earlier"]),
        history=tuple(KeyEvent(*one) for one in fields["history"]),
        unproven=fields.get("unproven", fields["encrypted"]),
        author=fields.get("author", ""),
        received=tuple(fields.get("received", fields["references"])),
    )
