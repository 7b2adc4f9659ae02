"""From an opened mail to the message that becomes a ticket. Pure: bytes in, nouns out.

The caller opened and verified the mail and passes what it found; nothing here decides about
cryptography. Headers that identify anyone are read where they are needed and named in
`removed_headers`, never copied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from veildesk.core.errors import LimitExceeded
from veildesk.core.limits import Limits
from veildesk.core.message import Attachment, Encryption, OpenedMessage, Scope, Signature, Verdict
from veildesk.mail.address import parse_mailboxes, single_address
from veildesk.mail.headers import EffectiveHeaders, effective_headers, removed_headers
from veildesk.mail.names import default_name, safe_name
from veildesk.mail.parse import Part, parse_mail
from veildesk.mail.text import read_body
from veildesk.mail.thread import first_message_id, is_automatic, list_address

__all__ = ["normalise"]

_KEY_TYPE = "application/pgp-keys"
_KEY_MARK = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_MAX_KEYS = 10
_MAX_RECIPIENTS = 100
# The last three are written by servers that deliver into a mailbox.
_RECIPIENT_FIELDS = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")


def normalise(
    raw: bytes,
    payload: bytes | None = None,
    *,
    encryption: Encryption | None = None,
    signatures: Sequence[Signature] = (),
    return_path: str | None = None,
    notes: Sequence[str] = (),
    limits: Limits | None = None,
    own: frozenset[str] = frozenset(),
    parsed: tuple[Part | None, Part | None] = (None, None),
) -> OpenedMessage:
    """Build the message from the mail as it came and from what was inside its envelope.

    `raw` is the mail as received. `payload` is the MIME entity inside the outermost encryption or
    signature over the whole mail, with its own header; None or `raw` itself when there is no such envelope.
    `return_path` is the envelope sender, "" for the null path, None when unknown. `notes` are passed on;
    "ambiguous-sender", "html-made-text", "amp-dropped", "returned-headers-dropped", "tnef-opened" and
    "tnef-damaged" may be added. `own` are our addresses, lower-case: a list with one is in front of us.
    `parsed` is what `parse_mail` made of `raw` and of `payload` with these limits, None for not parsed yet.
    Raises `LimitExceeded` or `Unparsable`.
    """
    limits = limits or Limits()
    encryption = encryption or Encryption()
    outer = parsed[0] or parse_mail(raw, limits)
    inner = None
    if payload is not None and payload != raw:
        inner = parsed[1] or parse_mail(payload, limits)
    root = inner if inner is not None else outer
    decrypted = encryption.scope is Scope.WHOLE and encryption.integrity is not None
    headers = effective_headers(outer, inner)
    body = read_body(root, decrypted=decrypted and inner is not None, limits=limits)
    if len(body.attachments) > limits.attachments:
        raise LimitExceeded("attachments")
    attachments = tuple(_attachment(part, n) for n, part in enumerate(body.attachments, 1))
    # A list encrypts to nobody: who encrypted to us wrote to us, whatever way it took.
    written_to_us = decrypted or (list_address(outer) or "") in own
    machine = is_automatic(outer, return_path=return_path, through_list=True)
    known = machine or written_to_us or not is_automatic(outer, return_path=return_path)
    listed = () if known else ("through-a-list",)
    return OpenedMessage(
        subject=headers.subject,
        subject_protected=_subject_protected(headers, decrypted, signatures),
        text=body.text,
        attachments=attachments,
        encryption=encryption,
        signatures=tuple(signatures),
        from_address=headers.from_address,
        outer_from=single_address(outer.values("From")),
        reply_address=headers.reply_address,
        message_id=headers.message_id,
        outer_id=first_message_id(outer.values("Message-ID")),
        references=headers.references,
        recipients=_recipients(outer, inner),
        automatic=machine or bool(listed),
        removed_headers=removed_headers(outer, inner, outer_subject_used=not headers.subject_inside),
        certificates=_certificates(attachments),
        notes=tuple(dict.fromkeys((*notes, *_sender_notes(outer), *body.notes, *listed))),
    )


def _recipients(*entities: Part | None) -> tuple[str, ...]:
    """Addresses in fields that say where a mail went, each once."""
    found: dict[str, None] = {}
    for entity in (one for one in entities if one is not None):
        for value in (value for name in _RECIPIENT_FIELDS for value in entity.values(name)):
            found.update(dict.fromkeys(box.address.lower() for box in parse_mailboxes(value) or ()))
    return tuple(found)[:_MAX_RECIPIENTS]


def _sender_notes(outer: Part) -> tuple[str, ...]:
    """Told when different programs would show different authors, even when a protected From is clear."""
    values = outer.values("From")
    for value in values:
        boxes = parse_mailboxes(value)
        unclear = boxes is None and value.count(b"@") > 1
        if len(values) > 1 or unclear or len(boxes or ()) > 1:
            return ("ambiguous-sender",)
    return ()


def _subject_protected(headers: EffectiveHeaders, decrypted: bool, signatures: Sequence[Signature]) -> bool:
    """Only a subject from inside, and only if that inside was decrypted whole or validly signed."""
    if not headers.subject_inside:
        return False
    return decrypted or any(
        item.verdict is Verdict.VALID and item.scope is Scope.WHOLE for item in signatures
    )


def _attachment(part: Part, number: int) -> Attachment:
    fallback = default_name(part.media_type, number)
    media_type = part.media_type
    charset = part.params.get("charset", "")
    if media_type.startswith("text/") and _CHARSET.fullmatch(charset):
        media_type = f"{media_type}; charset={charset}"
    return Attachment(safe_name(part.filename, fallback), media_type, part.content)


def _certificates(attachments: Sequence[Attachment]) -> tuple[bytes, ...]:
    """Attached public keys as they are; whether they are any good is for the key store to say."""
    found = (
        item.content
        for item in attachments
        if item.media_type == _KEY_TYPE or _KEY_MARK in item.content[:4096]
    )
    return tuple(dict.fromkeys(found))[:_MAX_KEYS]
