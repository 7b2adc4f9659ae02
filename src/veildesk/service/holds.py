"""Legal holds: tickets that must not be deleted for now, each with a reason and a last day.

A small JSON file that the commands write and the gateway reads anew each time. A hold that is past its day
counts no more; one without a day does not exist.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from veildesk.core.errors import ConfigInvalid

__all__ = ["Hold", "Holds"]


@dataclass(frozen=True, slots=True)
class Hold:
    """`until` is the last day on which the ticket is kept, as YYYY-MM-DD."""

    ticket_id: str
    reason: str
    until: str


class Holds:
    """Holds in one file; missing means none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Hold]:
        """Every hold that was written down. Raises `ConfigInvalid` for a file that cannot be read."""
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            holds = [Hold(str(r["ticket"]), str(r["reason"]), str(r["until"])) for r in rows]
            for hold in holds:
                date.fromisoformat(hold.until)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError):
            # Deleting what may be under a hold cannot be undone: nothing is deleted until this is mended.
            raise ConfigInvalid("holds.json cannot be read") from None
        return holds

    def held(self, ticket_id: str, today: int) -> Hold | None:
        """The hold on a ticket on a day (days since 1970 UTC), None when there is none."""
        day = date.fromordinal(date(1970, 1, 1).toordinal() + today).isoformat()
        return next((h for h in self.all() if h.ticket_id == ticket_id and h.until >= day), None)

    def add(self, hold: Hold) -> None:
        """Write one down, in place of an earlier one on the same ticket. Raises ValueError for a bad day."""
        date.fromisoformat(hold.until)
        self._write([*(h for h in self.all() if h.ticket_id != hold.ticket_id), hold])

    def remove(self, ticket_id: str) -> bool:
        """Lift a hold; False when there was none."""
        kept = [h for h in self.all() if h.ticket_id != ticket_id]
        there = len(kept) < len(self.all())
        if there:
            self._write(kept)
        return there

    def _write(self, holds: list[Hold]) -> None:
        rows = [{"ticket": h.ticket_id, "reason": h.reason, "until": h.until} for h in holds]
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(self._path)
