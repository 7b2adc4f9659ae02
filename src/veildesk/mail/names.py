"""Safe names for attachments: base name only, nothing that a shell, a file manager or an eye trips over."""

from __future__ import annotations

import re

from veildesk.mail.charset import clean_line

__all__ = ["MAX_NAME", "default_name", "safe_name"]

MAX_NAME = 100
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_EXTENSIONS = {
    "text/plain": "txt",
    "text/html": "html",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/rfc822-headers": "txt",
    "message/rfc822": "eml",
    "message/delivery-status": "txt",
    "message/disposition-notification": "txt",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/json": "json",
    "application/pgp-keys": "asc",
    "application/pgp-signature": "asc",
    "application/pgp-encrypted": "asc",
    "application/ms-tnef": "dat",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
}


def default_name(media_type: str, number: int) -> str:
    """A name for an attachment that has none; `number` counts from 1."""
    return f"attachment-{number}.{_EXTENSIONS.get(media_type, 'bin')}"


def safe_name(name: str | None, fallback: str = "attachment.bin") -> str:
    """At most 100 characters, never empty, no path, no control, bidi or reserved characters.

    A long name loses its middle, so that the last extension stays visible.
    """
    text = (name or "").replace("\\", "/").replace("\0", "")
    text = _UNSAFE.sub("_", clean_line(clean_line(text).rsplit("/", 1)[-1]))
    text = text.lstrip(" .-~").rstrip(" .")
    if not text.strip("_ ."):
        return fallback
    if _RESERVED.match(text):
        text = f"_{text}"
    if len(text) <= MAX_NAME:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension) > 20:
        return text[:MAX_NAME].rstrip(" .")
    return stem[: MAX_NAME - 1 - len(extension)].rstrip(" .") + dot + extension
