"""Which headers count, and which never go further.

Headers are read from the cryptographic payload when it protects them (RFC 9788, or the older
`protected-headers="v1"`), and only from its root; copies outside are then ignored. Everything that is
not read is dropped and told by name only. Our own namespace is dropped from all input: no header of a
stranger ever controls this program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from veildesk.core.limits import Limits
from veildesk.mail.address import single_address
from veildesk.mail.charset import decode_header
from veildesk.mail.parse import HeaderField, Part, read_outer_header
from veildesk.mail.thread import first_message_id, references

__all__ = [
    "OWN_NAMESPACE",
    "EffectiveHeaders",
    "Protection",
    "effective_headers",
    "header_protection",
    "is_placeholder_subject",
    "removed_headers",
    "sender_of",
]

OWN_NAMESPACE = "x-veildesk-"
_STRUCTURE = frozenset({"mime-version", "content-type", "content-transfer-encoding", "content-disposition"})
_PLACEHOLDERS = frozenset(
    {"", "...", "[...]", "…", "[…]", "encrypted message", "encrypted mail", "subject unavailable"}
)


class Protection(StrEnum):
    """How the payload says its headers are protected."""

    NONE = ""
    CLEAR = "clear"
    CIPHER = "cipher"
    V1 = "v1"


@dataclass(frozen=True, slots=True)
class EffectiveHeaders:
    """What a mail says about itself, each from the place that counts.

    `subject_inside` is true when the subject came from the cryptographic payload; whether that
    payload deserves trust is for the caller to say. Ids are without angle brackets.
    """

    subject: str
    subject_inside: bool
    protection: Protection
    from_address: str | None
    reply_address: str | None
    message_id: str | None
    references: tuple[str, ...]


def sender_of(raw: bytes, limits: Limits | None = None) -> str | None:
    """The one address in the outer From of a mail that is not opened yet, lower-case; it proves nothing.

    Raises `LimitExceeded` or `Unparsable`, as reading the mail would.
    """
    fields = read_outer_header(raw, limits)
    address = single_address(tuple(item.value for item in fields if item.key == "from"))
    return address.lower() if address is not None else None


def header_protection(payload: Part) -> Protection:
    """The declaration at the root of a payload; parts further inside declare nothing."""
    declared = payload.params.get("hp", "").lower()
    if declared in ("clear", "cipher"):
        return Protection(declared)
    if payload.params.get("protected-headers", "").lower() == "v1":
        return Protection.V1
    return Protection.NONE


def is_placeholder_subject(subject: str) -> bool:
    """Whether an outer subject only stands in for a hidden one."""
    return subject.strip().lower() in _PLACEHOLDERS


def effective_headers(outer: Part, payload: Part | None = None) -> EffectiveHeaders:
    """Headers of a mail. `payload` is the root inside encryption or signature over the whole mail.

    With `hp` (RFC 9788 § 4) nothing outside counts. With "v1", a field that is missing inside is taken
    from outside, since programs of that time protect only some; address fields go together.
    """
    protection = header_protection(payload) if payload is not None else Protection.NONE
    if payload is not None and protection is Protection.NONE and _hidden_by_mutt(outer, payload):
        return replace(
            _collect(outer, outer, outer, Protection.NONE),
            subject=decode_header(payload.value("Subject") or b""),
            subject_inside=True,
        )
    if payload is None or protection is Protection.NONE:
        return _collect(outer, outer, outer, Protection.NONE)
    if protection is Protection.V1:
        subject = payload if payload.values("Subject") else outer
        author = payload if payload.values("From") else outer
        return _collect(subject, author, outer, protection, payload)
    return _collect(payload, payload, payload, protection)


def _hidden_by_mutt(outer: Part, payload: Part) -> bool:
    """Mutt 1.12 moved the subject inside and left "..." outside, without any mark at the payload."""
    return outer.value("Subject") == b"..." and payload.value("Subject") is not None


def _collect(
    subject: Part, author: Part, fallback: Part, protection: Protection, inner: Part | None = None
) -> EffectiveHeaders:
    value = subject.value("Subject")
    sender = single_address(author.values("From"))
    reply = author.values("Reply-To")
    sources = (inner, fallback) if inner is not None else (fallback,)
    ids = (first_message_id(part.values("Message-ID")) for part in sources)
    return EffectiveHeaders(
        subject=decode_header(value) if value is not None else "",
        subject_inside=protection is not Protection.NONE and (inner is None or subject is inner),
        protection=protection,
        from_address=sender,
        reply_address=single_address(reply) if any(item.strip() for item in reply) else sender,
        message_id=next((found for found in ids if found), None),
        references=next((found for part in sources if (found := references(part))), ()),
    )


def removed_headers(outer: Part, payload: Part | None, *, outer_subject_used: bool) -> tuple[str, ...]:
    """Names of all fields that do not reach the agents, in order, each once; never their values.

    Subject counts as removed where another one took its place. What only describes the MIME
    structure is used up by reading it.
    """
    fields: list[HeaderField] = [*outer.headers]
    if payload is not None:
        fields.extend(item for item in payload.headers if item.key != "subject")
    names: dict[str, str] = {}
    for item in fields:
        if item.key in _STRUCTURE or (item.key == "subject" and outer_subject_used):
            continue
        names.setdefault(item.key, item.name)
    return tuple(names.values())
