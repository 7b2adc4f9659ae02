"""Make a `Cleaned` of the worker's answer, believing nothing in it; pure.

Images and page pictures are scanned again, text must be plain UTF-8, names become safe, and PDF
files are put together here. What does not pass is refused as not clean.
"""

from __future__ import annotations

from collections.abc import Sequence

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.names import ending, media_type, refused_name, safe_name
from veildesk.attachments.pages import picture_pdf
from veildesk.attachments.reasons import Refusal, Removed
from veildesk.attachments.scan import leftovers
from veildesk.attachments.texts import is_plain
from veildesk.attachments.wire import Item
from veildesk.core.ports import Cleaned

__all__ = ["OPENED", "assemble", "media_file", "refuse"]

OPENED = "The archive itself is not delivered."


def refuse(name: str, reason: Refusal) -> Cleaned:
    """A refusal under a safe name."""
    return Cleaned(refused_name(name), "", None, refused=reason.sentence)


def media_file(name: str, end: str, content: bytes) -> Cleaned:
    """Sound or film that was cleaned and seen clean."""
    return Cleaned(safe_name(name, end), media_type(end), content, removed=(Removed.METADATA.value,))


def assemble(name: str, item: Item, bounds: Bounds) -> Cleaned:
    """Check an answer again and give it its name and type."""
    if item.refused is not None:
        return refuse(name, item.refused)
    if item.members:
        return _archive(name, item, bounds)
    if not _is_clean(item, bounds):
        return refuse(name, Refusal.NOT_CLEAN)
    rendered = None
    if item.pages:
        try:
            rendered = picture_pdf(item.pages)
        except ValueError:
            return refuse(name, Refusal.NOT_CLEAN)
    removed = _words(item.removed)
    if item.text and item.content is not None:
        end = ending(Kind.TEXT if item.kind is Kind.TEXT else Kind.HTML, name)
        safe, kind = safe_name(name, end), media_type(end)
        strings = (item.strings or b"").decode("utf-8", "replace") if rendered else ""
        return Cleaned(
            safe, kind, item.content, removed=removed, text=True, rendered=rendered, strings=strings
        )
    end = ending(Kind.PDF if rendered else item.kind, name)
    content = rendered or item.content
    return Cleaned(safe_name(name, end), media_type(end), content, removed=removed)


def _archive(name: str, item: Item, bounds: Bounds) -> Cleaned:
    members = tuple(assemble(inner, member, bounds) for inner, member in item.members)
    removed = _words(item.removed)
    return Cleaned(safe_name(name, "zip"), media_type("zip"), None, OPENED, removed, members=members)


def _is_clean(item: Item, bounds: Bounds) -> bool:
    size = len(item.content or b"") + sum(map(len, item.pages))
    if size > bounds.output_size or any(leftovers(Kind.JPEG, page) for page in item.pages):
        return False
    if item.content is None:
        return bool(item.pages) and not item.text
    if not item.text:
        return (
            item.kind in (Kind.JPEG, Kind.PNG)
            and tell(item.content) is item.kind
            and not (item.pages or leftovers(item.kind, item.content))
        )
    try:
        return is_plain(item.content.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _words(removed: Sequence[Removed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.value for word in removed))
