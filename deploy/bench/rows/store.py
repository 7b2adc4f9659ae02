"""The store as it grows: cost per message, sweep, start-up, rotation; the idle gateway; two gateways."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from measure import ROOT, Row, cpu_seconds, measure, memory_mb, seconds, tree

from testbed.postgres import cluster
from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.submission import Channel, Submission
from veildesk.core.work import State
from veildesk.ops.clock import SystemClock
from veildesk.service.initialise import initialise
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import dedup, message, ticket, ticket_key
from veildesk.spool.sealing import wrap_key
from veildesk.spool.store import SqlSpool

__all__ = ["GROUPS"]

_BATCH = 5000
_MESSAGES = 50
_CONTACTS = {100_000: 10_000, 1_000_000: 50_000}


async def _store(folder: Path, tickets: int) -> SqlSpool:
    """A store with so many delivered tickets, one message each.

    With 100,000 tickets there are ten thousand contacts, with 1,000,000 fifty thousand.
    """
    folder.mkdir()
    ring = KeyRing.create(folder / "ring")
    spool = await SqlSpool.open(folder / "state", ring, SystemClock(), 14)
    for start in range(0, tickets, _BATCH):
        ids = [secrets.token_hex(16) for _ in range(min(_BATCH, tickets - start))]
        await spool._writer.do("fill", lambda connection, ids=ids: _fill(connection, ring, ids))
    for _ in range(_CONTACTS.get(tickets, 0) // 1000):
        await spool._writer.do("fill", lambda connection: _meet(connection, spool, 1000))
    return spool


def _fill(connection: sa.Connection, ring: KeyRing, ids: list[str]) -> None:
    today = SystemClock().now() // 86400
    key = ring.epoch_key(1)
    wrapped = [{"ticket_id": i, "epoch": 1, "wrapped": wrap_key(key, 1, i, b"k" * 32)} for i in ids]
    connection.execute(sa.insert(ticket), [{"id": i, "expires_day": today + 9} for i in ids])
    connection.execute(sa.insert(ticket_key), wrapped)
    fixed = {"direction": "in", "channel": "lmtp", "queue": "support", "state": "delivered", "reason": ""}
    fixed |= {"attempts": "0", "due_at": "0"}
    rows = [
        {**fixed, "attempts": 0, "due_at": 0, "id": i[::-1], "ticket_id": i, "accepted_day": today}
        for i in ids
    ]
    connection.execute(sa.insert(message), rows)
    digests = [
        {"digest": os.urandom(32), "message_id": i[::-1], "ticket_id": i, "expires_day": today} for i in ids
    ]
    connection.execute(sa.insert(dedup), digests)


def _meet(connection: sa.Connection, spool: SqlSpool, count: int) -> None:
    """So many contacts, each with an address and a certificate of 700 octets."""
    today = SystemClock().now() // 86400
    for _ in range(count):
        name = secrets.token_hex(20).upper()
        address = f"{name[:12].lower()}@users.test"
        key = KnownKey(os.urandom(700), name, (name,), (address,), Provenance.SIGNED, None, today)
        names = {spool.contacts._digest(1, "address", address), spool.contacts._digest(1, "key", name)}
        spool.contacts._insert(connection, 1, key, names)


async def _messages(spool: SqlSpool) -> None:
    """Messages from accept to delivered, one after the other, four commits each."""
    for _ in range(_MESSAGES):
        await spool.accept(Submission(Channel.LMTP, secrets.token_bytes(32), os.urandom(3000)))
        (work,) = await spool.claim([State.ACCEPTED])
        work = await spool.advance(work, State.DELIVERING, parts={"entry": b"e" * 2000})
        await spool.advance(work, State.DELIVERED, parts={"raw": None, "entry": None}, backend_ref="desk/1")


async def growing() -> list[Row]:
    """The same work on stores of different sizes."""
    sizes = [100_000] + ([1_000_000] if os.environ.get("VEILDESK_BENCH_LARGE") else [])
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        folder = Path(name)
        small = await _store(folder / "small", 1000)
        for size in sizes:
            large = await _store(folder / str(size), size)
            row = Row(
                f"store.{size}", f"{_MESSAGES} messages, store of {size} tickets", "store of 1000", goal=0.909
            )
            await measure(row, lambda spool=large: _messages(spool), lambda: _messages(small), rounds=9)
            rows.append(row)
            today = SystemClock().now() // 86400
            sweep = Row(f"store.sweep.{size}", f"find what expired among {size} tickets")
            sweep.ours = round(1000 * await seconds(lambda spool=large, day=today: spool.expired(day)), 1)
            rows.append(sweep)
            turn = Row(f"store.rotate.{size}", f"wrap {size} ticket keys anew, online")
            turn.ours = round(1000 * await seconds(large.rotate), 1)
            rows.append(turn)
            await large.close()
            ring = KeyRing.load(folder / str(size) / "ring")
            begun = time.perf_counter()
            again = await SqlSpool.open(folder / str(size) / "state", ring, SystemClock(), 14)
            start = Row(f"store.open.{size}", f"open a store of {size} tickets (goal 2000 ms)")
            start.ours = round(1000 * (time.perf_counter() - begun), 1)
            rows.append(start)
            await again.close()
        await small.close()
    return rows


async def idle() -> list[Row]:
    """A gateway as `init` makes it, doing nothing."""
    with tempfile.TemporaryDirectory(prefix="vb-") as name:
        await initialise(Path(name) / "gw", name="Desk", address="support@desk.example")
        words = [sys.executable, "-I", "-m", "veildesk", "run", "--config", f"{name}/gw/veildesk.toml"]
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        while b"ready" not in (line := await process.stderr.readline()):
            assert line, "the gateway ended"
        started = time.perf_counter() - begun
        await asyncio.sleep(5)
        pids = tree(process.pid)
        before = cpu_seconds(pids)
        await asyncio.sleep(10)
        used = cpu_seconds(pids) - before
        memory = memory_mb(pids)
        process.terminate()
        await process.communicate()
    return [
        Row("gateway.start", "start of an empty gateway until ready", ours=round(1000 * started)),
        Row(
            "gateway.memory", "idle memory of all its processes (goal 150)", ours=round(memory, 1), unit="MB"
        ),
        Row("gateway.cpu", "idle processor time (goal 1)", ours=round(used * 10, 2), unit="%"),
    ]


_WORKER = """
import asyncio, sys, time
from pathlib import Path
from veildesk.core.work import State
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool

