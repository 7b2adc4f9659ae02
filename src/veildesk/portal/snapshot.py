"""What a status page says, worked out from the board. Pure.

Never "all is well" by mistake: what cannot be read or seen is "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from veildesk.core.notice import (
    OVER,
    Board,
    ComponentState,
    Impact,
    IncidentState,
    Kind,
    Notice,
    PublishedNotice,
)

__all__ = ["Incident", "Snapshot", "incidents", "snapshot"]

_WORST: Final = (Impact.NONE, Impact.MINOR, Impact.MAJOR, Impact.CRITICAL)
_AS_IMPACT: Final = {
    ComponentState.OPERATIONAL: Impact.NONE,
    ComponentState.MAINTENANCE: Impact.NONE,
    ComponentState.DEGRADED: Impact.MINOR,
    ComponentState.PARTIAL_OUTAGE: Impact.MAJOR,
    ComponentState.MAJOR_OUTAGE: Impact.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Incident:
    """All notices of one story, newest first."""

    notices: tuple[PublishedNotice, ...]

    @property
    def latest(self) -> PublishedNotice:
        """The newest notice."""
        return self.notices[0]

    @property
    def title(self) -> str:
        """The newest title."""
        return self.latest.notice.title

    @property
    def over(self) -> bool:
        """Whether the newest notice says that it is over."""
        return self.latest.notice.state in OVER

    @property
    def planned(self) -> bool:
        """Whether it is a maintenance."""
        return self.latest.kind is Kind.MAINTENANCE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`board` is None when the series cannot be read. `summary` is a severity or "unknown"."""

    board: Board | None
    incidents: tuple[Incident, ...]
    summary: str

    @property
    def going_on(self) -> list[Incident]:
        """Incidents that are not over."""
        return [one for one in self.incidents if not one.over and not one.planned]

    @property
    def maintenance(self) -> list[Incident]:
        """Maintenance to come or under way."""
        return [one for one in self.incidents if not one.over and one.planned]

    @property
    def over(self) -> list[Incident]:
        """What is over, newest first."""
        return [one for one in self.incidents if one.over]

    @property
    def others(self) -> list[PublishedNotice]:
        """Lists of addresses and canaries, newest first."""
        every = self.board.statements if self.board else ()
        return [one for one in reversed(every) if not isinstance(one.statement.content, Notice)]

    def find(self, number: int) -> PublishedNotice | None:
        """A statement by its number."""
        every = self.board.statements if self.board else ()
        return next((one for one in every if one.number == number), None)

    def story(self, number: int) -> list[PublishedNotice]:
        """Other notices of the same story, newest first."""
        for one in self.incidents:
            if any(item.number == number for item in one.notices):
                return [item for item in one.notices if item.number != number]
        return []


def incidents(board: Board) -> tuple[Incident, ...]:
    """Notices by story, the one with the newest notice first."""
    grouped: dict[int, list[PublishedNotice]] = {}
    for item in sorted(board.notices, key=lambda item: -item.number):
        grouped.setdefault(item.incident, []).append(item)
    return tuple(Incident(tuple(items)) for items in grouped.values())


def snapshot(board: Board | None) -> Snapshot:
    """What there is to say; None for a series that cannot be read."""
    if board is None:
        return Snapshot(None, (), "unknown")
    known = incidents(board)
    return Snapshot(board, known, _summary(board, known))


def _summary(board: Board, known: Sequence[Incident]) -> str:
    seen = [
        one.latest.notice.severity
        for one in known
        if not one.over and one.latest.notice.state is not IncidentState.SCHEDULED
    ]
    seen += [_AS_IMPACT[one.state] for one in board.components if one.state in _AS_IMPACT]
    worst = max(seen, key=_WORST.index, default=Impact.NONE)
    blind = any(one.state is ComponentState.UNKNOWN for one in board.components)
    return "unknown" if blind and worst is Impact.NONE else worst.value
