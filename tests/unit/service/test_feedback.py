"""Feedback is three numbers a day and tells nothing about when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from veildesk.service.feedback import FeedbackCounts

DAY = 86_400


class At:
    def __init__(self, day: int) -> None:
        self.day = day

    def now(self) -> int:
        return self.day * DAY + 12_345

    def monotonic(self) -> float:
        return 0.0


def test_counts_are_kept_by_day_and_only_for_a_time(tmp_path: Path) -> None:
    path, clock = tmp_path / "feedback.json", At(20_000)
    FeedbackCounts(path, clock, days=30).add("yes")
    clock.day = 20_030
    counts = FeedbackCounts(path, clock, days=30)
    counts.add("no")
    counts.add("no")
    assert counts.totals() == {"yes": 1, "partly": 0, "no": 2}
    clock.day = 20_031
    counts.add("partly")
    assert sorted(json.loads(path.read_text())) == ["20030", "20031"]


def test_the_file_tells_the_day_and_nothing_finer(tmp_path: Path) -> None:
    path = tmp_path / "feedback.json"
    FeedbackCounts(path, At(20_000)).add("yes")
    assert path.stat().st_mtime == 20_000 * DAY
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["feedback.json"]


def test_a_damaged_file_costs_the_counts_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "feedback.json"
    path.write_text("{")
    counts = FeedbackCounts(path, At(20_000))
    counts.add("yes")
    assert counts.totals()["yes"] == 1
    FeedbackCounts(tmp_path / "nowhere" / "x.json", At(1)).add("yes")
    with pytest.raises(ValueError, match="unknown choice"):
        counts.add("alice")
