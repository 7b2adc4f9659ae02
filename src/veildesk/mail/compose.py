"""Outgoing mail as exact bytes, with a fixed set and order of header fields.

Encrypted mail: the entity inside carries the true headers (RFC 9788, `hp="cipher"`), the outside only
what transport and threading need, with the subject "[...]". Signed mail: RFC 3156 § 5, the same headers
inside with `hp="clear"`. No field tells the program, the host, the minute or the time zone. Nothing
here has a clock or randomness: the caller passes the time and a random message id.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from veildesk.core.errors import SendRefused
from veildesk.core.ports import DetachedSignature
from veildesk.core.ticket import File
from veildesk.mail.names import safe_name
from veildesk.mail.padding import pad
from veildesk.mail.wire import (
    address_field,
    body_base64,
    body_text,
    coarse_date,
    disposition_field,
    field_line,
    id_field,
    text_field,
)

__all__ = [
    "HIDDEN_SUBJECT",
    "Draft",
    "protected_entity",
    "signable_entity",
    "wrap_encrypted",
    "wrap_signed",
]

HIDDEN_SUBJECT = "[...]"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-512"})
_MAX_REFERENCES = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """One outgoing mail.

    `moment` is in seconds since 1970; the mail tells its half hour. `message_id` and `references` (oldest
    first, the last one is answered) come without angle brackets. `subject` is hidden in encrypted mail and
    visible in signed mail. `reply_to` is where an answer goes, "" for the sender. `autocrypt` is the value of
    that header in signed mail, "" for none: who can be written to encrypted has our key. `automatic` marks a
    note that no person wrote (RFC 3834 § 5). `footer` goes below the text after a signature line.
    """

    sender: str
    recipient: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    message_id: str
    moment: int
    sender_name: str = ""
    reply_to: str = field(default="", repr=False)
    references: tuple[str, ...] = ()
    files: tuple[File, ...] = field(default=(), repr=False)
    autocrypt: str = ""
    automatic: bool = False
    footer: str = ""


def protected_entity(draft: Draft) -> bytes:
    """The entity to encrypt: true headers, text, attachments, filled to a size bucket."""
    header = _common(draft, text_field(draft.subject))
    # RFC 9788 § 2.2: one line for each field as it stands outside.
    header += [(f"HP-Outer: {name}", value) for name, value in _common(draft, HIDDEN_SUBJECT)]
    return pad(_mixed(draft, header, 'hp="cipher"'))


def signable_entity(draft: Draft) -> bytes:
    """The entity to sign: seven-bit, CRLF, nothing a server would touch (RFC 3156 § 5)."""
    return _mixed(draft, _common(draft, text_field(draft.subject)), 'hp="clear"')


def wrap_encrypted(draft: Draft, armored: bytes | str) -> bytes:
    """The complete mail around an armored OpenPGP message (RFC 3156 § 4)."""
    block = _armor(armored, b"MESSAGE")
    boundary = _boundary(draft, "encrypted")
    mark = boundary.encode("ascii")
    content_type = f'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{boundary}"'
    return b"".join(
        (
            _outer(draft, HIDDEN_SUBJECT, content_type),
            b"--" + mark + b"\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n",
            b"--" + mark + b"\r\nContent-Type: application/octet-stream\r\n\r\n",
            block,
            b"\r\n--" + mark + b"--\r\n",
        )
    )


def wrap_signed(draft: Draft, inner: bytes, signature: DetachedSignature) -> bytes:
    """The complete mail around a signed entity; `inner` is put in byte for byte.

    Raises `SendRefused` if the entity is not fit to be signed or the hash is not SHA-256 or better.
    """
    if signature.hash_name.lower() not in _HASHES:
        raise SendRefused("hash")
    if not inner.isascii() or b"\n" in inner.replace(b"\r\n", b""):
        raise SendRefused("not-canonical")
    block = _armor(signature.armored, b"SIGNATURE")
    boundary = _boundary(draft, "signed")
    mark = boundary.encode("ascii")
    micalg = f"pgp-{signature.hash_name.lower()}"
    content_type = (
        f'multipart/signed; micalg={micalg}; protocol="application/pgp-signature"; boundary="{boundary}"'
    )
    return b"".join(
        (
            _outer(draft, text_field(draft.subject), content_type, draft.autocrypt),
            b"--" + mark + b"\r\n",
            inner,
            b"\r\n--" + mark + b"\r\nContent-Type: application/pgp-signature\r\n\r\n",
            block,
            b"\r\n--" + mark + b"--\r\n",
        )
    )


def _common(draft: Draft, subject: str) -> list[tuple[str, str]]:
    """The fields that stand both inside and outside, in their one order."""
    fields = [
        ("From", address_field(draft.sender, draft.sender_name)),
        ("To", address_field(draft.recipient)),
        ("Subject", subject),
        ("Date", coarse_date(draft.moment)),
        ("Message-ID", id_field(draft.message_id)),
    ]
    if draft.reply_to:
        fields.insert(1, ("Reply-To", address_field(draft.reply_to)))
    if draft.references:
        kept = draft.references[-_MAX_REFERENCES:]
        fields += [("In-Reply-To", id_field(kept[-1])), ("References", id_field(*kept))]
    if draft.automatic:
        fields.append(("Auto-Submitted", "auto-replied"))
    return fields


def _outer(draft: Draft, subject: str, content_type: str, autocrypt: str = "") -> bytes:
    fields = [*_common(draft, subject), *([("Autocrypt", autocrypt)] if autocrypt else [])]
    fields += [("MIME-Version", "1.0"), ("Content-Type", content_type)]
    return b"".join(field_line(name, value) for name, value in fields) + b"\r\n"


def _mixed(draft: Draft, header: list[tuple[str, str]], protection: str) -> bytes:
    """multipart/mixed with the text first; both marks of header protection at its root."""
    boundary = _boundary(draft, "content")
    mark = b"--" + boundary.encode("ascii")
    content_type = f'multipart/mixed; boundary="{boundary}"; {protection}; protected-headers="v1"'
    out = [field_line(name, value) for name, value in [("Content-Type", content_type), *header]]
    encoding, body = body_text(_with_footer(draft))
    out += [
        b"\r\n" + mark + b"\r\n",
        field_line("Content-Type", "text/plain; charset=utf-8"),
        field_line("Content-Transfer-Encoding", encoding),
        b"\r\n" + body,
    ]
    for item in draft.files:
        out += [b"\r\n" + mark + b"\r\n", _file(item)]
    out.append(b"\r\n" + mark + b"--\r\n")
    return b"".join(out)


def _with_footer(draft: Draft) -> str:
    text = draft.text.rstrip("\n") + "\n"
    return f"{text}\n-- \n{draft.footer}\n" if draft.footer else text


def _file(item: File) -> bytes:
    media_type = item.media_type.lower()
    if not _MEDIA_TYPE.fullmatch(media_type) or media_type.startswith(("multipart/", "message/")):
        media_type = "application/octet-stream"
    return b"".join(
        (
            field_line("Content-Type", media_type),
            field_line("Content-Transfer-Encoding", "base64"),
            field_line("Content-Disposition", disposition_field(safe_name(item.name))),
            b"\r\n",
            body_base64(item.content).removesuffix(b"\r\n"),
        )
    )


def _boundary(draft: Draft, label: str) -> str:
    """Unlike any line of text, base64 or armor; derived from the random id, so it tells nothing."""
    digest = hashlib.sha256(f"{label}\0{draft.message_id}".encode()).hexdigest()
    return f"={digest[:32]}="


def _armor(armored: bytes | str, label: bytes) -> bytes:
    data = armored.encode("ascii") if isinstance(armored, str) else armored
    data = data.replace(b"\r\n", b"\n").strip(b"\n")
    begin, end = b"-----BEGIN PGP " + label + b"-----", b"-----END PGP " + label + b"-----"
    if not data.startswith(begin) or not data.endswith(end) or not data.isascii():
        raise SendRefused("armor")
    return data.replace(b"\n", b"\r\n")
