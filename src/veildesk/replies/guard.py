"""What an agent's answer must not carry, and when plaintext is forbidden. Pure.

An answer is held, not changed: only a person may decide what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from veildesk.core.contact import Contact
from veildesk.core.finding import Finding
from veildesk.core.work import Reason

__all__ = ["guard_contact", "guard_text"]


def guard_text(findings: Iterable[Finding]) -> Reason:
    """`GUARD` when the answer holds a secret (private key, seed phrase, password, token)."""
    return Reason.GUARD if any(f.secret for f in findings) else Reason.NONE


def guard_contact(contact: Contact | None) -> Reason:
    """Whether an answer may leave: somebody must be reachable, and who wrote encrypted needs a key."""
    if contact is None or not contact.address:
        return Reason.NO_CONTACT
    if contact.wrote_encrypted and contact.certificate is None:
        return Reason.NO_KEY
    return Reason.NONE
