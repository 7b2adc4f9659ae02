"""The visible text of DOCX, XLSX, PPTX and OpenDocument files; runs inside the sandbox.

Only text comes out, as nothing else in these formats can be shown to be clean: no comments, deleted
or hidden text, notes, macros, links, pictures or properties.
"""

from __future__ import annotations

import re

from veildesk.attachments.archives import Budget, zip_entries
from veildesk.attachments.flow import DOCX, ODF, PPTX, Dialect, Flow
from veildesk.attachments.kind import Kind
from veildesk.attachments.package import Attributes, Package, read_xml, switched_on
from veildesk.attachments.reasons import FileRefused, Refusal, Removed
from veildesk.attachments.sheets import sheets_text

__all__ = ["office_text"]


def office_text(kind: Kind, content: bytes, budget: Budget) -> tuple[str, tuple[Removed, ...]]:
    """Visible text of a document and what was left out. Raises `FileRefused`."""
    with zip_entries(content) as archive:
        package = Package(archive, budget)
        if kind is Kind.XLSX:
            text, dropped = sheets_text(package)
        elif kind is Kind.PPTX:
            text, dropped = _slides(package)
        elif kind is Kind.DOCX:
            text, dropped = _word(package)
        else:
            text, dropped = _open_document(package)
    removed = [Removed.METADATA, Removed.LAYOUT]
    if any("comment" in name.lower() for name in package.names):
        removed.append(Removed.CHANGES)
    if dropped:
        removed.append(Removed.HIDDEN)
    return text + "\n" if text.strip() else "", tuple(removed)


def _flow(package: Package, names: list[str], dialect: Dialect) -> tuple[str, bool]:
    texts, dropped = [], False
    for name in names:
        flow = Flow(dialect)
        read_xml(package.read(name), flow)
        texts.append(flow.text())
        dropped = dropped or flow.dropped
    return "\n\n".join(filter(None, texts)), dropped


def _word(package: Package) -> tuple[str, bool]:
    names = ["word/document.xml", *package.numbered(r"word/(?:header|footer)\d+\.xml")]
    names += [name for name in ("word/footnotes.xml", "word/endnotes.xml") if name in package.names]
    return _flow(package, names, DOCX)


def _slides(package: Package) -> tuple[str, bool]:
    main, slides = "ppt/presentation.xml", []
    targets = package.targets(main)

    def slide(name: str, attributes: Attributes) -> None:
        if name == "sldId":
            slides.append(targets.get(attributes.get("id", ""), ""))

    package.walk(main, slide)
    visible = [name for name in slides if _is_shown(package, name)]
    text, dropped = _flow(package, visible, PPTX)
    return text, dropped or visible != slides


def _is_shown(package: Package, name: str) -> bool:
    shown = True

    def root(element: str, attributes: Attributes) -> None:
        nonlocal shown
        if element == "sld":
            shown = switched_on(attributes.get("show"))

    package.walk(name, root)
    return shown


def _open_document(package: Package) -> tuple[str, bool]:
    manifest = "META-INF/manifest.xml"
    if manifest in package.names and b"encryption-data" in package.read(manifest):
        raise FileRefused(Refusal.PROTECTED)
    text, dropped = _flow(package, ["content.xml"], ODF)
    return re.sub(r"\n{3,}", "\n\n", text), dropped
