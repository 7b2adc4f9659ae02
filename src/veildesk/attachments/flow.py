"""Running text of DOCX, PPTX and OpenDocument parts: XML events in, visible text out; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from veildesk.attachments.package import Attributes, switched_on

__all__ = ["ODF", "PPTX", "DOCX", "Dialect", "Flow"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which elements hold text, which are not visible with all they hold, and what ends a line.

    An element of `hiding` inside a `run` hides that run; `spaces` stands for several spaces.
    """

    wanted: frozenset[str]
    skipped: frozenset[str]
    breaks: Mapping[str, str]
    run: str = ""
    hiding: frozenset[str] = frozenset()
    spaces: str = ""


DOCX = Dialect(
    wanted=frozenset(("t",)),
    skipped=frozenset(("del", "moveFrom", "Fallback", "instrText", "delText")),
    breaks={"p": "\n", "br": "\n", "cr": "\n", "tab": "\t", "tc": "\t"},
    run="r",
    hiding=frozenset(("vanish", "specVanish")),
)
PPTX = Dialect(frozenset(("t",)), frozenset(("Fallback",)), {"p": "\n", "br": "\n"})
ODF = Dialect(
    wanted=frozenset(("p", "h")),
    skipped=frozenset(
        ("annotation", "tracked-changes", "hidden-text", "hidden-paragraph", "scripts", "forms", "notes")
    ),
    breaks={"p": "\n", "h": "\n", "line-break": "\n", "tab": "\t", "table-row": "\n"},
    spaces="s",
)
_MOST_SPACES = 100


class Flow:
    """Collects visible text. `dropped` tells whether something invisible was met."""

    def __init__(self, dialect: Dialect) -> None:
        self.parts: list[str] = []
        self.dropped = False
        self._dialect = dialect
        self._inside = self._skipping = 0
        self._run_from: int | None = None
        self._run_hidden = False

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if self._skipping or name in self._dialect.skipped:
            self._skipping += 1
            self.dropped = True
        elif name == self._dialect.run:
            self._run_from, self._run_hidden = len(self.parts), False
        elif name in self._dialect.hiding and self._run_from is not None:
            self._run_hidden = self._run_hidden or switched_on(attributes.get("val"))
        elif name in self._dialect.wanted:
            self._inside += 1
        elif name == self._dialect.spaces and self._inside:
            count = attributes.get("c", "1")
            self.parts.append(
                " " * min(int(count) if count.isdecimal() and len(count) < 6 else 1, _MOST_SPACES)
            )

    def end(self, name: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            return
        if name in self._dialect.wanted:
            self._inside -= 1
        if name in self._dialect.breaks:
            self.parts.append(self._dialect.breaks[name])
        if name == self._dialect.run and self._run_from is not None:
            if self._run_hidden:
                del self.parts[self._run_from :]
                self.dropped = True
            self._run_from = None

    def data(self, text: str) -> None:
        """Characters between."""
        if self._inside and not self._skipping:
            self.parts.append(text)

    def text(self) -> str:
        """What was collected."""
        return "".join(self.parts).strip("\n")
