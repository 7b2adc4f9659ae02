"""Redaction beside the tools people use for it, beside plain patterns, and in bounded memory.

The peers run in an environment of their own (peers.lock, built under var/bench), each in a process that is
asked in turn with ours about the same texts. They look for less than we do; the ratios are of time alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import ROOT, Row, measure

from unit.redact.corpus import lines, score
from unit.redact.letters import letters
from unit.redact.samples import every
from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import redact_text
from veildesk.redact.engine import find

__all__ = ["GROUPS"]

HERE = Path(__file__).resolve().parents[1]
_PEERS = ("presidio-patterns", "presidio-default", "scrubadub", "detect-secrets", "datafog")
_GOALS = {("log", "presidio-patterns"): 100.0, ("tickets", "presidio-patterns"): 20.0}
_ROUNDS = 3
_LOG_MB = 100


def log_lines(count: int) -> Iterator[str]:
    """A log with one sensitive line in forty."""
    for number in range(count):
        step = f"step {number % 7} took {number % 900}"
        yield f"2026-11-22T10:{number % 60:02d}:01Z info worker[{number}] {step}\n"
        if number % 40 == 0:
            yield f"2026-11-22T10:00:02Z warn login user{number}@mail.example from 93.184.{number % 200}.7\n"


def tickets(count: int, length: int = 700) -> list[str]:
    """Letters full of values: about seven in 700 characters."""
    rng = random.Random(7)
    samples = [one for seed in range(6) for one in every(seed) if len(one.value) < 120]
    made = []
    for _ in range(count):
        text = "Hello, the app does not start since the update to version 4.2.1.\n"
        while len(text) < length:
            text += rng.choice(samples).text + ". It worked on Windows 10.0.19045.3570 before.\n"
        made.append(text)
    return made


def peers_python() -> Path:
    """The interpreter of the peers' environment, built when it is missing or older than its lock."""
    folder, lock = ROOT / "var" / "bench" / "peers", HERE / "peers.lock"
    mark, want = folder / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not mark.exists() or mark.read_text() != want:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
        mark.write_text(want)
    return python


@contextmanager
def peer(name: str) -> Iterator[subprocess.Popen[str]]:
    """A peer that waits for texts."""
    arguments = [str(peers_python()), str(HERE / "redaction_peers.py"), name]
    process = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _asked(process: subprocess.Popen[str], texts: list[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"texts": texts}) + "\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline())["seconds"])


def _own(texts: list[str]) -> float:
    begun = time.perf_counter()
    for text in texts:
        find(text)
    return time.perf_counter() - begun


def _beside(kind: str, name: str, texts: list[str]) -> Row:
    """Turns of the peer and of ours; ours does the texts several times, to be long enough to measure."""
    size = sum(map(len, texts)) / 1e6
    with peer(name) as process:
        _own(texts)
        _asked(process, texts[:1])
        pairs = [(_own(texts * 8) / 8, _asked(process, texts)) for _ in range(_ROUNDS)]
    row = Row(f"redact.{kind}.{name}", f"look through {size * 1000:.0f} kB of {kind}", name)
    row.ours = round(1000 * statistics.median(a for a, _ in pairs), 3)
    row.other = round(1000 * statistics.median(b for _, b in pairs), 3)
    row.ratio = round(statistics.median(b / a for a, b in pairs), 1)
    row.goal = _GOALS.get((kind, name))
    row.note = f"{size / row.ours * 1000:.2f} MB/s beside {size / row.other * 1000:.3f}"
    return row


async def peers() -> list[Row]:
    """Logs and dense tickets beside each peer. Logs go to the peers in blocks of 2 kB, which they like."""
    lines = "".join(log_lines(1000))
    blocks = [lines[start : start + 2000] for start in range(0, len(lines), 2000)]
    rows = []
    for name in _PEERS:
        for kind, texts in (("log", blocks), ("tickets", tickets(40))):
            try:
                rows.append(await asyncio.to_thread(_beside, kind, name, texts))
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                rows.append(Row(f"redact.{kind}.{name}", f"broken: {type(error).__name__}", name))
    return rows


async def patterns() -> list[Row]:
    """A log masked, beside a plain scan with two everyday patterns."""
    text = "".join(log_lines(4000))
    everyday = [re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"), re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")]

    async def ours() -> None:
        redact_text(text, MaskNumbering(b"k" * 32))

    async def scan() -> None:
        for pattern in everyday:
            pattern.sub("[x]", text)

    row = await measure(
        Row("redact.log", f"mask a log of {len(text) // 1000} kB", "two patterns of re"), ours, scan
    )
    row.note = f"{len(text) / 1000 / row.ours:.2f} MB/s; the other side finds two of over thirty types"
    return [row]


