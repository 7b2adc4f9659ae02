"""Text out of a mail that is attached to a mail: people report mails by forwarding them so.

Its header names hosts, programs and people, so only its subject and its text go on. Files in it are named and
left out; ciphertext stays closed. Runs inside the sandbox.
"""

from __future__ import annotations

from veildesk.attachments.reasons import FileRefused, Refusal
from veildesk.core.errors import VeildeskError
from veildesk.mail.charset import decode_header
from veildesk.mail.names import default_name, safe_name
from veildesk.mail.parse import parse_mail
from veildesk.mail.text import read_body

__all__ = ["mail_text"]

_LEFT_OUT = "[Attached to this mail and not passed on: {}]"


def mail_text(content: bytes) -> str:
    """Subject and text in LF lines. Raises `FileRefused` for what cannot be read as a mail."""
    try:
        root = parse_mail(content)
        body = read_body(root)
    except VeildeskError:
        raise FileRefused(Refusal.MAIL) from None
    subject = decode_header(root.value("Subject") or b"")
    names = [
        safe_name(part.filename, default_name(part.media_type, number))
        for number, part in enumerate(body.attachments, 1)
    ]
    blocks = [f"Subject: {subject}" if subject else "", body.text]
    blocks.append(_LEFT_OUT.format(", ".join(names)) if names else "")
    if not any(blocks):
        raise FileRefused(Refusal.NOTHING_LEFT)
    return "\n\n".join(block for block in blocks if block) + "\n"
