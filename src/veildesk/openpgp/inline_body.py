"""Inline PGP with attachments: the one text of a mail is an armored message, files stand beside it.

Programs that encrypt inline send such mail: the first part is the message, each file is encrypted by
itself. The text is opened as the body it is; the files stay closed. Opened is only what is the whole
shown text of the mail: with any other text beside it, somebody could have put another's ciphertext there
(RFC 9787 § 4), and the mail stays as it is. The encryption is told to cover a part, never the whole.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace

from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import Encryption, Scope, Signature
from veildesk.core.ports import Engine
from veildesk.mail.address import single_address
from veildesk.mail.parse import Part, parse_mail
from veildesk.openpgp.armor import single_block
from veildesk.openpgp.opening import OpenedMail
from veildesk.openpgp.packets import read_certificate

__all__ = ["body_block", "open_inline_body"]

_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,40}\Z")


def body_block(root: Part) -> Part | None:
    """The part that is the whole shown text of the mail and exactly one armored message."""
    if root.media_type != "multipart/mixed" or len(root.children) < 2:
        return None
    first, *others = root.leaves()
    if first is not root.children[0] or not _is_shown(first) or first.media_type != "text/plain":
        return None
    if any(_is_shown(part) for part in others):
        return None
    block = single_block(first.content)
    return first if block is not None and block.label == "MESSAGE" else None


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
    part = body_block(root)
    if part is None:
        return opened
    try:
        plain = await engine.open(part.content, certificates)
    except VeildeskError:
        return opened
    if not plain.encrypted:
        return opened
    address = (single_address(root.values("From")) or "").lower()
    found = [await _bound(one, address, engine, certificates) for one in plain.signatures]
    return replace(
        opened,
        encryption=Encryption(Scope.PART, plain.integrity),
        signatures=(*opened.signatures, *found),
        payload=raw[: part.start] + _entity(plain.data, part) + raw[part.end :],
        inner=None,
        notes=tuple(dict.fromkeys((*opened.notes, "legacy-inline"))),
    )


def _entity(text: bytes, part: Part) -> bytes:
    """The text as a part; base64 keeps any line of it from being read as a boundary."""
    charset = part.params.get("charset", "")
    try:
        text.decode("utf-8")
        charset = "utf-8"
    except UnicodeDecodeError:
        charset = charset if _CHARSET.match(charset) else "windows-1252"
    header = f'Content-Type: text/plain; charset="{charset}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return header.encode("ascii") + base64.encodebytes(text)


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
