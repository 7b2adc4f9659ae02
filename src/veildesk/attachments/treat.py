"""One file in, one `Item` out: the decision by kind; runs inside the sandbox.

Pure apart from the PDF renderer it is given. Raises nothing for bad content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from veildesk.attachments.archives import Budget, Member, open_archive
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.images import reencode
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.markup import calendar_text, html_text
from veildesk.attachments.office import office_text
from veildesk.attachments.reasons import FileRefused, Refusal, Removed
from veildesk.attachments.strings import office_strings
from veildesk.attachments.texts import decode, plain
from veildesk.attachments.wire import Item, Request

__all__ = ["Rendered", "Renderer", "treat"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document as JPEG pages, and the text that can be read from it.

    `shown` is the text that the pages show, None if that is all of it.
    """

    pages: tuple[bytes, ...]
    text: str
    shown: str | None = None


Renderer = Callable[[bytes, Bounds], Rendered]

_IMAGES = frozenset((Kind.JPEG, Kind.PNG, Kind.GIF, Kind.WEBP, Kind.BMP, Kind.TIFF))
_OFFICE = frozenset((Kind.DOCX, Kind.XLSX, Kind.PPTX, Kind.ODF))
_NO_TEXT = "This document shows no text."
_ARCHIVES = frozenset((Kind.ZIP, Kind.TAR, Kind.GZIP))
_REFUSED = {
    Kind.EMPTY: Refusal.EMPTY,
    Kind.SVG: Refusal.DRAWING,
    Kind.RTF: Refusal.OLD_OFFICE,
    Kind.OLE: Refusal.OLD_OFFICE,
    Kind.OLE_PROTECTED: Refusal.PROTECTED,
    Kind.TNEF: Refusal.TNEF,
    Kind.CONTACT: Refusal.CONTACT,
    Kind.PUBLIC_KEY: Refusal.PUBLIC_KEY,
    Kind.PRIVATE_KEY: Refusal.PRIVATE_KEY,
    Kind.PGP_DATA: Refusal.PGP_DATA,
    Kind.OTHER_ARCHIVE: Refusal.OTHER_ARCHIVE,
    Kind.AUDIO_VIDEO: Refusal.AUDIO_VIDEO,
    Kind.PROGRAM: Refusal.PROGRAM,
}


def treat(request: Request, renderer: Renderer | None = None) -> Item:
    """Clean one file. Whatever goes wrong becomes a refusal with a reason."""
    if len(request.content) > request.bounds.input_size:
        return Item(Kind.UNKNOWN, refused=Refusal.TOO_LARGE)
    return _Treatment(request, renderer).item(request.content, request.bounds.depth)


class _Treatment:
    """One request's work: its bounds and what is left of its unpacking budget."""

    def __init__(self, request: Request, renderer: Renderer | None) -> None:
        self._bounds = request.bounds
        self._charset = request.charset
        self._whole = request.whole
        self._originals = request.bounds.handed_on if request.originals else 0
        self._renderer = renderer
        self._budget = Budget(request.bounds)

    def item(self, content: bytes, depth: int) -> Item:
        kind = tell(content)
        try:
            return self._by_kind(kind, content, depth)
        except FileRefused as error:
            return Item(kind, refused=error.reason)
        except MemoryError:
            return Item(kind, refused=Refusal.TOO_LARGE)
        except Exception:  # a fault of ours or of a parser: fail closed, the file is dropped
            return Item(kind, refused=Refusal.FAILED)

    def _by_kind(self, kind: Kind, content: bytes, depth: int) -> Item:
        if kind in _IMAGES:
            picture = reencode(kind, content, self._bounds)
            return Item(picture.kind, content=picture.content, removed=picture.removed)
        if kind is Kind.TEXT:
            return self._text(kind, decode(content, self._charset), ())
        if kind is Kind.HTML:
            return self._text(kind, html_text(decode(content, self._charset)), (Removed.LAYOUT,))
        if kind is Kind.MAIL:
            # Read only here: every other file does without the mail reader and its start.
            from veildesk.attachments.mails import mail_text

            return self._text(kind, mail_text(content), (Removed.LAYOUT,))
        if kind is Kind.CALENDAR:
            return self._text(kind, calendar_text(decode(content)), (Removed.PEOPLE,))
        if kind in _OFFICE:
            text, removed = office_text(kind, content, self._budget)
            item = self._text(kind, text, removed)
            if not self._whole:
                return item
            return replace(item, strings=office_strings(content, self._budget).encode("utf-8", "replace"))
        if kind is Kind.PDF:
            return self._document(content)
        if kind in _ARCHIVES:
            return self._archive(kind, content, depth)
        raise FileRefused(_REFUSED.get(kind, Refusal.UNKNOWN))

    def _text(self, kind: Kind, text: str, removed: tuple[Removed, ...]) -> Item:
        text, cut = plain(text)
        encoded = text.encode("utf-8", "replace")
        if len(encoded) > self._bounds.text_size:
            raise FileRefused(Refusal.TOO_LARGE)
        if not encoded.strip():
            raise FileRefused(Refusal.NOTHING_LEFT)
        if cut:
            removed = (*removed, Removed.CONTROLS)
        return Item(kind, content=encoded, text=True, removed=removed)

    def _document(self, content: bytes) -> Item:
        if self._renderer is None:
            raise FileRefused(Refusal.NO_PDF)
        rendered = self._renderer(content, self._bounds)
        text = plain(rendered.text)[0].strip()
        removed = (Removed.METADATA, Removed.PIXELS)
        if not text:
            return Item(Kind.PDF, pages=rendered.pages, removed=removed)
        visible = text if rendered.shown is None else plain(rendered.shown)[0].strip() or _NO_TEXT
        spoken = self._text(Kind.PDF, visible + "\n", (Removed.METADATA, Removed.LAYOUT))
        # Text that the pages do not show decides with the rest whether they may go, and goes nowhere itself.
        whole = None if rendered.shown is None else text.encode("utf-8", "replace")
        return replace(spoken, pages=rendered.pages, strings=whole)

    def _archive(self, kind: Kind, content: bytes, depth: int) -> Item:
        if depth <= 0:
            raise FileRefused(Refusal.TOO_DEEP)
        opened = open_archive(kind, content, self._budget)
        if kind is Kind.GZIP:
            return self._unzipped(next(opened), depth)
        members = [(member.name, self._member(member, depth - 1)) for member in opened]
        if all(member.refused and member.original is None for _, member in members):
            raise FileRefused(Refusal.NOTHING_LEFT)
        removed = [Removed.METADATA]
        if any(member.refused for _, member in members):
            removed.append(Removed.MEMBERS)
        return Item(kind, members=tuple(members), removed=tuple(removed))

    def _unzipped(self, member: Member, depth: int) -> Item:
        """The file inside a gzip, which is no level of its own: a compressed tar counts once."""
        if tell(member.content) is Kind.GZIP:
            raise FileRefused(Refusal.TOO_DEEP)
        return self._member(member, depth)

    def _member(self, member: Member, depth: int) -> Item:
        item = self.item(member.content, depth)
        if item.refused in (Refusal.BOMB, Refusal.TOO_MANY_MEMBERS):
            raise FileRefused(item.refused)
        if self._originals and (item.kind is Kind.AUDIO_VIDEO or (item.kind in _OFFICE and item.text)):
            self._originals -= 1
            return replace(item, original=member.content)
        return item
