"""Inline PGP with attachments: the one text of a mail is an armored message, files stand beside it.

Programs that encrypt inline send such mail: the first part is the message, each file is encrypted by
itself. Webmail adds a copy in HTML, or writes HTML only. The text is opened as the body it is. Opened is only
what is the whole shown text of the mail: with any other text beside it, somebody could have put another's
ciphertext there (RFC 9787 § 4), and the mail stays as it is. For the same reason a file is opened only if it
is signed with the key that signed the text. The same holds for a PGP/MIME part with files beside it that were
left in the clear. The encryption is told to cover a part, never the whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import Encryption, Scope, Signature, Verdict
from veildesk.core.ports import Engine
from veildesk.mail.address import single_address
from veildesk.mail.parse import Part, parse_mail
from veildesk.openpgp.armor import single_block
from veildesk.openpgp.opening import OpenedMail, open_mail
from veildesk.openpgp.packets import read_certificate
from veildesk.openpgp.plain_entity import file_entity, text_entity
from veildesk.openpgp.structure import is_blank, is_copy, is_message, shown_html

__all__ = ["Body", "body_block", "encrypted_body", "open_inline_body"]

_MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class Body:
    """The part that is the whole shown text of a mail, and the one armored message it shows."""

    part: Part
    block: bytes = field(repr=False)


def body_block(root: Part) -> Body | None:
    """The text of the mail, if all that it shows is exactly one armored message."""
    if not root.children and root.media_type != "text/html":
        return None
    shown = [leaf for leaf in root.leaves() if _is_shown(leaf) and not is_blank(leaf)]
    if not shown or shown[0].media_type not in ("text/plain", "text/html"):
        return None
    first, *others = shown
    content = first.content if first.media_type == "text/plain" else shown_html(first)
    block = single_block(content)
    if (
        block is None
        or block.label != "MESSAGE"
        or not all(is_copy(one, block) or _is_apart(one) for one in others)
    ):
        return None
    return Body(first, content)


def _is_apart(part: Part) -> bool:
    """Whether an HTML part shows nothing but a message of its own: some programs encrypt each alternative."""
    shown = single_block(shown_html(part)) if part.media_type == "text/html" else None
    return shown is not None and shown.label == "MESSAGE"


def encrypted_body(root: Part) -> Part | None:
    """The PGP/MIME part (RFC 3156 § 4) that is the text of a mail with nothing beside it but files.

    Some programs leave attachments in the clear, and relays attach notes of their own.
    """
    kept = [one for one in root.children if not is_blank(one)] if root.media_type == "multipart/mixed" else []
    if not kept or kept[0].media_type != "multipart/encrypted":
        return None
    return kept[0] if not any(one.children or _is_shown(one) for one in kept[1:]) else None


def _is_shown(part: Part) -> bool:
    attached = part.disposition == "attachment" or part.filename is not None
    return part.media_type.startswith("text/") and not attached


async def open_inline_body(
    raw: bytes, opened: OpenedMail, engine: Engine, certificates: Sequence[bytes], limits: Limits
) -> OpenedMail:
    """`opened` with its body open, where the mail has this shape and the body is soundly encrypted to us.

    Else `opened` unchanged: whatever is wrong with the block, it stays the armor it is.
    """
    if opened.payload != raw or opened.encryption.scope is not Scope.PART:
        return opened
    root = opened.outer or parse_mail(raw, limits)
    closed = encrypted_body(root)
    if closed is not None:
        return await _open_entity(raw, opened, closed, engine, certificates, limits)
    body = body_block(root)
    if body is None:
        return opened
    try:
        plain = await engine.open(body.block, certificates)
    except VeildeskError:
        return opened
    if not plain.encrypted:
        return opened
    address = (single_address(root.values("From")) or "").lower()
    found = [await _bound(one, address, engine, certificates) for one in plain.signatures]
    names = {one.fingerprint for one in found if one.verdict is Verdict.VALID}
    inside = {
        body.part.start: (
            body.part.end,
            text_entity(plain.data, body.part.params.get("charset", ""), inside=True),
        )
    }
    files = _closed_files(root)
    inside |= await _files(files, names, engine, certificates)
    notes = ["legacy-inline", *(["closed-file"] if len(inside) <= len(files) else [])]
    return replace(
        opened,
        encryption=Encryption(Scope.PART, plain.integrity),
        signatures=(*opened.signatures, *found),
        payload=_put_in(raw, inside),
        inner=None,
        notes=tuple(dict.fromkeys((*opened.notes, *notes))),
    )


def _closed_files(root: Part) -> list[Part]:
    return [leaf for leaf in root.leaves() if not _is_shown(leaf) and is_message(leaf.content)]


async def _open_entity(
    raw: bytes,
    opened: OpenedMail,
    closed: Part,
    engine: Engine,
    certificates: Sequence[bytes],
    limits: Limits,
) -> OpenedMail:
    """`opened` with the entity in place of the ciphertext, if that is sound and holds no boundary."""
    root = opened.outer or parse_mail(raw, limits)
    try:
        inside = await open_mail(raw[closed.start : closed.end], engine, certificates, limits)
    except VeildeskError:
        return opened
    boundary = root.params.get("boundary", "").encode("utf-8", "replace")
    if inside.encryption.scope is not Scope.WHOLE or not boundary or b"--" + boundary in inside.payload:
        return opened
    address = (single_address(root.values("From")) or "").lower()
    found = [await _bound(one, address, engine, certificates) for one in inside.signatures]
    beside = [one for one in root.children if one is not closed]
    left = ["closed-file"] if any(is_message(one.content) for one in beside) else []
    return replace(
        opened,
        encryption=Encryption(Scope.PART, inside.encryption.integrity),
        signatures=(*opened.signatures, *found),
        payload=_put_in(raw, {closed.start: (closed.end, inside.payload)}),
        inner=None,
        notes=tuple(dict.fromkeys((*opened.notes, *inside.notes, *left))),
    )


async def _files(
    closed: list[Part], names: set[str | None], engine: Engine, certificates: Sequence[bytes]
) -> dict[int, tuple[int, bytes]]:
    """Files that are encrypted by themselves and signed with one of these keys: where, and what is inside."""
    found: dict[int, tuple[int, bytes]] = {}
    for leaf in closed[:_MAX_FILES] if names else ():
        with contextlib.suppress(VeildeskError):
            plain = await engine.open(leaf.content, certificates)
            by = {one.fingerprint for one in plain.signatures if one.verdict is Verdict.VALID}
            if plain.encrypted and len(plain.signatures) == 1 and by & names:
                found[leaf.start] = (leaf.end, file_entity(plain.data, leaf.filename))
    return found


def _put_in(raw: bytes, inside: dict[int, tuple[int, bytes]]) -> bytes:
    out, position = [], 0
    for start, (end, entity) in sorted(inside.items()):
        out += [raw[position:start], entity]
        position = end
    return b"".join([*out, raw[position:]])


async def _bound(
    signature: Signature, address: str, engine: Engine, certificates: Sequence[bytes]
) -> Signature:
    """The signature of the body: it covers a part, and may name the sender."""
    name = signature.fingerprint
    addresses = await _addresses(name, engine, certificates) if name is not None else ()
    return replace(signature, scope=Scope.PART, bound_to_from=bool(address) and address in addresses)


async def _addresses(name: str, engine: Engine, certificates: Sequence[bytes]) -> tuple[str, ...]:
    for one in certificates:
        with contextlib.suppress(VeildeskError):
            if read_certificate(one).fingerprint == name:
                return (await engine.certificate_status(one)).addresses
    with contextlib.suppress(VeildeskError):
        return (await engine.certificate_status(await engine.export(name))).addresses
    return ()
