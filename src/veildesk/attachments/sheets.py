"""Cells of XLSX worksheets as tab-separated lines (ECMA-376 part 1 § 18.3); pure apart from its package."""

from __future__ import annotations

from veildesk.attachments.package import Attributes, Package, read_xml, switched_on
from veildesk.attachments.reasons import FileRefused, Refusal

__all__ = ["sheets_text"]

_WORKBOOK = "xl/workbook.xml"


def sheets_text(package: Package) -> tuple[str, bool]:
    """Text of all visible sheets, and whether hidden sheets, rows or columns were left out."""
    shared = _shared_strings(package)
    targets = package.targets(_WORKBOOK)
    listed: list[tuple[str, str, bool]] = []

    def sheet(name: str, attributes: Attributes) -> None:
        if name == "sheet":
            visible = attributes.get("state", "visible") == "visible"
            listed.append((attributes.get("name", ""), attributes.get("id", ""), visible))

    package.walk(_WORKBOOK, sheet)
    texts, dropped = [], not all(visible for _, _, visible in listed)
    for title, relation, visible in listed:
        if visible:
            cells = _Sheet(shared)
            if relation not in targets:
                raise FileRefused(Refusal.DAMAGED)
            read_xml(package.read(targets[relation]), cells)
            dropped = dropped or cells.dropped
            texts.append("\n".join([f"[{title}]", *cells.lines]))
    return "\n\n".join(texts), dropped


def _shared_strings(package: Package) -> list[str]:
    if "xl/sharedStrings.xml" not in package.names:
        return []
    strings = _SharedStrings()
    read_xml(package.read("xl/sharedStrings.xml"), strings)
    return strings.found


class _SharedStrings:
    """The strings that cells refer to by number, without their phonetic readings."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._parts: list[str] = []
        self._reading = False
        self._phonetic = 0

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._phonetic += 1
        self._reading = name == "t" and not self._phonetic

    def end(self, name: str) -> None:
        """An element ends."""
        self._reading = False
        if name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.found.append("".join(self._parts))

    def data(self, text: str) -> None:
        """Characters between."""
        if self._reading:
            self._parts.append(text)


class _Sheet:
    """The visible cells of one worksheet, row by row; formulas give their last value."""

    def __init__(self, shared: list[str]) -> None:
        self.lines: list[str] = []
        self.dropped = False
        self._shared = shared
        self._hidden_columns: list[tuple[int, int]] = []
        self._row: list[str] = []
        self._cell: list[str] = []
        self._type = self._place = ""
        self._reading = self._hidden = False

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if name == "col" and switched_on(attributes.get("hidden", "0")):
            self._hidden_columns.append((_number(attributes.get("min")), _number(attributes.get("max"))))
        elif name == "row":
            self._row, self._hidden = [], switched_on(attributes.get("hidden", "0"))
        elif name == "c":
            self._cell, self._type, self._place = [], attributes.get("t", "n"), attributes.get("r", "")
        self._reading = name in ("v", "t")

    def end(self, name: str) -> None:
        """An element ends."""
        self._reading = False
        if name == "c":
            column = _column(self._place)
            if any(low <= column <= high for low, high in self._hidden_columns):
                self.dropped = True
            else:
                self._row.append(self._value("".join(self._cell)))
        elif name == "row":
            if self._hidden:
                self.dropped = True
            elif any(self._row):
                self.lines.append("\t".join(self._row))

    def data(self, text: str) -> None:
        """Characters between."""
        if self._reading:
            self._cell.append(text)

    def _value(self, raw: str) -> str:
        if self._type != "s":
            return raw
        index = _number(raw)
        return self._shared[index] if index < len(self._shared) else ""


def _number(raw: str | None) -> int:
    return int(raw) if raw and raw.isdecimal() and len(raw) < 9 else 0


def _column(place: str) -> int:
    """The number of a column from a cell's place: 1 for "A7", 27 for "AA1", 0 when there is none."""
    number = 0
    for letter in place[:3]:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return number
