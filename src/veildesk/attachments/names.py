"""File names that are safe to hand on: a base name without tricks, the ending told by content.

Pure. A name may still say who somebody is ("letter from ..."): the caller sends it through redaction
as it does with every other text.
"""

from __future__ import annotations

import re
import unicodedata

from veildesk.attachments.kind import Kind

__all__ = ["ending", "media_type", "refused_name", "safe_name"]

_LONGEST = 80
_TEXT_ENDINGS = frozenset(
    ("txt", "log", "md", "json", "yaml", "yml", "toml", "ini", "conf", "cfg", "diff", "patch")
)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.I)
_UNSAFE = re.compile(r"[^\w .()+=@~,-]|[\u115f\u1160\u3164\uffa0]")
# Cameras, phones and screenshot programs put date and time into names.
_DATED = re.compile(r"\d{6}|\d{4}[-_. ]?\d{2}[-_. ]?\d{2}")
_COMPRESSED = re.compile(r"(?<=.)\.gz(?:ip)?$", re.I)
_OOXML = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "docx": _OOXML + "wordprocessingml.document",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "pptx": _OOXML + "presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/x-wav",
    "aiff": "audio/x-aiff",
    "mp4": "video/mp4",
    "avi": "video/x-msvideo",
    "wmv": "video/x-ms-wmv",
}


def ending(kind: Kind, name: str) -> str:
    """The ending for what is delivered: by kind; for text the given one if it is harmless."""
    if kind in (Kind.JPEG, Kind.PNG, Kind.PDF, Kind.ZIP):
        return "jpg" if kind is Kind.JPEG else kind.value
    given = _base(name).rpartition(".")[2].lower()
    return given if kind is Kind.TEXT and given in _TEXT_ENDINGS else "txt"


def media_type(ending: str) -> str:
    """The media type that goes with an ending of ours; text in all other cases."""
    return _TYPES.get(ending, "text/plain")


def safe_name(name: str, ending: str) -> str:
    """A base name of at most 80 characters with the given ending, never empty, path or hidden file.

    Images named after a date and time get a plain name, as that is metadata.
    """
    base = _base(name)
    stem, dot, old = base.rpartition(".")
    base = _harmless(stem if dot and stem and re.fullmatch(r"\w{1,8}", old) else base)
    if ending in ("jpg", "png") and _DATED.search(base):
        base = "image"
    return f"{base[: _LONGEST - len(ending) - 1].rstrip(' .')}.{ending}"


def refused_name(name: str) -> str:
    """The name under which a refusal is told: harmless, with the ending its sender gave it."""
    return _harmless(_base(name))[:_LONGEST].rstrip(" .")


def _base(name: str) -> str:
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    return _COMPRESSED.sub("", base)


def _harmless(base: str) -> str:
    base = re.sub(r"[\s_]{2,}", "_", _UNSAFE.sub("_", base)).strip(" ._-~,")
    # Four bytes a character at most keeps within the 255 bytes of usual file systems after cutting.
    base = base.encode("utf-8", "ignore")[:200].decode("utf-8", "ignore")
    return "file" if not base or _RESERVED.match(base) else base
