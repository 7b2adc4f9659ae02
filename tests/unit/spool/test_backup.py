"""Backups in two classes: what comes back, and what must never come back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from testbed.filled_store import content, fill, open_store
from veildesk.core.errors import ConfigInvalid, KeyUnusable
from veildesk.core.submission import Channel, Submission
from veildesk.spool import KeyRing
from veildesk.spool.archiving import back_up_bulk, back_up_keys, restore
from veildesk.spool.sealing import Place, open_row, unwrap_key


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    made: str = request.getfixturevalue("postgres").new_database()
    return made


async def bulk(root: Path, database: str | None, name: str = "bulk") -> dict[str, int]:
    state = root / "state"
    return await asyncio.to_thread(back_up_bulk, state, database, state / "files", root / name)


async def keys(root: Path, database: str | None) -> int:
    ring = KeyRing.load(root / "ring")
    return await asyncio.to_thread(back_up_keys, root / "state", database, ring, root / "keys")


async def restored(root: Path, target: Path, database: str | None = None) -> dict[str, int]:
    target.mkdir()
    return await asyncio.to_thread(
        restore,
        root / "bulk",
        root / "keys",
        state_dir=target / "state",
        conninfo=database,
        ring_path=target / "ring",
        files=target / "state" / "files",
    )


async def test_a_running_store_is_backed_up_and_comes_back_whole(
    tmp_path: Path, database: str | None
) -> None:
    spool = await open_store(tmp_path, database)
    await fill(spool)
    counts = await bulk(tmp_path, database)
    assert (counts["message"], counts["missing"]) == (8, 0)
    assert await keys(tmp_path, database) == 5
    before = await content(spool)
    await spool.close()
    done = await restored(tmp_path, tmp_path / "new")
    assert done == {"tickets": 5, "dropped": 0, "messages": 8, "missing": 0}
    again = await open_store(tmp_path / "new")
    assert await content(again) == before
    assert (await again.accept(Submission(Channel.SMTP, b"n" * 32, b"new"))).fresh
    await again.close()


async def test_a_backup_of_sqlite_restores_into_postgresql(tmp_path: Path, postgres: object) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    before = await content(spool)
    await bulk(tmp_path, None)
    await keys(tmp_path, None)
    await spool.close()
    database = postgres.new_database()  # type: ignore[attr-defined]
    await restored(tmp_path, tmp_path / "new", database)
    again = await open_store(tmp_path / "new", database)
    assert await content(again) == before
    await again.close()


async def test_an_old_backup_with_todays_keys_does_not_bring_back_a_deleted_ticket(
    tmp_path: Path, database: str | None
) -> None:
    spool = await open_store(tmp_path, database)
    tickets = await fill(spool)
    await bulk(tmp_path, database)
    await keys(tmp_path, database)
    old_keys = shutil.copytree(tmp_path / "keys", tmp_path / "old-keys")
    gone, kept = tickets["small"], tickets["parked"]
    await spool.erase(gone)
    await spool.rotate()
    await keys(tmp_path, database)
    await spool.close()
    done = await restored(tmp_path, tmp_path / "new")
    assert (done["tickets"], done["dropped"]) == (4, 1)
    again = await open_store(tmp_path / "new")
    assert gone not in {work.ticket_id for work in await again.listing()}
    assert kept in {work.ticket_id for work in await again.listing()}
    await again.close()
    # By hand, as who steals the backups would: the sealed parts are there, and nothing opens them.
    with sqlite3.connect(tmp_path / "bulk" / "bulk.db") as copy:
        parts = copy.execute("SELECT message_id, name, sealed FROM part WHERE ticket_id=?", [gone]).fetchall()
    with sqlite3.connect(old_keys / "keys.db") as copy:
        ((epoch, wrapped),) = copy.execute("SELECT epoch, wrapped FROM ticket_key WHERE ticket_id=?", [gone])
    copy.close()
    assert parts
    today = KeyRing.load(tmp_path / "ring")
    with pytest.raises(KeyUnusable):
        today.epoch_key(epoch)
    for number in today.epochs:
        with pytest.raises(KeyUnusable):
            unwrap_key(today.epoch_key(number), epoch, gone, wrapped)
    # That the old ring would open it shows that the test looks at the right thing, and why it must go.
    old = KeyRing.load(old_keys / "ring")
    key = unwrap_key(old.epoch_key(epoch), epoch, gone, wrapped)
    opened = [open_row(key, Place(gone, message, name), blob) for message, name, blob in parts]
    assert b"answer" in opened


async def test_an_old_bulk_comes_back_after_many_rotations(tmp_path: Path, database: str | None) -> None:
    spool = await open_store(tmp_path, database)
    tickets = await fill(spool)
    await bulk(tmp_path, database)
    for _ in range(3):
        await spool.rotate()
    await keys(tmp_path, database)
    await spool.close()
    await restored(tmp_path, tmp_path / "new")
    again = await open_store(tmp_path / "new")
    assert {work.ticket_id for work in await again.listing()} == set(tickets.values())
    await again.close()


async def test_nothing_existing_is_overwritten(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    await bulk(tmp_path, None)
    await keys(tmp_path, None)
    before = await content(spool)
    with pytest.raises(ConfigInvalid, match="already"):
        await bulk(tmp_path, None)
    state = tmp_path / "state"
    with pytest.raises(ConfigInvalid, match="already"):
        await asyncio.to_thread(
            restore, tmp_path / "bulk", tmp_path / "keys", state_dir=state, conninfo=None,
            ring_path=tmp_path / "ring", files=state / "files",
        )  # fmt: skip
    assert await content(spool) == before
    await spool.close()


async def test_keys_of_another_store_or_an_older_time_are_refused(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    await bulk(tmp_path, None)
    await keys(tmp_path, None)
    await spool.rotate()
    await spool.close()
    KeyRing.create(tmp_path / "other")
    for name, match in (("ring", "rotated"), ("other", "another")):
        with pytest.raises(KeyUnusable, match=match):
            await asyncio.to_thread(
                restore, tmp_path / "bulk", tmp_path / "keys", state_dir=tmp_path / "new", conninfo=None,
                ring_path=tmp_path / name, files=tmp_path / "new" / "files",
            )  # fmt: skip
    assert not (tmp_path / "new").exists()


async def test_an_interrupted_restore_cannot_be_used_and_is_repeated(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    before = await content(spool)
    await bulk(tmp_path, None)
    await keys(tmp_path, None)
    await spool.close()
    target = tmp_path / "new"
    await restored(tmp_path, target)
    with sqlite3.connect(target / "state" / "spool.db") as half:
        half.execute("UPDATE alembic_version SET version_num='importing'")
    half.close()
    with pytest.raises(ConfigInvalid, match="not finished"):
        await open_store(target)
    await asyncio.to_thread(
        restore, tmp_path / "bulk", tmp_path / "keys", state_dir=target / "state", conninfo=None,
        ring_path=target / "ring", files=target / "state" / "files",
    )  # fmt: skip
    again = await open_store(target)
    assert await content(again) == before
    await again.close()
