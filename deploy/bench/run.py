"""`make bench`: what Veildesk costs, as ratios against a peer or a physical limit in the same run.

One table on standard output and var/bench/bench.json. A row that breaks is reported as broken and the
others go on. `run.py SUBJECT...` runs some subjects only; the subjects are the modules under rows/.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pkgutil
import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests")]

import rows  # noqa: E402
from measure import ROOT, ROUNDS, Row  # noqa: E402


def subjects() -> list[str]:
    """Names of the modules under rows/."""
    return sorted(module.name for module in pkgutil.iter_modules(rows.__path__))


async def collect(chosen: list[str]) -> tuple[list[Row], int]:
    """All rows of the chosen subjects, and how many groups broke."""
    found: list[Row] = []
    broken = 0
    for subject in chosen:
        for group in importlib.import_module(f"rows.{subject}").GROUPS:
            print(f"{subject}: {group.__name__}", file=sys.stderr, flush=True)
            try:
                found += await group()
            except Exception as error:
                broken += 1
                name = f"{subject}.{group.__name__}"
                found.append(Row(name, f"broken: {type(error).__name__}: {error}"))
    return found, broken


def show(found: list[Row]) -> None:
    """The table for people."""
    print("ratio = other / ours in cost: above 1 we are cheaper\n")
    print(f"{'row':<22}{'what':<50}{'ours':>11}{'other':>11} {'unit':<6}{'ratio':>8}{'goal':>7}  other")
    for row in found:
        other = "" if row.other is None else f"{row.other:g}"
        ratio = "" if row.ratio is None else f"{row.ratio:g}"
        goal = "" if row.goal is None else f"{row.goal:g}" + ("" if row.met else "!")
        figures = f"{row.ours:>11g}{other:>11} {row.unit:<6}{ratio:>8}{goal:>7}"
        print(f"{row.id:<22}{row.what:<50}{figures}  {row.other_is}  {row.note}")


async def main() -> int:
    """Run, print, write; 1 if a group broke."""
    chosen = sys.argv[1:] or subjects()
    if unknown := sorted(set(chosen) - set(subjects())):
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(subjects())}", file=sys.stderr)
        return 2
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    found, broken = await collect(chosen)
    after = os.getloadavg()[0]
    print(f"load {before:.1f} before, {after:.1f} after, on {os.cpu_count()} cores, {ROUNDS} rounds")
    show(found)
    document = {
        "load": [before, after],
        "cores": os.cpu_count(),
        "rounds": ROUNDS,
        "rows": [{**asdict(row), "met": row.met} for row in found],
    }
    (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
