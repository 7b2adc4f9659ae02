"""A child process kills itself at every named point; what it had acknowledged is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.errors import WorkLost
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import Reason, State
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.crashpoint import POINTS
from veildesk.spool.erase_jobs import EraseJob
from veildesk.spool.file_store import ObjectSettings
from veildesk.spool.holds import Hold
from veildesk.spool.sweeping import sweep

if TYPE_CHECKING:  # The child runs this file alone.
    from testbed.postgres import Cluster
    from testbed.s3_server import S3Server

pytestmark = pytest.mark.live

# Points that the child passes more than once in a run are also tried at a later pass.
AGAIN = ("accept.before-commit:3", "accept.after-commit:3", "advance.before-commit:4", "file.synced:2")
LARGE = 300_000


class RealClock:
    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


def mail(number: int) -> Submission:
    size = LARGE if number % 2 else 1000
    return Submission(Channel.SMTP, number.to_bytes(32, "big"), b"%04d" % number * (size // 4))


def post(number: int, lookup: bytes = b"l" * 32) -> Submission:
    anchor = PortalAnchor(lookup, b"p" * 32)
    dedup = b"p" + number.to_bytes(31, "big")
    return Submission(Channel.PORTAL, dedup, b"post", anchor=anchor, thread_entry=b"entry %d" % number)


def ring_of(directory: Path) -> KeyRing:
    """The ring under a root credential, so that its half is renewed with each rotation."""
    ring = KeyRing.load(directory / "ring", b"r" * 32)
    ring.bind()
    return ring


async def open_there(directory: Path) -> SqlSpool:
    """SQLite and a folder, or PostgreSQL and a bucket where the test left word of them."""
    ring, elsewhere = ring_of(directory), directory / "elsewhere"
    database = files = None
    if elsewhere.exists():
        database, *bucket, limit = json.loads(elsewhere.read_text())
        files = ObjectSettings(*bucket, timeout=limit)
    return await SqlSpool.open(
        directory / "state", ring, RealClock(), 30, database=database, files=files, min_free=0
    )


def known(day: int) -> KnownKey:
    return KnownKey(
        b"certificate", "A" * 40, ("A" * 40,), ("user@users.test",), next(iter(Provenance)), None, day
    )


async def scenario(directory: Path) -> None:
    """What the child does; repeated after a crash it goes on where it was, as senders do."""
    spool = await open_there(directory)

    def tell(line: str) -> None:
        with (directory / "ledger").open("a") as ledger:
            ledger.write(line + "\n")

    for number in range(4):
        accepted = await spool.accept(mail(number))
        tell(f"mail {number} {accepted.message_id}")
    for number in range(2):
        await spool.accept(post(number))
        tell(f"post {number}")
    first = (await spool.accept(mail(0))).ticket_id
    await spool.collect(first, b"r" * 32, {"reply": b"answer"}, ("desk", "1"))
    tell("reply")
    states = [State.ACCEPTED, State.DELIVERING]
    for work in await spool.claim(states, limit=2):
        await spool.release(work)
    while works := await spool.claim(states):
        (work,) = works
        if work.state is State.ACCEPTED:
            if work.ticket_id != first and work.channel is Channel.SMTP and work.attempts == 0:
                work = await spool.join(work, first)
            work = await spool.advance(work, State.DELIVERING, parts={"wire": b"w" * LARGE})
            tell(f"delivering {work.message_id}")
        await spool.advance(work, State.DELIVERED, parts={"raw": None, "wire": None}, marker=b"m" * 32)
        tell(f"delivered {work.message_id}")
    extra = await spool.accept(post(77, b"x" * 32))
    for work in await spool.claim(states):
        await spool.postpone(work, Reason.BACKEND_DOWN, 0)
    if (work := next((w for w in await spool.listing(states)), None)) is not None:
        await spool.retry(work.message_id)
    with contextlib.suppress(WorkLost):  # When it was reworded before the crash.
        await spool.reword(b"x" * 32, PortalAnchor(b"y" * 32, b"q" * 32), [b"entry, sealed anew"], [])
    await spool.set_cursor("desk", "2")
    await spool.contacts.remember(known(1))
    await spool.holds.add(Hold(first, "court order", "2099-12-31"))
    await spool.erase_jobs.put(EraseJob("j" * 48, extra.ticket_id, "desk/1"))
    tell("job")
    await spool.rotate()
    assert (await spool.contacts.by_address("user@users.test")) == (known(1),)
    tell("erasing")
    await spool.erase(extra.ticket_id)
    tell("erased")
    await spool.close()


def run_child(directory: Path, setting: str) -> int:
    environment = {**os.environ, "VEILDESK_CRASHPOINT": setting}
    command = [sys.executable, "-W", "error", __file__, str(directory)]
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: SIGKILL leaves the page cache, so fsync adds only time."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory, prefix="spool-crash-") as name:
        yield Path(name)


# The points of a move between databases have a test of their own: tests/unit/spool/test_moving.py.
# Those around calls to the outside are passed by the gateway alone: tests/chaos.
HERE = sorted(name for name in POINTS if name.partition(".")[0] not in ("move", "deliver", "send"))


@pytest.mark.parametrize("setting", [*HERE, *AGAIN])
async def test_a_crash_loses_and_doubles_nothing(root: Path, setting: str) -> None:
    KeyRing.create(root / "ring")
    assert run_child(root, setting) == -signal.SIGKILL, "the point was not reached"
    await check_acknowledged(root)
    await scenario(root)
    await check_whole(root)


# Where it matters that files lie in a bucket; the rest is the same code.
IN_A_BUCKET = sorted(name for name in POINTS if name.startswith("file."))


@pytest.mark.parametrize("setting", [*IN_A_BUCKET, "file.synced:2", "erase.files-removed"])
async def test_a_crash_with_files_in_a_bucket_loses_and_doubles_nothing(
    root: Path, postgres: Cluster, s3: S3Server, setting: str
) -> None:
    KeyRing.create(root / "ring")
    bucket = s3.new_place()
    keys = [bucket.access_key, bucket.secret_key]
    place = [bucket.endpoint, bucket.bucket, bucket.prefix, bucket.region, *keys, bucket.timeout]
    (root / "elsewhere").write_text(json.dumps([postgres.new_database(), *place]))
    assert run_child(root, setting) == -signal.SIGKILL, "the point was not reached"
    await check_acknowledged(root)
    await scenario(root)
    await check_whole(root)


def ledger_of(directory: Path) -> list[list[str]]:
    path = directory / "ledger"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


async def check_acknowledged(directory: Path) -> None:
    """Directly after the crash: everything that was acknowledged is there."""
    lines = ledger_of(directory)
    spool = await open_there(directory)
    works = {work.message_id: work for work in await spool.listing()}
    for line in lines:
        if line[0] == "mail":
            work = works[line[2]]
            if work.state is not State.DELIVERED:
                assert await spool.part(line[2], "raw") == mail(int(line[1])).payload
        if line[0] == "delivered":
            assert works[line[1]].state is State.DELIVERED
    if ["job"] in lines:
        assert await spool.erase_jobs.get("j" * 48) is not None
        assert await spool.contacts.by_key("A" * 40) == known(1)
        assert [hold.until for hold in await spool.holds.all()] == ["2099-12-31"]
    by_words = [await spool.thread(lookup * 32) for lookup in (b"x", b"y")]
    found = [view.entries for view in by_words if view is not None]
    # Either the old words open the whole thread or the new ones do, until it is erased.
    assert len(found) <= 1
    assert found in ([], [(b"entry 77",)], [(b"entry, sealed anew",)])
    assert bool(by_words[1]) or ["job"] not in lines or ["erasing"] in lines
    view = await spool.thread(b"l" * 32)
    posts = [line for line in lines if line[0] == "post"]
    assert len(view.entries if view else ()) >= len(posts)
    await spool.close()


async def check_whole(directory: Path) -> None:
    """After the repeat: each once, all delivered, the erased one gone, no stray file."""
    lines = ledger_of(directory)
    ids = {(line[1], line[2]) for line in lines if line[0] == "mail"}
    assert len(ids) == 4, "a mail came back under another id"
    done = [line[1] for line in lines if line[0] == "delivered"]
    assert len(done) == len(set(done)), "a mail was delivered twice"
    spool = await open_there(directory)
    works = await spool.listing()
    states = sorted(work.state.value for work in works)
    assert states == ["collected", *["delivered"] * 6]
    view = await spool.thread(b"l" * 32)
    assert view is not None
    assert view.entries == (b"entry 0", b"entry 1")
    assert len(spool_epochs(directory)) == 1
    await sweep(spool._state, patience=1.5)  # SQLite was swept when it was opened.
    assert await spool._files.names() == set()
    await spool.close()


def spool_epochs(directory: Path) -> tuple[int, ...]:
    return ring_of(directory).epochs


if __name__ == "__main__":
    asyncio.run(scenario(Path(sys.argv[1])))
