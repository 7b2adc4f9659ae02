"""Durable accepts: over SMTP beside servers that keep nothing, and bare beside what the disk can do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import smtplib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from measure import ROOT, Row, cpu_seconds, measure, memory_mb, tree

from rows.whole_way import gateway
from testbed.openpgp_lab import new_lab
from veildesk.core.submission import Channel, Submission
from veildesk.ops.clock import SystemClock
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool

__all__ = ["GROUPS"]

_SERVER = Path(__file__).resolve().parents[1] / "mail_server.py"
_MAILS, _CLIENTS, _FILE = 200, 10, 18_000_000
_WITH_FILE = (
    "From: user@example.org\r\nTo: support@desk.example\r\nSubject: a file\r\nMessage-ID: <{name}@e.org>"
    "\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
    "boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\nsee the file\r\n--q\r\nContent-Type: "
    'application/octet-stream; name="x.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
)


@contextlib.asynccontextmanager
async def _server(kind: str, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """A server's port and process id."""
    if kind == "sink":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # As root it insists on another account.
        account = ["-u", "nobody"] if os.geteuid() == 0 else []
        words = ["smtp-sink", *account, f"127.0.0.1:{port}", "200"]
        process = await asyncio.create_subprocess_exec(*words)
        await asyncio.sleep(0.5)
    else:
        words = [sys.executable, "-I", str(_SERVER), kind, str(folder)]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        port = int(await process.stdout.readline())
    try:
        yield port, process.pid
    finally:
        process.kill()
        await process.wait()


async def _send(port: int, sessions: int, count: int, size: int) -> None:
    """Postfix's smtp-source: `count` mails of `size` bytes over `sessions` connections."""
    words = ["smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size)]
    words += ["-f", "a@users.test", "-t", "support@bench.test", f"127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise RuntimeError("smtp-source failed")


async def over_smtp() -> list[Row]:
    """Accepts per second at 1, 10 and 50 sessions."""
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        async with contextlib.AsyncExitStack() as stack:
            kinds = ("ours", "empty", "sink")
            ports = {kind: (await stack.enter_async_context(_server(kind, Path(name))))[0] for kind in kinds}
            for sessions in (1, 10, 50):
                for kind, said in (("empty", "aiosmtpd, empty handler"), ("sink", "smtp-sink")):
                    row = Row(
                        f"accept.smtp.{kind}.{sessions}",
                        f"{_MAILS} mails of 5 kB kept, {sessions} sessions",
                        said,
                    )
                    row.goal = 0.6 if kind == "empty" and sessions > 1 else None

                    async def ours(count: int = sessions) -> None:
                        await _send(ports["ours"], count, _MAILS, 5000)

                    async def other(kind: str = kind, count: int = sessions) -> None:
                        await _send(ports[kind], count, _MAILS, 5000)

                    await measure(row, ours, other, rounds=3)
                    row.note = (
                        f"{_MAILS / row.ours * 1000:.0f}/s against {_MAILS / (row.other or 1) * 1000:.0f}/s"
                    )
                    rows.append(row)
    return rows


async def over_smtp_processor() -> list[Row]:
    """Processor time of both servers for a mail: a disk that others use does not count."""
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        async with _server("ours", Path(name)) as ours, _server("empty", Path(name)) as empty:
            for sessions in (10, 50):
                costs = []
                for _ in range(6):
                    pair = []
                    for port, pid in (ours, empty):
                        before = cpu_seconds([pid])
                        await _send(port, sessions, _MAILS, 5000)
                        pair.append(1000 * (cpu_seconds([pid]) - before) / _MAILS)
                    costs.append(pair)
                mine, other = (statistics.median(pair[at] for pair in costs[1:]) for at in (0, 1))
                what = f"processor time for a mail of 5 kB kept, {sessions} sessions"
                row = Row(f"accept.cpu.{sessions}", what, "aiosmtpd, empty handler", round(mine, 2))
                row.other, row.ratio, row.goal = round(other, 2), round(other / mine, 2), 0.6
                rows.append(row)
    return rows


async def large_mails() -> list[Row]:
    """Memory while mails of 25 MB arrive, ten at a time."""
    count = 100 if os.environ.get("VEILDESK_BENCH_LARGE") else 10
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        async with _server("ours", Path(name)) as (port, pid):
            peak = before = memory_mb(tree(pid))
            sending = asyncio.create_task(_send(port, 10, count, 25_000_000))
            while not sending.done():
                peak = max(peak, memory_mb(tree(pid)))
                await asyncio.sleep(0.05)
            await sending
    row = Row("accept.memory", f"memory while {count} mails of 25 MB arrive, 10 sessions", unit="MB")
    row.ours = round(peak, 1)
    row.note = f"{before:.0f} MB before; bounded by bytes in flight"
    return [row]


async def large_mails_through() -> list[Row]:
    """Memory of a whole gateway while mails with a file of 18 MB, 25 MB as mails, go all the way."""
    count = 100 if os.environ.get("VEILDESK_BENCH_LARGE") else 10
    body = base64.encodebytes(os.urandom(_FILE)).replace(b"\n", b"\r\n")
    with new_lab() as lab, tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        async with gateway(Path(name), lab) as whole:
            peak = before = memory_mb(tree(whole.pid))
            sending = asyncio.gather(
                *(
                    asyncio.to_thread(_send_files, whole.port, body, count // _CLIENTS)
                    for _ in range(_CLIENTS)
                )
            )
            while not sending.done() or whole.delivered() < count:
                if sending.done():
                    sending.result()
                peak = max(peak, memory_mb(tree(whole.pid)))
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            after = memory_mb(tree(whole.pid))
    row = Row("whole.memory", f"all processes while {count} mails of 25 MB go all the way", unit="MB")
    row.ours = round(peak, 1)
    row.note = f"{before:.0f} MB before, {after:.0f} MB after; {_CLIENTS} sessions"
    return [row]


def _send_files(port: int, body: bytes, count: int) -> None:
    """Send mails with a file; who is told to come later comes later."""
    for _ in range(count):
        mail = _WITH_FILE.format(name=secrets.token_hex(8)).encode() + body + b"\r\n--q--\r\n"
        for attempt in range(600):
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=600) as client:
                    client.sendmail("user@example.org", ["support@desk.example"], mail)
                break
            except smtplib.SMTPException:
                if attempt == 599:
                    raise
                time.sleep(0.5)


async def bare() -> list[Row]:
    """The store alone, one and many at a time, beside appends with fdatasync."""
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        folder = Path(name)
        spool = await SqlSpool.open(folder / "state", KeyRing.create(folder / "ring"), SystemClock(), 14)
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


GROUPS = (bare, over_smtp, over_smtp_processor, large_mails, large_mails_through)
