"""What was encrypted without a MIME header of its own, as a MIME entity. Pure."""

from __future__ import annotations

import base64
import re

from veildesk.mail.charset_guess import label_for
from veildesk.mail.names import safe_name

__all__ = ["file_entity", "text_entity"]

_ENCRYPTED_NAME = re.compile(r"\.(?:pgp|gpg|asc)\Z", re.IGNORECASE)


def text_entity(text: bytes, charset: str, *, inside: bool = False) -> bytes:
    """Plain text, in the charset its bytes fit. `inside` a multipart no line may be a boundary."""
    label = label_for(text, charset)
    encoding, body = ("base64", base64.encodebytes(text)) if inside else ("8bit", text)
    header = f'Content-Type: text/plain; charset="{label}"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return header.encode("ascii") + body


def file_entity(content: bytes, name: str | None) -> bytes:
    """A file, under the name that its ciphertext had without the ending of that."""
    bare = _ENCRYPTED_NAME.sub("", safe_name(name, "attachment.bin.asc"))
    header = (
        f'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{bare}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return header.encode() + base64.encodebytes(content)
