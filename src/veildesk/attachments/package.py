"""Parts of an Office package, and XML read as events; runs inside the sandbox.

A document type declaration ends the work, so no entity is ever expanded (ECMA-376 part 2 § 8.1.4
forbids it, OpenDocument needs none). Depth is bounded; nothing outside the package is read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Protocol
from xml.parsers import expat

from veildesk.attachments.archives import Budget, read_zip_member
from veildesk.attachments.reasons import FileRefused, Refusal

__all__ = ["Attributes", "Events", "Package", "read_xml", "switched_on"]

Attributes = Mapping[str, str]
_DEEPEST = 256
_NUMBER = re.compile(r"(\d{1,9})\.xml$")


class Events(Protocol):
    """Takes XML events. Names and attribute names are local: the prefix's namespace is cut off."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Characters between."""


class Package:
    """The parts of one document, read within the request's budget."""

    def __init__(self, archive: zipfile.ZipFile, budget: Budget) -> None:
        self._archive, self._budget = archive, budget
        self.names = archive.namelist()
        if len(self.names) != len(set(self.names)):
            # Two parts of one name: what one program shows is not what another reads.
            raise FileRefused(Refusal.DAMAGED)

    def read(self, name: str) -> bytes:
        """Unpack one part. Raises `FileRefused`."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise FileRefused(Refusal.DAMAGED) from None
        self._budget.member()
        return read_zip_member(self._archive, info, self._budget)

    def numbered(self, pattern: str) -> list[str]:
        """Parts whose whole name matches `pattern`, in order of the number before ".xml"."""
        found = [(_NUMBER.search(name), name) for name in self.names if re.fullmatch(pattern, name)]
        return [name for _, name in sorted((int(number[1]), name) for number, name in found if number)]

    def targets(self, part: str) -> dict[str, str]:
        """Relationship ids of a part and the package paths they mean (ECMA-376 part 2 § 9.3)."""
        folder, _, base = part.rpartition("/")
        found: dict[str, str] = {}

        def relationship(name: str, attributes: Attributes) -> None:
            target = attributes.get("Target", "")
            if name == "Relationship" and attributes.get("TargetMode") != "External":
                absolute = target.startswith("/")
                found[attributes.get("Id", "")] = target[1:] if absolute else f"{folder}/{target}"

        self.walk(f"{folder}/_rels/{base}.rels", relationship)
        return found

    def walk(self, name: str, start: Callable[[str, Attributes], None]) -> None:
        """Call `start` for each element of a part."""
        read_xml(self.read(name), _Starts(start))


class _Starts:
    """Events of which only the beginnings of elements matter."""

    def __init__(self, start: Callable[[str, Attributes], None]) -> None:
        self.start = start

    def end(self, name: str) -> None:
        """Nothing to do."""

    def data(self, text: str) -> None:
        """Nothing to do."""


def read_xml(data: bytes, events: Events) -> None:
    """Read one XML part. Raises `FileRefused` for a declaration, too much depth or a fault."""
    depth = 0

    def refuse(*_: object) -> None:
        raise FileRefused(Refusal.UNSAFE)

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise FileRefused(Refusal.UNSAFE)
        # Where "id" and "r:id" meet, the one with a namespace wins.
        ordered = sorted(attributes.items(), key=lambda item: " " in item[0])
        events.start(_local(name), {_local(key): value for key, value in ordered})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        events.end(_local(name))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = events.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise FileRefused(Refusal.DAMAGED) from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def switched_on(value: str | None) -> bool:
    """An on-off value of ECMA-376 part 1 § 17.17.4; without a value it is on."""
    return value not in ("0", "false", "off")
