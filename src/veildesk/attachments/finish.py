"""From a cleaned file to the one that is delivered: redaction applied to everything in it; pure.

This is where the rule is kept that no text leaves unread: text and names go through redaction, a
rendered document is taken only if there was nothing to redact in its text, and archives are put
together anew from members treated the same way.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace

from veildesk.attachments.names import media_type
from veildesk.attachments.reasons import Refusal, Removed
from veildesk.core.ports import Cleaned

__all__ = ["Redactor", "finish"]

Redactor = Callable[[str], str]
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = "left-out.txt"


def finish(cleaned: Cleaned, redact: Redactor) -> Cleaned:
    """Redact a cleaner's result with the ticket's own redactor (text in, masked text out).

    The result has content or a refusal, no members and nothing rendered; `text` stays true for text.
    """
    name = _name(cleaned.name, redact)
    if cleaned.members:
        return _packed(cleaned, name, redact)
    if cleaned.content is None:
        return replace(cleaned, name=name)
    if not cleaned.text:
        return replace(cleaned, name=name, rendered=None)
    text = cleaned.content.decode("utf-8")
    masked = redact(text)
    if cleaned.rendered is not None and masked == text and redact(cleaned.strings) == cleaned.strings:
        return _whole(cleaned, cleaned.rendered, name)
    return replace(cleaned, name=name, content=masked.encode("utf-8"), rendered=None, strings="")


def _whole(cleaned: Cleaned, content: bytes, name: str) -> Cleaned:
    """The document itself, in which there was nothing to redact."""
    end = cleaned.rendered_as
    removed = [Removed.METADATA.value]
    if end == "pdf":
        removed.append(Removed.PIXELS.value)
    removed += [word for word in (Removed.CHANGES.value,) if word in cleaned.removed]
    return Cleaned(f"{name.rpartition('.')[0]}.{end}", media_type(end), content, removed=tuple(removed))


def _name(name: str, redact: Redactor) -> str:
    """Redact a name without its ending, so that a mask cannot swallow the ending."""
    stem, dot, end = name.rpartition(".")
    return redact(stem) + dot + end if dot else redact(name)


def _packed(cleaned: Cleaned, name: str, redact: Redactor) -> Cleaned:
    """A new ZIP: base names only, one fixed date, and a list of what was left out."""
    members = [finish(member, redact) for member in cleaned.members]
    kept = [member for member in members if member.content is not None]
    if not kept:
        return Cleaned(name, "", None, refused=Refusal.NOTHING_LEFT.sentence)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        used = {_LEFT_OUT}
        for member in kept:
            assert member.content is not None
            _add(archive, _unused(member.name, used), member.content)
        listing = _listing([member for member in members if member.content is None])
        if listing:
            _add(archive, _LEFT_OUT, listing.encode("utf-8"))
    inner = (word for member in kept for word in member.removed)
    removed = tuple(dict.fromkeys((*cleaned.removed, *inner)))
    return Cleaned(name, media_type("zip"), out.getvalue(), removed=removed)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.create_system, info.external_attr = 3, 0o644 << 16
    archive.writestr(info, content, zipfile.ZIP_DEFLATED)


def _unused(name: str, used: set[str]) -> str:
    """The name itself, or with a number before the ending; case does not tell names apart."""
    stem, dot, end = name.rpartition(".")
    candidate, number = name, 1
    while candidate.casefold() in used:
        number += 1
        candidate = f"{stem}-{number}{dot}{end}"
    used.add(candidate.casefold())
    return candidate


def _listing(refused: Sequence[Cleaned]) -> str:
    return "".join(f"{member.name}: {member.refused}\n" for member in refused)
