"""The line that tells agents how a message was protected. Pure; names no key and no address."""

from __future__ import annotations

from collections.abc import Mapping

from veildesk.core.contact import Contact, Provenance
from veildesk.core.message import OpenedMessage, Scope, Verdict

__all__ = ["aged_notices", "mail_notices", "protection_line"]

_ENCRYPTED = {
    Scope.WHOLE: "encrypted",
    Scope.PART: "only a part of it encrypted",
    Scope.NONE: "not encrypted",
}
_VERDICTS = {
    Verdict.INVALID: "signature not valid",
    Verdict.EXPIRED_SIGNATURE: "signature expired",
    Verdict.EXPIRED_KEY: "signed with an expired key",
    Verdict.REVOKED_KEY: "signed with a revoked key",
    Verdict.UNKNOWN_KEY: "signed with a key that is not known",
    Verdict.WEAK_HASH: "signature too weak to count",
    Verdict.FUTURE_DATE: "signature dated in the future",
    Verdict.UNSUPPORTED: "signature of a kind that cannot be checked",
}
_SOURCES: Mapping[Provenance | None, str] = {
    Provenance.CONFIGURED: "the key is one that this gateway was given",
    Provenance.SUCCESSOR: "the key is known from earlier tickets, where an earlier one vouched for it",
    Provenance.EARLIER: "the key is known from earlier tickets",
    Provenance.WKD: "the key is the one that the sender's mail domain publishes",
}


CLOSED = (
    "A part of this mail is encrypted and was not opened: only what is encrypted as a whole is. Ask the "
    "person to encrypt the whole mail (PGP/MIME) and to send it again."
)
CLOSED_FILE = (
    "A file in this mail is encrypted by itself and was not opened, because the key that signed the text did "
    "not sign it. Ask the person to encrypt the whole mail (PGP/MIME) and to send it again."
)
SMIME = (
    "This mail is encrypted or signed with S/MIME, which is not opened or checked here. Ask the person to "
    "use OpenPGP."
)
AUTOMATIC = "This is an automatic message, not an answer of the person."
LISTED = "This mail came through a mailing list, so that it may not be an answer of the person."
AGED = (
    "The signature of this mail was made {days} days ago: this may be an earlier mail, sent once more by "
    "somebody who has it."
)
_DAY, _DAYS_ON_THE_WAY = 86400, 7
NO_TEXT = "This mail has no text."


def aged_notices(message: OpenedMessage, now: int) -> tuple[str, ...]:
    """A line for the agents when a signature is older than mail is ever on its way (`now` in seconds)."""
    made = [one.created for one in message.signatures if one.verdict is Verdict.VALID and one.created]
    days = (now - min(made)) // _DAY if made else 0
    return (AGED.format(days=days),) if days > _DAYS_ON_THE_WAY else ()


def mail_notices(message: OpenedMessage) -> tuple[str, ...]:
    """Lines for the agents about what they do not see, and what to do about it."""
    found = []
    if message.encryption.scope is Scope.PART and message.encryption.integrity is None:
        found.append(CLOSED)
    if "closed-file" in message.notes:
        found.append(CLOSED_FILE)
    if "smime-unsupported" in message.notes:
        found.append(SMIME)
    if message.automatic:
        found.append(LISTED if "through-a-list" in message.notes else AUTOMATIC)
    if not message.text.strip():
        found.append(NO_TEXT)
    return tuple(found)


def protection_line(
    message: OpenedMessage | None, before: Contact | None, contact: Contact | None = None
) -> str:
    """For example "Mail: encrypted; signed by the same key as before". None is a portal ticket.

    `before` is what the ticket knew, `contact` what is known now.
    """
    if message is None:
        return "Portal: written over the onion service; whoever has the ticket words can read and answer"
    encrypted = _ENCRYPTED[message.encryption.scope]
    if message.encryption.scope is Scope.NONE and "smime-unsupported" in message.notes and not message.text:
        encrypted = "encrypted with S/MIME, not opened"
    return f"Mail: {encrypted}; {_signed(message, before, contact)}"


def _signed(message: OpenedMessage, before: Contact | None, contact: Contact | None) -> str:
    if not message.signatures:
        return "not signed"
    valid = [s for s in message.signatures if s.verdict is Verdict.VALID]
    if not valid:
        worst = message.signatures[0].verdict
        return _VERDICTS[worst]
    if len(valid) != len(message.signatures):
        return "several signatures, not all of them valid"
    whole = [s for s in valid if s.scope is Scope.WHOLE]
    if not whole:
        return "only a part of it signed"
    # Of one and the same signature: another's signed text may be enclosed in what somebody else signed.
    fingerprints = {s.fingerprint for s in whole if s.bound_to_from}
    if not fingerprints:
        return "signed by a key that does not name the sender"
    if before is None:
        source = contact.provenance if contact and contact.fingerprint in fingerprints else None
        return f"signed; {_SOURCES.get(source, 'first message with this key')}"
    if before.signer in fingerprints:
        return "signed by the same key as before"
    if fingerprints & set(before.earlier):
        return "signed by an earlier key of this ticket"
    return "signed by a new key, not the one of earlier messages"
