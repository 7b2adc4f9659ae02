"""What every row is made with: turns of two sides, medians of ratios, processor time of whole trees.

The two sides take turns, so that a change of the machine's speed meets both; a figure is the median of the
rounds. A ratio is always other/ours in cost: above 1 we are cheaper or faster.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "ROUNDS", "Row", "Timed", "cpu_seconds", "measure", "memory_mb", "seconds", "tree"]

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
Timed = Callable[[], Awaitable[None]]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Row:
    """One measurement. `ours` and `other` are costs in `unit`; `ratio` is other/ours.

    `goal` is the smallest ratio that is wanted, None when the row only informs.
    """

    id: str
    what: str
    other_is: str = ""
    ours: float = 0.0
    other: float | None = None
    unit: str = "ms"
    ratio: float | None = None
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        return None if self.goal is None or self.ratio is None else self.ratio >= self.goal


async def measure(row: Row, ours: Timed, other: Timed, rounds: int = ROUNDS) -> Row:
    """Time both in turn, once unmeasured, then `rounds` times; fills in milliseconds."""
    await ours()
    await other()
    pairs = []
    for _ in range(rounds):
        pairs.append((await seconds(ours), await seconds(other)))
    row.ours = round(1000 * statistics.median(a for a, _ in pairs), 3)
    row.other = round(1000 * statistics.median(b for _, b in pairs), 3)
    row.ratio = round(statistics.median(b / a for a, b in pairs), 3)
    return row


async def seconds(timed: Timed) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    await timed()
    return time.perf_counter() - begun


def tree(root: int) -> list[int]:
    """A process and everything it started that still runs."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes and of their children that ended (proc(5), stat 14 to 17)."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def memory_mb(pids: Iterable[int]) -> float:
    """Proportional memory of processes in MB (smaps_rollup, Pss)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