async def main(root, database):
    ring = KeyRing.load(root / "ring")
    spool = await SqlSpool.open(root / "state", ring, SystemClock(), 14, database=database)
    print("ready", flush=True)
    sys.stdin.readline()
    while works := await spool.claim([State.ACCEPTED, State.DELIVERING]):
        for work in works:
            end = time.process_time() + 0.01  # Opening, cleaning and masking: processor time.
            while time.process_time() < end:
                pass
            work = await spool.advance(work, State.DELIVERING, parts={"entry": b"e" * 2000})
            await spool.advance(work, State.DELIVERED, parts={"raw": None, "entry": None})
    await spool.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def two_gateways() -> list[Row]:
    """300 messages of 10 ms processor time each on one PostgreSQL: two processes beside one."""
    times: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, cluster() as server:
        root = Path(name)
        KeyRing.create(root / "ring")
        database = server.new_database()
        for _ in range(3):
            for count in times:
                times[count].append(await _drain(root, database, count))
    one, two = (sorted(times[count])[1] for count in (1, 2))
    row = Row("postgres.two", "300 messages by two gateways on one PostgreSQL", "one gateway")
    row.ours, row.other = round(1000 * two, 1), round(1000 * one, 1)
    row.ratio = round(one / two, 3)
    row.note = f"PostgreSQL shares the {os.cpu_count()} cores"
    return [row]


async def _drain(root: Path, database: str, count: int) -> float:
    ring = KeyRing.load(root / "ring")
    spool = await SqlSpool.open(root / "state", ring, SystemClock(), 14, database=database)
    for _ in range(6):
        mails = [Submission(Channel.LMTP, secrets.token_bytes(32), os.urandom(3000)) for _ in range(50)]
        await asyncio.gather(*(spool.accept(mail) for mail in mails))
    await spool.close()
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    words = [sys.executable, "-c", _WORKER, str(root), database]
    workers = [await asyncio.create_subprocess_exec(*words, **pipes) for _ in range(count)]
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    begun = time.perf_counter()
    await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    return time.perf_counter() - begun


GROUPS = (growing, idle, two_gateways)
