"""What is found and what stays: own labelled lines, and the development set where it is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unit.redact.corpus import ROOT, Labelled, labelled, lines, score
from veildesk.redact.engine import find


@pytest.mark.parametrize("document", labelled(), ids=lambda d: f"{d.labels[0][2]}:{d.text[:40]!r}")
def test_labelled_line(document: Labelled) -> None:
    total = score([document])
    assert total.recall == 1.0, "something labelled stays readable"
    assert total.wrong == 0, "something else is hidden"
    assert document.labels[0][2] in {item.type for item in find(document.text)}


@pytest.mark.parametrize("line", lines("survives.txt"))
def test_nothing_is_hidden_that_diagnosis_needs(line: str) -> None:
    assert [(item.type, item.rule, line[item.start : item.end]) for item in find(line)] == []


def _development() -> Path | None:
    corpus = Path(os.environ.get("VEILDESK_CORPUS", ROOT.parent / "shared" / "corpus"))
    path = corpus.parent / "redaction" / "dev.jsonl"
    return path if path.is_file() else None


def test_development_set(capsys: pytest.CaptureFixture[str]) -> None:
    path = _development()
    if path is None:
        pytest.skip("no development set beside the checkout; the project's own lines are scored all the same")
    documents = []
    for row in map(json.loads, path.read_text("utf-8").splitlines()):
        documents.append(
            Labelled(
                row["text"],
                tuple((item["s"], item["e"], item["t"]) for item in row["labels"]),
                tuple((item["s"], item["e"], item["k"]) for item in row["neg"]),
                tuple((item["s"], item["e"]) for item in row["neutral"]),
            )
        )
    total = score(documents)
    low = {name: total.caught[name] / count for name, count in total.labels.items() if count >= 50}
    assert total.recall >= 0.995
    assert min(low.values()) >= 0.97
    assert total.leak <= 0.02
    assert total.precision >= 0.995
    assert total.survival >= 0.995
    assert total.overmask <= 0.01
