"""Everything that can be read in an office file, shown or not; runs inside the sandbox.

A document is delivered as a document only if nothing in it needs redaction, and then hidden text, field
codes, alternative texts and addresses of links count as much as what is on the page. A part that is
neither XML nor a bare picture, and anything that would fetch from elsewhere when opened, ends the work.
"""

from __future__ import annotations

from veildesk.attachments.archives import Budget, zip_entries
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.package import Attributes, Package, read_xml
from veildesk.attachments.reasons import FileRefused, Refusal
from veildesk.attachments.scan import leftovers

__all__ = ["office_strings"]

_XML = (".xml", ".rels", ".vml", ".rdf")
_PICTURES = (".png", ".jpg", ".jpeg")
_LINES = frozenset(("p", "h", "row", "si", "tr", "table-row", "br"))
_CELLS = frozenset(("c", "tab", "table-cell", "v", "f", "title", "descr"))
# What encoders write that tells nothing of anyone: density, gamma, colour type and profile, background.
_BARE = frozenset(
    [
        "segment-e2",
        "segment-ee",
        *("chunk-" + name.hex() for name in (b"pHYs", b"bKGD", b"gAMA", b"sRGB", b"cHRM", b"sBIT", b"iCCP")),
    ]
)


def office_strings(content: bytes, budget: Budget) -> str:
    """All text and all attribute values of all parts, in lines. Raises `FileRefused`."""
    found = _Strings()
    with zip_entries(content) as archive:
        package = Package(archive, budget)
        for name in package.names:
            if name.endswith("/") or name == "mimetype":
                continue
            part = package.read(name)
            if name.lower().endswith(_XML):
                read_xml(part, found)
                found.flush()
            elif not name.lower().endswith(_PICTURES) or not _is_bare(part):
                raise FileRefused(Refusal.NOT_CLEAN)
        found.parts.append("\n".join(package.names))
    return "".join(found.parts)


def _is_bare(part: bytes) -> bool:
    """Whether a part is a JPEG or PNG with nothing beside its picture that tells of anyone."""
    kind = tell(part)
    return kind in (Kind.JPEG, Kind.PNG) and set(leftovers(kind, part)) <= _BARE


class _Strings:
    """Text as it runs on within a paragraph or cell; attribute values each in a line of their own."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._values: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if attributes.get("TargetMode") == "External" and not attributes.get("Type", "").endswith(
            "/hyperlink"
        ):
            raise FileRefused(Refusal.UNSAFE)
        link = attributes.get("href", "")
        if name != "a" and not link.startswith(("#", "./", "../")) and ":" in link:
            raise FileRefused(Refusal.UNSAFE)
        self._values += [value for value in attributes.values() if len(value) > 3 and not value.isdecimal()]

    def end(self, name: str) -> None:
        """An element ends."""
        if name in _LINES:
            self.parts += ["\n", *(value + "\n" for value in self._values)]
            self._values.clear()
        elif name in _CELLS:
            self.parts.append("\t")

    def data(self, text: str) -> None:
        """Characters between."""
        self.parts.append(text)

    def flush(self) -> None:
        """The values of elements outside of any paragraph."""
        self.parts += ["\n", *(value + "\n" for value in self._values)]
        self._values.clear()
