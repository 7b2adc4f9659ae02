"""Reads the labelled lines in tests/corpus/redact, and the scoring rules shared by the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from veildesk.core.finding import Finding
from veildesk.redact.engine import find

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests" / "corpus" / "redact"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, the spans that must be hidden (start, end, type), and spans that must stay."""

    text: str
    labels: tuple[tuple[int, int, str], ...]
    stays: tuple[tuple[int, int, str], ...] = ()
    neutral: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Score:
    """Counts over documents; rates are 1.0 where nothing was counted."""

    labels: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    stays: int = 0
    kept: int = 0
    good: int = 0
    wrong: int = 0
    plain: int = 0
    over: int = 0
    labelled: int = 0
    leaking: int = 0

    @property
    def recall(self) -> float:
        return sum(self.caught.values()) / max(1, sum(self.labels.values()))

    @property
    def precision(self) -> float:
        return self.good / max(1, self.good + self.wrong)

    @property
    def survival(self) -> float:
        return self.kept / self.stays if self.stays else 1.0

    @property
    def overmask(self) -> float:
        return self.over / max(1, self.plain)

    @property
    def leak(self) -> float:
        return self.leaking / max(1, self.labelled)


def lines(name: str) -> list[str]:
    rows = (CORPUS / name).read_text("utf-8").splitlines()
    return [row for row in rows if row and not row.startswith("#")]


def labelled() -> list[Labelled]:
    found = []
    for row in lines("labelled.txt"):
        type_, _, marked = row.partition("|")
        text, spans, start = "", [], 0
        for char in marked.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\\\"):
            if char == "«":
                start = len(text)
            elif char == "»":
                spans.append((start, len(text), type_))
            else:
                text += char
        found.append(Labelled(text, tuple(spans)))
    return found


def hidden(text: str, findings: Iterable[Finding]) -> bytearray:
    mask = bytearray(len(text))
    for item in findings:
        mask[item.start : item.end] = b"\1" * (item.end - item.start)
    return mask


def score(documents: Sequence[Labelled]) -> Score:
    total = Score()
    for document in documents:
        _add(total, document, find(document.text))
    return total


def _add(total: Score, document: Labelled, findings: tuple[Finding, ...]) -> None:
    text, mask = document.text, hidden(document.text, findings)
    about = bytearray(len(text))
    leak = False
    for start, end, type_ in document.labels:
        about[start:end] = b"\1" * (end - start)
        caught = all(mask[i] for i in range(start, end) if text[i].isalnum())
        total.labels[type_] += 1
        total.caught[type_] += caught
        leak |= not caught
    total.labelled += bool(document.labels)
    total.leaking += leak
    for start, end in document.neutral:
        about[start:end] = b"\2" * (end - start)
    for start, end, _ in document.stays:
        total.stays += 1
        total.kept += not any(mask[start:end])
    for item in findings:
        span = about[item.start : item.end]
        total.good += 1 in span
        total.wrong += not any(span)
    plain = [i for i in range(len(text)) if text[i].isalnum() and not about[i]]
    total.plain += len(plain)
    total.over += sum(mask[i] for i in plain)
