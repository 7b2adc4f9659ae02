"""From SQLite to PostgreSQL: nothing lost, also under a running gateway and killed at any point."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.filled_store import content, fill, open_store
from testbed.postgres import Cluster
from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.core.submission import Channel, Submission
from veildesk.core.work import State
from veildesk.spool import KeyRing
from veildesk.spool.crashpoint import POINTS
from veildesk.spool.moving import move

_MOVE = """
import sys
from pathlib import Path
from veildesk.spool.keyring import KeyRing
from veildesk.spool.moving import move
root = Path(sys.argv[1])
move(root / "state", KeyRing.load(root / "ring"), sys.argv[2], root / "state" / "files")
"""


def mail(number: int) -> Submission:
    return Submission(Channel.SMTP, number.to_bytes(32, "big"), b"%d" % number)


def run_move(root: Path, database: str) -> dict[str, int]:
    return move(root / "state", KeyRing.load(root / "ring"), database, root / "state" / "files")


async def test_everything_is_there_after_a_move(tmp_path: Path, postgres: Cluster) -> None:
    old = await open_store(tmp_path)
    await fill(old)
    before = await content(old)
    await old.close()
    database = postgres.new_database()
    counts = await asyncio.to_thread(run_move, tmp_path, database)
    assert counts["message"] == 8
    new = await open_store(tmp_path, database)
    assert await content(new) == before
    again = await new.accept(Submission(Channel.SMTP, b"small".ljust(32, b"."), b"x"))
    assert not again.fresh
    assert (await new.accept(mail(1))).fresh, "the sequence goes on behind the copied rows"
    assert len(await new.claim([State.ACCEPTED, State.DELIVERING], limit=9)) >= 2
    await new.close()
    with pytest.raises(ConfigInvalid, match="moved to PostgreSQL"):
        await open_store(tmp_path)


async def test_a_gateway_on_the_old_store_ends_and_acknowledges_nothing_that_is_lost(
    tmp_path: Path, postgres: Cluster
) -> None:
    database = postgres.new_database()
    old = await open_store(tmp_path, reap_seconds=0.2)
    acknowledged: list[str] = []

    async def feed() -> None:
        for number in range(100_000):
            try:
                acknowledged.append((await old.accept(mail(number))).message_id)
            except SpoolUnavailable:
                if old.failed:
                    return

    feeding = asyncio.create_task(feed())
    while len(acknowledged) < 20:
        await asyncio.sleep(0.01)
    moving = asyncio.create_task(asyncio.to_thread(run_move, tmp_path, database))
    assert await asyncio.wait_for(old.failure(), 60) == "moved"
    await feeding
    await old.close()
    await moving
    new = await open_store(tmp_path, database)
    assert set(acknowledged) <= {work.message_id for work in await new.listing()}
    await new.close()


POINTS_OF_A_MOVE = sorted(name for name in POINTS if name.startswith("move."))


async def killed_and_repeated(root: Path, database: str, point: str) -> None:
    """A move dies at a crash point; the same command finishes it and nothing is missing."""
    old = await open_store(root)
    await fill(old)
    before = await content(old)
    await old.close()
    environment = {**os.environ, "VEILDESK_CRASHPOINT": point}
    command = [sys.executable, "-c", _MOVE, str(root), database]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    if point != "move.opened":
        with pytest.raises(ConfigInvalid, match="not finished"):
            await open_store(root, database)
    await asyncio.to_thread(run_move, root, database)
    new = await open_store(root, database)
    assert await content(new) == before
    await new.close()


@pytest.mark.parametrize("point", POINTS_OF_A_MOVE)
async def test_a_move_killed_half_way_is_finished_by_the_same_command(
    tmp_path: Path, postgres: Cluster, point: str
) -> None:
    await killed_and_repeated(tmp_path, postgres.new_database(), point)


async def test_a_database_with_tickets_a_wrong_ring_and_an_empty_state_are_refused(
    tmp_path: Path, postgres: Cluster
) -> None:
    database = postgres.new_database()
    with pytest.raises(ConfigInvalid, match="no SQLite store"):
        move(tmp_path / "none", KeyRing.create(tmp_path / "other"), database, tmp_path / "files")
    old = await open_store(tmp_path)
    await fill(old)
    before = await content(old)
    await old.close()
    ring = KeyRing.load(tmp_path / "other")
    with pytest.raises(KeyUnusable):
        await asyncio.to_thread(move, tmp_path / "state", ring, database, tmp_path / "state" / "files")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    used = await open_store(elsewhere, database)
    await used.accept(mail(5))
    await used.close()
    with pytest.raises(ConfigInvalid, match="tickets in it"):
        await asyncio.to_thread(run_move, tmp_path, database)
    again = await open_store(tmp_path)
    assert await content(again) == before
    await again.close()


async def test_files_move_too_when_they_are_to_lie_elsewhere(tmp_path: Path, postgres: Cluster) -> None:
    old = await open_store(tmp_path)
    await fill(old)
    before = await content(old)
    await old.close()
    database, shared = postgres.new_database(), tmp_path / "shared"
    ring = KeyRing.load(tmp_path / "ring")
    await asyncio.to_thread(move, tmp_path / "state", ring, database, shared)
    new = await open_store(tmp_path, database, files=shared)
    assert await content(new) == before
    await new.close()
