"""`veildesk check`: what is wrong is found and said, and nothing is changed by looking."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from testbed.filled_store import fill, open_store
from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.core.ticket import Level
from veildesk.spool import KeyRing
from veildesk.spool.examining import examine_store


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    made: str = request.getfixturevalue("postgres").new_database()
    return made


async def found(root: Path, database: str | None) -> dict[str, Level]:
    state = root / "state"
    results = await asyncio.to_thread(examine_store, state, database, root / "ring", state / "files")
    assert all(result.fix for result in results if result.level is Level.FAIL)
    return {result.id: result.level for result in results if result.level is not Level.OK}


def digest(root: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        # The shared index, an empty log and the locks of processes hold nothing of the store.
        if path.suffix != ".db-shm" and path.parent.name != "workers" and path.stat().st_size:
            data = bytearray(path.read_bytes())
            if path.suffix == ".db":
                data[24:28] = data[92:96] = bytes(4)  # Counters of SQLite: how often it was opened to write.
            whole.update(path.name.encode() + data)
    return whole.hexdigest()


def change(root: Path, *statements: str) -> None:
    with sqlite3.connect(root / "state" / "spool.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


async def test_a_sound_store_is_sound_also_while_it_is_used(tmp_path: Path, database: str | None) -> None:
    spool = await open_store(tmp_path, database)
    await fill(spool)
    assert await found(tmp_path, database) == {}
    await spool.close()
    before = digest(tmp_path)
    assert await found(tmp_path, database) == {}
    assert digest(tmp_path) == before


async def test_a_damaged_page_is_found_and_the_store_is_not_touched(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    await spool.close()
    path = tmp_path / "state" / "spool.db"
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    levels = await found(tmp_path, None)
    assert Level.FAIL in (levels.get("spool.integrity"), levels.get("spool.readable"))
    with pytest.raises(SpoolUnavailable, match=r"damaged|database-error"):
        await open_store(tmp_path)
    assert path.read_bytes() == bytes(data)


async def test_a_missing_blob_is_counted(tmp_path: Path, database: str | None) -> None:
    spool = await open_store(tmp_path, database)
    await fill(spool)
    next((tmp_path / "state" / "files").iterdir()).unlink()
    assert await found(tmp_path, database) == {"spool.files": Level.FAIL}
    await spool.close()


async def test_a_wrong_ring_and_a_damaged_one_are_told_and_refused(
    tmp_path: Path, database: str | None
) -> None:
    spool = await open_store(tmp_path, database)
    await fill(spool)
    await spool.close()
    (tmp_path / "ring").unlink()
    KeyRing.create(tmp_path / "ring")
    levels = await found(tmp_path, database)
    assert levels == {"spool.belongs": Level.FAIL, "spool.keys": Level.FAIL}
    with pytest.raises(KeyUnusable):
        await open_store(tmp_path, database)
    (tmp_path / "ring").write_bytes(b"nonsense")
    assert await found(tmp_path, database) == {"spool.ring": Level.FAIL}


@pytest.mark.parametrize(
    ("version", "level"), [("9999", Level.FAIL), ("importing", Level.FAIL), ("moved", Level.FAIL)]
)
async def test_a_store_of_another_version_is_told_and_left_alone(
    tmp_path: Path, version: str, level: Level
) -> None:
    spool = await open_store(tmp_path)
    await fill(spool)
    await spool.close()
    change(tmp_path, f"UPDATE alembic_version SET version_num='{version}'")
    before = digest(tmp_path / "state")
    assert await found(tmp_path, None) == {"spool.version": level}
    with pytest.raises(ConfigInvalid):
        await open_store(tmp_path)
    assert digest(tmp_path / "state") == before


async def test_what_a_crash_left_is_told_and_finished_by_the_next_start(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    tickets = await fill(spool)
    await spool.close()
    change(tmp_path, f"DELETE FROM ticket_key WHERE ticket_id='{tickets['small']}'")
    KeyRing.load(tmp_path / "ring").extend()
    (tmp_path / "state" / "files" / "0123456789abcdef-stray").write_bytes(b"x")
    assert await found(tmp_path, None) == {
        "spool.rotation": Level.WARN,
        "spool.erasing": Level.WARN,
        "spool.strays": Level.WARN,
    }
    spool = await open_store(tmp_path)
    assert tickets["small"] not in {work.ticket_id for work in await spool.listing()}
    await spool.close()
    assert await found(tmp_path, None) == {}


async def test_an_upgrade_that_dies_half_way_leaves_the_store_as_it_was(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    def half(config: object, revision: str) -> None:
        connection: sa.Connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.exec_driver_sql("CREATE TABLE ticket (id TEXT)")
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", half)
        with pytest.raises(SpoolUnavailable):
            await open_store(tmp_path, database)
    assert await found(tmp_path, database) == {"spool.version": Level.WARN}
    spool = await open_store(tmp_path, database)
    await fill(spool)
    await spool.close()
    assert await found(tmp_path, database) == {}
