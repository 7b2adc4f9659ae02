"""On which day the last backup of each class was made, for doctor. Holds nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from veildesk.core.errors import SpoolUnavailable
from veildesk.spool.durable import write_file

__all__ = ["backed_up", "mark_backup"]

_NAME = "backup"


def mark_backup(state_dir: Path, done: Iterable[str]) -> None:
    """Note today for these classes ("bulk", "keys"). A backup is not spoiled by a note that fails."""
    today = int(time.time()) // 86400
    days = {**backed_up(state_dir), **dict.fromkeys(done, today)}
    with contextlib.suppress(SpoolUnavailable):
        write_file(state_dir / _NAME, [json.dumps(days).encode()], lambda _: None)


def backed_up(state_dir: Path) -> dict[str, int]:
    """Days since 1970 by class; what is not known is left out."""
    try:
        days = json.loads((state_dir / _NAME).read_bytes())
        return {what: int(days[what]) for what in ("bulk", "keys") if what in days}
    except (OSError, ValueError, TypeError):
        return {}
