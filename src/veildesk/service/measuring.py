"""What the gateway tells about itself in numbers. Nothing here names a person, a ticket or a message.

At a small desk a number that grows by one says when somebody wrote, and whoever collects numbers keeps them
for months. So what goes by messages is counted once an hour, and what moves with each of them is told in
steps that a single message does not fill.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from veildesk.core.errors import VeildeskError
from veildesk.core.work import State
from veildesk.ops.lag import LoopLag
from veildesk.ops.metrics import Gauge
from veildesk.service.backlog import backlog
from veildesk.spool.store import SqlSpool

__all__ = ["Measuring"]

_HOUR: Final = 3600
_ROOM_STEP: Final = 1 << 28
_MEMORY_STEP: Final = 1 << 26
_LAG_STEP: Final = 0.25


class Measuring:
    """Gathers the gauges. `healthy` says for each helpdesk whether the last poll was answered."""

    def __init__(
        self,
        spool: SqlSpool,
        lag: LoopLag,
        done: Callable[[], int],
        healthy: Callable[[], Mapping[str, bool]],
        deletions: Callable[[], Awaitable[Mapping[str, int]]],
        clock_doubted: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._lag = lag
        self._done = done
        self._healthy = healthy
        self._deletions = deletions
        self._clock_doubted = clock_doubted
        self._now = now
        self._hour = -1
        self._counted: list[Gauge] = []

    async def gather(self) -> list[Gauge]:
        """All gauges; those of the store are left out while it does not answer."""
        found = [
            Gauge(
                "loop_lag_seconds",
                "Longest delay of the event loop in the last minute.",
                _steps(self._lag.worst, _LAG_STEP),
            ),
            Gauge("store_waiting", "Operations that wait for the store's thread.", self._spool.waiting),
            Gauge(
                "store_failed",
                "1 when the store refuses until the process is started anew.",
                self._spool.failed,
            ),
            Gauge("clock_doubted", "1 while deletions go by the time before a leap.", self._clock_doubted()),
            Gauge(
                "memory_peak_bytes", "Highest resident memory of this process, in steps of 64 MiB.", _peak()
            ),
        ]
        for name, healthy in self._healthy().items():
            found.append(
                Gauge("helpdesk_up", "1 when the last poll was answered.", healthy, {"helpdesk": name})
            )
        if (hour := int(self._now() // _HOUR)) != self._hour:
            try:
                self._counted = await self._store()
            except VeildeskError:
                return found
            self._hour = hour
        return found + self._counted

    async def _store(self) -> list[Gauge]:
        """What goes by messages, as it is at the first look of an hour."""
        counts = await self._spool.counts()
        found = [
            Gauge("finished", "Messages this process brought to an end since it started.", self._done()),
        ]
        found += [
            Gauge("messages", "Messages by state.", counts.get(state.value, 0), {"state": state.value})
            for state in State
        ]
        for state, days in (await self._spool.oldest()).items():
            found.append(
                Gauge("oldest_days", "Age of the oldest message in a state.", days, {"state": state})
            )
        for name, waiting in (await backlog(self._spool, self._healthy())).items():
            found.append(
                Gauge("helpdesk_backlog", "Messages on their way to it.", waiting, {"helpdesk": name})
            )
        for what, number in (await self._deletions()).items():
            found.append(Gauge(f"deletions_{what}", "Deletions of the last 30 days.", number))
        space = os.statvfs(self._spool.directory)
        free = _steps(space.f_bavail * space.f_frsize, _ROOM_STEP)
        found.append(Gauge("state_free_bytes", "Free space where the store lies, in steps of 256 MiB.", free))
        return found


def _steps(value: float, step: float) -> float:
    """Rounded down, so that nothing is called free that is not."""
    return value // step * step


def _peak() -> float:
    return _steps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, _MEMORY_STEP)