async def ticket_time() -> list[Row]:
    """How long a ticket of 5 kB takes, as its 95th percentile."""
    times = []
    for text in tickets(200, 5000):
        begun = time.perf_counter()
        redact_text(text, MaskNumbering(b"k" * 32))
        times.append(time.perf_counter() - begun)
    row = Row("redact.ticket", "mask a dense ticket of 5 kB, 95th percentile")
    row.ours = round(1000 * statistics.quantiles(times, n=20)[-1], 2)
    row.note = f"median {1000 * statistics.median(times):.2f} ms"
    return [row]


_STREAM = """
import ctypes, gc, re, sys, time
from collections import Counter
sys.path[:0] = sys.argv[1:3]
from rows.redaction import log_lines
from veildesk.core.finding import MaskNumbering
from veildesk.redact.engine import find
from veildesk.redact.stream import redact_stream
size = int(sys.argv[3]) * 1_000_000
def pieces(limit):
    sent, block = 0, "".join(log_lines(1000))
    while sent < limit:
        sent += len(block)
        yield block
def kib(name):
    with open("/proc/self/status") as status:
        return int(re.search(name + r":\\s+(\\d+)", status.read())[1])
find("warm up: é password seed phrase abandon ability able about above absent absorb abstract absurd abuse")
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # forget the peak of the start, when the triggers are compiled
base = kib("VmRSS")
begun = time.perf_counter()
for _ in redact_stream(pieces(size), MaskNumbering(b"k"), Counter()): pass
took = time.perf_counter() - begun
print((kib("VmHWM") - base) / 1024, took)
"""


async def memory() -> list[Row]:
    """Memory above the base while a log of 100 MB goes through.

    The base is the resident size of the ready engine, with what it freed given back; the peak is the kernel's
    own, set back at that moment, because compiling the triggers once needs more than any stream.
    """
    arguments = [sys.executable, "-c", _STREAM, str(HERE), str(ROOT / "tests"), str(_LOG_MB)]
    done = await asyncio.to_thread(
        subprocess.run, arguments, check=True, capture_output=True, text=True, env={**os.environ}
    )
    above, took = map(float, done.stdout.split())
    row = Row("redact.memory", f"stream a log of {_LOG_MB} MB, memory above base", "64 MiB allowed")
    row.ours, row.other, row.unit, row.goal = round(above, 1), 64.0, "MiB", 1.0
    row.ratio = round(64.0 / max(above, 0.1), 1)
    row.note = f"{_LOG_MB / took:.2f} MB/s"
    return [row]


async def quality() -> list[Row]:
    """How much of what should be hidden is found in letters made now, and how much of the rest stays."""
    made = list(letters(4))
    total = await asyncio.to_thread(score, [document for _, document in made])
    kept = [line for line in lines("survives.txt") if not find(line)]
    stays = len(kept) / len(lines("survives.txt"))
    rows = []
    for name, value, goal in (
        ("recall", total.recall, 0.985),
        ("precision", total.precision, 0.99),
        ("survival", stays, 0.995),
        ("no leak", 1 - total.leak, 0.97),
    ):
        row = Row(
            f"redact.quality.{name.replace(' ', '-')}", f"{name} on {len(made)} letters in seven languages"
        )
        row.ours, row.unit, row.ratio, row.goal = round(100 * value, 2), "%", round(value, 4), goal
        rows.append(row)
    rows[0].note = f"{sum(total.labels.values())} values, {len(total.labels)} kinds"
    return rows


_START = """
import sys, time
begun = time.process_time()
from veildesk.redact.engine import find
loaded = time.process_time()
find("x")
print(1000 * (loaded - begun), 1000 * (time.process_time() - loaded))
"""


async def start() -> list[Row]:
    """What the engine costs before its first answer: every command and every gateway pays it once."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _START], check=True, capture_output=True, text=True
    )
    loaded, ready = map(float, done.stdout.split())
    row = Row("redact.start", "processor time until the engine is ready", "700 ms allowed")
    row.ours, row.other, row.goal = round(ready, 1), 700.0, 1.0
    row.ratio = round(700 / max(ready, 1), 1)
    row.note = f"and {loaded:.0f} ms to load the modules"
    return [row]


GROUPS = (quality, start, patterns, peers, ticket_time, memory)
