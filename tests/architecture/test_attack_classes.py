"""Every class of attack that is known has files and a test; the table says which."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
ROWS = list(csv.DictReader((CORPUS / "ATTACK_CLASSES.tsv").read_text().splitlines(), delimiter="\t"))


def test_all_classes_are_there_once() -> None:
    assert len(ROWS) == len({row["class"] for row in ROWS}) == 46


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["class"])
def test_a_class_has_files_and_a_test(row: dict[str, str]) -> None:
    # Broken integrity under our own key can only be made at run time: the key is not in the repository.
    named = [] if row["files"] == "-" else row["files"].split()
    assert named or row["class"] == "broken integrity protection"
    assert [name for name in named if not (CORPUS / name).is_file()] == []
    path, _, test = row["test"].partition("::")
    assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
