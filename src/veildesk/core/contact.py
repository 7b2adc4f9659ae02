"""How to reach the person behind a ticket: kept sealed under the ticket's key, nowhere else."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

__all__ = ["Contact", "decode_contact", "encode_contact"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and how an answer goes.

    `certificate` is the transferable public key answers are encrypted to, pinned for the ticket;
    `fingerprint` is its primary key. `wrote_encrypted` forbids plaintext answers for good.
    `signer` is the fingerprint of the first valid signature, None for unsigned mail. `references`
    are message ids for threading at the user's side, oldest first, without angle brackets.
    """

    address: str = field(repr=False)
    subject: str = field(repr=False)
    wrote_encrypted: bool
    certificate: bytes | None = field(default=None, repr=False)
    fingerprint: str | None = field(default=None, repr=False)
    signer: str | None = field(default=None, repr=False)
    references: tuple[str, ...] = field(default=(), repr=False)


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
    )
