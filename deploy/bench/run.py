"""`make bench`: what Veildesk costs, as ratios against a peer or a physical limit in the same run.

Ours and the other side take turns, so that a change of the machine's speed meets both; each figure is the
median of the rounds' ratios. A row that breaks is reported as broken and the others go on.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import gnupg  # noqa: E402

from testbed.openpgp_lab import new_lab  # noqa: E402
from veildesk.core.finding import MaskNumbering  # noqa: E402
from veildesk.core.submission import Channel, Submission  # noqa: E402
from veildesk.ops.clock import SystemClock  # noqa: E402
from veildesk.redact.apply import redact_text  # noqa: E402
from veildesk.spool.keyring import KeyRing  # noqa: E402
from veildesk.spool.sqlite import SqliteSpool  # noqa: E402

ROUNDS = 5
Timed = Callable[[], Awaitable[None]]


@dataclass
class Row:
    """One measurement. `ratio` is other/ours in time: above 1 we are faster."""

    id: str
    what: str
    other: str
    ours_ms: float = 0.0
    other_ms: float = 0.0
    ratio: float = 0.0
    note: str = ""


async def measure(row: Row, ours: Timed, other: Timed, rounds: int = ROUNDS) -> Row:
    """Run both in turn, once unmeasured, then `rounds` times."""
    await ours()
    await other()
    pairs = []
    for _ in range(rounds):
        pairs.append((await _seconds(ours), await _seconds(other)))
    row.ours_ms = round(1000 * statistics.median(a for a, _ in pairs), 3)
    row.other_ms = round(1000 * statistics.median(b for _, b in pairs), 3)
    row.ratio = round(statistics.median(b / a for a, b in pairs), 3)
    return row


async def _seconds(timed: Timed) -> float:
    begun = time.perf_counter()
    await timed()
    return time.perf_counter() - begun


async def redaction() -> list[Row]:
    """A log with one sensitive line in forty beside a plain scan with two everyday patterns."""
    lines = []
    for number in range(4000):
        lines.append(
            f"2026-11-22T10:{number % 60:02d}:01Z info worker[{number}] step {number % 7} took {number % 900}"
        )
        if number % 40 == 0:
            lines.append(
                f"2026-11-22T10:00:02Z warn login user{number}@mail.example from 93.184.{number % 200}.7"
            )
    text = "\n".join(lines)
    patterns = [re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"), re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")]

    async def ours() -> None:
        redact_text(text, MaskNumbering(b"k" * 32))

    async def scan() -> None:
        for pattern in patterns:
            pattern.sub("[x]", text)

    row = await measure(
        Row("redact.log", f"mask a log of {len(text) // 1000} kB", "two patterns of re"), ours, scan
    )
    row.note = f"{len(text) / 1000 / row.ours_ms:.2f} MB/s; the other side finds two of over thirty types"
    return [row]


async def opening() -> list[Row]:
    """Decrypt and verify a 5 kB mail: our engine, beside a plain python-gnupg loop."""
    rows = []
    with new_lab() as lab:
        message = lab.encrypt(os.urandom(2500).hex().encode(), "--armor", sign=True)
        engine, certificate = lab.engine("desk"), lab.certificate("user")
        await engine.start()
        home = lab.home("desk")
        plain = gnupg.GPG(gnupghome=str(home), options=["--trust-model", "always"])
        plain.import_keys(certificate)

        async def ours() -> None:
            for _ in range(10):
                opened = await engine.open(message, [certificate])
                assert opened.signatures[0].verdict.value == "valid"

        async def loop() -> None:
            for _ in range(10):
                result = await asyncio.to_thread(plain.decrypt, message)
                assert result.ok
                assert result.valid

        rows.append(
            await measure(
                Row("openpgp.open", "open 10 signed, encrypted 5 kB mails", "python-gnupg"), ours, loop
            )
        )
        rows[-1].note = "ours checks structure, integrity and each signature's key in a keyring of its own"
        await engine.close()
    return rows


async def accepting() -> list[Row]:
    """Durable accepts of 5 kB, alone and fifty at a time, beside bare appends with fdatasync."""
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        folder = Path(name)
        spool = await SqliteSpool.open(folder / "state", KeyRing.create(folder / "ring"), SystemClock(), 14)
        payload = os.urandom(5000)
        plain = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        async def one() -> None:
            await spool.accept(Submission(Channel.LMTP, secrets.token_bytes(32), payload))

        for together in (1, 10, 50):

            async def ours(count: int = together) -> None:
                for _ in range(100 // count):
                    await asyncio.gather(*(one() for _ in range(count)))

            async def append() -> None:
                for _ in range(100):
                    os.write(plain, payload)
                    os.fdatasync(plain)

            row = Row(
                f"accept.{together}", f"100 durable accepts, {together} at a time", "append + fdatasync each"
            )
            rows.append(await measure(row, ours, append))
        os.close(plain)
        await spool.close()
    return rows


async def main() -> int:
    """Run all rows, print the table, write var/bench/bench.json; 1 if a row broke."""
    load = os.getloadavg()[0]
    rows: list[Row] = []
    broken = 0
    (ROOT / "var" / "bench").mkdir(parents=True, exist_ok=True)
    for group in (redaction, opening, accepting):
        try:
            rows += await group()
        except Exception as error:
            broken += 1
            rows.append(Row(group.__name__, f"broken: {type(error).__name__}: {error}", ""))
    print(f"load {load:.1f} on {os.cpu_count()} cores, {ROUNDS} rounds")
    print("ratio = other / ours: above 1 we are faster\n")
    print(f"{'row':<16}{'what':<44}{'ours ms':>10}{'other ms':>10}{'ratio':>8}  other")
    for row in rows:
        figures = f"{row.ours_ms:>10}{row.other_ms:>10}{row.ratio:>8}"
        print(f"{row.id:<16}{row.what:<44}{figures}  {row.other}  {row.note}")
    document = {"load": load, "cores": os.cpu_count(), "rounds": ROUNDS, "rows": [asdict(r) for r in rows]}
    (ROOT / "var" / "bench" / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
