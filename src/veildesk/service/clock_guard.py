"""Whether the clock can be believed before anything is deleted by it.

A clock that is ahead by more than the retention would end every ticket for good. So what was last seen is
kept: the wall clock beside the time since boot. A clock that leapt further than that explains is doubted:
what time deletes is then deleted by the time before the leap, which goes on with the time since boot. The
leap counts once it has stood for long enough, or an operator says that it is right. A machine that was off
for weeks passes through the same: its first deletions come an hour or a day later.

What somebody wishes to delete never waits for this.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from veildesk.core.errors import SpoolUnavailable
from veildesk.ops.time_source import Moment, moment, synchronised
from veildesk.spool.durable import write_file

__all__ = ["ClockGuard", "Doubt", "GuardedClock"]

_log = logging.getLogger("veildesk.service")
_HOUR: Final = 3600
_DAY: Final = 86400
_LEAP: Final = 2 * _DAY
"""What a night with the machine off, or a summer time set by hand, may explain."""
_SYNCHRONISED: Final = _HOUR
_STANDING: Final = _DAY
_FAR: Final = 60 * _DAY
"""Time servers go wrong too, by years then."""
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A leap of the clock that nothing explains. `days` is how far, negative for backwards; `stood` and
    `kept` are for how many seconds it has stood, and has been synchronised without a break."""

    since: Moment
    days: int
    stood: int = 0
    kept: int = 0


class ClockGuard:
    """Compares the clock with what `path` says of the last time; keeps whole hours there.

    `before` is a time (seconds since 1970) that has certainly been, for a gateway without such a file.
    """

    def __init__(
        self,
        path: Path,
        before: int | None = None,
        *,
        read: Callable[[], Moment] = moment,
        synchronised: Callable[[], bool | None] = synchronised,
    ) -> None:
        self._path, self._read, self._synchronised = path, read, synchronised
        self.doubt: Doubt | None = None
        now = read()
        self._last = now if before is None else Moment(min(before, now.wall), now.up, now.boot)
        self._kept: dict[str, Any] = {}
        self.unreadable = False
        self._load()

    # ------------------------------------------------------------------ times
    def earliest(self) -> int:
        """Seconds since 1970 that have passed for certain: by this time things may be deleted."""
        wall, believed = self._both()
        return believed if wall > believed + _LEAP else wall

    def latest(self) -> int:
        """Seconds since 1970, not before what was seen already: from this time on things are kept."""
        wall, believed = self._both()
        return believed if wall < believed - _LEAP else wall

    def _both(self) -> tuple[int, int]:
        now = self._read()
        return now.wall, self._believed(now)

    def _believed(self, now: Moment) -> int:
        gone = now.up - self._last.up if now.boot == self._last.boot else 0
        return self._last.wall + max(0, gone)

    # ---------------------------------------------------------------- looking
    def look(self) -> None:
        """Compare once, and note what was seen."""
        now = self._read()
        gap = now.wall - self._believed(now)
        if now.boot != self._last.boot:
            # How long the machine was off, only its clock says.
            self._last = Moment(self._last.wall, now.up, now.boot)
        if abs(gap) <= _LEAP:
            if self.doubt is not None:
                self._believe(now, "it is back")
            self._last = now
        else:
            self.doubt = self._doubted(now, gap)
            if (why := self._why_sure(self.doubt)) is not None:
                self._believe(now, why)
        self._save()

    def confirm(self) -> bool:
        """An operator says that the clock is right; False when nobody doubted it."""
        self.look()
        if self.doubt is None:
            return False
        self._believe(self._read(), "confirmed")
        self._save()
        return True

    def told(self) -> dict[str, Any]:
        """For people: "ok", "ahead" or "behind", by how many days, and whether a time service keeps it."""
        days = 0 if self.doubt is None else self.doubt.days
        state = "ok" if self.doubt is None else "ahead" if days > 0 else "behind"
        return {"clock": state, "days": abs(days), "synchronised": self._synchronised()}

    def compared(self) -> dict[str, Any]:
        """What `told` would be after a look; notes nothing."""
        now = self._read()
        gap = now.wall - self._believed(now)
        if self.doubt is None and abs(gap) > _LEAP:
            self.doubt = Doubt(now, round(gap / _DAY))
        return self.told()

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_SECONDS)

    def _doubted(self, now: Moment, gap: int) -> Doubt:
        before, days = self.doubt, round(gap / _DAY)
        if before is not None and before.since.boot != now.boot:
            before = dataclasses.replace(before, since=Moment(before.since.wall, now.up, now.boot))
        if before is None or abs(now.wall - before.since.wall - (now.up - before.since.up)) > _LEAP:
            _log.error("clock-doubted leap_days=%d deletions=by-the-time-before", days)
            return Doubt(now, days)
        passed = max(0, now.up - before.since.up)
        kept = before.kept + passed if self._synchronised() else 0
        return Doubt(now, before.days, before.stood + passed, kept)

    def _why_sure(self, doubt: Doubt) -> str | None:
        if doubt.days < 0:
            # Nothing is deleted too early by a clock that is behind: no haste.
            return "synchronised" if doubt.kept >= _SYNCHRONISED else None
        if doubt.stood >= _STANDING:
            return "it stood for a day"
        if doubt.kept >= _SYNCHRONISED and doubt.days * _DAY <= _FAR:
            return "synchronised"
        return None

    def _believe(self, now: Moment, why: str) -> None:
        _log.warning("clock-believed why=%s", why.replace(" ", "-"))
        self.doubt, self._last = None, now

    # ---------------------------------------------------------------- keeping
    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_bytes())
            last = _moment(kept["last"])
            doubt = kept["doubt"]
            found = (
                None
                if doubt is None
                else Doubt(_moment(doubt["since"]), int(doubt["days"]), doubt["stood"] * _HOUR)
            )
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError):
            self.unreadable = True
            _log.warning("clock-unknown reason=unreadable")
            return
        self._last, self.doubt, self._kept = last, found, kept

    def _save(self) -> None:
        kept = {"last": _hours(self._last), "doubt": None}
        if (doubt := self.doubt) is not None:
            since = _hours(doubt.since)
            kept["doubt"] = {"since": since, "days": doubt.days, "stood": doubt.stood // _HOUR}
        if kept == self._kept:
            return
        try:
            write_file(self._path, [json.dumps(kept).encode()], lambda _: None)
        except SpoolUnavailable as error:
            _log.warning("clock-not-kept reason=%s", error.detail)
        else:
            self._kept = kept


class GuardedClock:
    """`core.ports.Clock` over one of the guard's times."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now

    def now(self) -> int:
        """Seconds since 1970, UTC."""
        return self._now()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()


def _hours(one: Moment) -> dict[str, Any]:
    """To the hour: nothing in the state directory tells minutes."""
    return {"wall": one.wall // _HOUR, "up": one.up // _HOUR, "boot": one.boot}


def _moment(kept: dict[str, Any]) -> Moment:
    return Moment(int(kept["wall"]) * _HOUR, int(kept["up"]) * _HOUR, str(kept["boot"]))
