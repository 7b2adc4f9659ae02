"""A day of a large desk in a discrete simulation: which part is full first.

Messages arrive at random with a daily rhythm (three times the mean at noon) and pass stations in order,
each with so many servers and a service time; what a station costs is given in milliseconds. Defaults are
stated in docs/scaling.md with where they come from. `simulate.py --per-day 1000000 --hosts 4 --json`.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
from dataclasses import dataclass, field

_DAY = 86_400.0


@dataclass
class Station:
    """`servers` work side by side; a job takes `seconds` on average, exponentially distributed."""

    name: str
    servers: int
    seconds: float
    free: list[float] = field(default_factory=list)
    busy: float = 0.0
    waits: list[float] = field(default_factory=list)

    def serve(self, now: float, chance: random.Random) -> float:
        """When a job that comes now is done."""
        start = now if len(self.free) < self.servers else max(now, heapq.heappop(self.free))
        spent = chance.expovariate(1 / self.seconds)
        self.busy += spent
        self.waits.append(start - now)
        heapq.heappush(self.free, start + spent)
        return start + spent


def arrivals(per_day: int, span: float, chance: random.Random) -> list[float]:
    """Times within the busiest `span` seconds of the day, by thinning."""
    peak = 3 * per_day / _DAY
    times, now = [], 0.0
    while now < span:
        now += chance.expovariate(peak)
        # The rhythm around its highest point.
        if chance.random() < 1 / 3 + 2 / 3 * math.cos(math.pi * (now - span / 2) / _DAY) ** 2:
            times.append(now)
    return times


def simulate(per_day: int, stations: list[Station], span: float, seed: int) -> list[dict[str, float | str]]:
    """Run the busiest `span` seconds; for each station how full it was and how long jobs waited.

    A station gets its jobs in the order in which the one before finished them.
    """
    chance = random.Random(seed)
    times = arrivals(per_day, span, chance)
    for station in stations:
        times = sorted(station.serve(now, chance) for now in times)
    rows: list[dict[str, float | str]] = []
    for station in stations:
        waits = sorted(station.waits)
        load = station.busy / (span * station.servers)
        p95 = waits[int(0.95 * (len(waits) - 1))]
        rows.append({"station": station.name, "load": round(load, 3), "p95_wait_seconds": round(p95, 3)})
    return rows


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-day", type=int, default=1_000_000)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--cores", type=int, default=4, help="cores of each gateway host")
    parser.add_argument("--accept-ms", type=float, default=2.5, help="processor time to take a mail over")
    parser.add_argument("--commit-ms", type=float, default=1.4, help="one group commit of the database")
    parser.add_argument(
        "--group", type=float, default=8.0, help="operations that share a commit at this load"
    )
    parser.add_argument(
        "--work-ms", type=float, default=32.0, help="processor time to open, clean, mask and answer"
    )
    parser.add_argument("--workers", type=int, default=2, help="messages a host works on at a time")
    parser.add_argument("--helpdesk-ms", type=float, default=370.0, help="one call to the helpdesk")
    parser.add_argument("--calls", type=int, default=32, help="calls to the helpdesk at a time, all hosts")
    parser.add_argument("--span", type=float, default=1800.0, help="seconds of the busiest time to look at")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    cores = given.hosts * given.cores
    stations = [
        Station("accept (cores)", cores, given.accept_ms / 1000),
        Station("database (commits)", 1, 4 * given.commit_ms / given.group / 1000),
        Station("work (cores)", cores, given.work_ms / 1000),
        # A worker holds its message while the helpdesk answers.
        Station(
            "workers",
            given.hosts * given.workers,
            (given.work_ms + given.helpdesk_ms + 4 * given.commit_ms) / 1000,
        ),
        Station("helpdesk (calls)", given.calls, given.helpdesk_ms / 1000),
    ]
    rows = simulate(given.per_day, stations, given.span, given.seed)
    if given.json:
        print(json.dumps({"per_day": given.per_day, "hosts": given.hosts, "stations": rows}))
        return 0
    for row in rows:
        print(f"{row['station']:<22}{row['load']:>8.1%} busy   p95 wait {row['p95_wait_seconds']:>9.3f} s")
    print(f"fullest: {max(rows, key=lambda row: row['load'])['station']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
