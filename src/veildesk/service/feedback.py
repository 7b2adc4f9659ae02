"""How often answers helped: three numbers for a day, in one small file of the state directory.

Nothing else is kept, and the file's time stamp is that of the day, so that a copy of the disk does not
tell when somebody was here.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from veildesk.core.ports import Clock

__all__ = ["FeedbackCounts"]

_log = logging.getLogger("veildesk.service")
_DAY = 86_400
_CHOICES = ("yes", "partly", "no")


class FeedbackCounts:
    """Counts in `path`, for the last `days` days."""

    def __init__(self, path: Path, clock: Clock, days: int = 90) -> None:
        self._path, self._clock, self._days = path, clock, days

    def add(self, choice: str) -> None:
        """Count one answer. A disk that refuses costs the count and nothing else."""
        if choice not in _CHOICES:
            raise ValueError("unknown choice")
        today = self._clock.now() // _DAY
        counts = self._read()
        of_today = counts.setdefault(str(today), dict.fromkeys(_CHOICES, 0))
        of_today[choice] += 1
        kept = {day: numbers for day, numbers in counts.items() if today - int(day) <= self._days}
        try:
            self._write(kept, today)
        except OSError as error:
            _log.warning("feedback-not-counted error=%s", type(error).__name__)

    def totals(self) -> dict[str, int]:
        """The numbers of all days together."""
        counts = self._read().values()
        return {choice: sum(numbers.get(choice, 0) for numbers in counts) for choice in _CHOICES}

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            found: dict[str, dict[str, int]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _write(self, counts: dict[str, dict[str, int]], today: int) -> None:
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(counts, file)
        os.utime(draft, (today * _DAY, today * _DAY))
        draft.replace(self._path)
