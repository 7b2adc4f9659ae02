"""What lies in the state directory: no plaintext before, no ciphertext after an erase; keys decide."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from testbed.canary import hits
from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable, WorkLost
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.ticket import Level
from veildesk.core.work import Reason, State
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.migrate import upgrade
from veildesk.spool.schema import metadata


class FixedClock:
    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


async def open_spool(root: Path, **options: int) -> SqlSpool:
    path = root / "ring"
    ring = KeyRing.load(path) if path.exists() else KeyRing.create(path)
    return await SqlSpool.open(root / "state", ring, FixedClock(), 30, **{"min_free": 0, **options})


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqlSpool]:
    opened = await open_spool(tmp_path)
    yield opened
    await opened.close()


def mail(payload: bytes) -> Submission:
    return Submission(Channel.SMTP, secrets.token_bytes(32), payload)


async def test_nothing_sealed_remains_after_an_erase(spool: SqlSpool, tmp_path: Path) -> None:
    kept = await spool.accept(mail(b"kept"))
    anchor = PortalAnchor(secrets.token_bytes(32), secrets.token_bytes(1217))
    accepted = await spool.accept(
        Submission(Channel.PORTAL, b"k" * 32, b"x" * 300_000, anchor=anchor, thread_entry=b"entry")
    )
    await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"answer"}, None)
    with sqlite3.connect(tmp_path / "state" / "spool.db") as reader:
        rows = reader.execute("SELECT sealed FROM part WHERE ticket_id=?", [accepted.ticket_id]).fetchall()
        wrapped = reader.execute(
            "SELECT wrapped FROM ticket_key WHERE ticket_id=?", [accepted.ticket_id]
        ).fetchall()
    reader.close()
    needles = [row[0][20:60] for row in rows + wrapped if row[0] is not None]
    needles.append(anchor.lookup_id)
    assert len(needles) >= 4
    assert hits(tmp_path, needles) != []
    await spool.erase(accepted.ticket_id)
    assert hits(tmp_path, needles) == []
    assert list((tmp_path / "state" / "files").iterdir()) == []
    assert await spool.part(kept.message_id, "raw") == b"kept"


async def test_an_open_reader_makes_an_erase_say_so(tmp_path: Path, spool: SqlSpool) -> None:
    accepted = await spool.accept(mail(b"x"))
    reader = sqlite3.connect(tmp_path / "state" / "spool.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM message").fetchall()
    with pytest.raises(SpoolUnavailable, match="log-in-use"):
        await spool.erase(accepted.ticket_id)
    assert await spool.part(accepted.message_id, "raw") is None
    reader.close()
    await spool.erase(accepted.ticket_id)


async def test_after_a_rotation_an_old_copy_does_not_open(tmp_path: Path, spool: SqlSpool) -> None:
    gone = await spool.accept(mail(b"gone"))
    kept = await spool.accept(mail(b"kept"))
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copytree(tmp_path / "state", backup / "state", ignore=shutil.ignore_patterns("workers"))
    await spool.erase(gone.ticket_id)
    assert await spool.rotate() == 1
    assert await spool.part(kept.message_id, "raw") == b"kept"
    shutil.copy(tmp_path / "ring", backup / "ring")
    restored = await open_spool(backup)
    with pytest.raises(KeyUnusable):
        await restored.part(gone.message_id, "raw")
    failed = {result.id for result in await restored.check() if result.level is Level.FAIL}
    assert failed == {"spool.keys"}
    await restored.close()


async def test_another_ring_is_refused(tmp_path: Path) -> None:
    await (await open_spool(tmp_path)).close()
    (tmp_path / "ring").unlink()
    with pytest.raises(KeyUnusable):
        await open_spool(tmp_path)


async def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    await (await open_spool(tmp_path)).close()
    path = tmp_path / "state" / "spool.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num='9999'")
    connection.close()
    with pytest.raises(ConfigInvalid, match="newer"):
        await open_spool(tmp_path)


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    def shape(engine: sa.Engine) -> dict[str, object]:
        inspector = sa.inspect(engine)
        return {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
                sorted((str(i["name"]), tuple(i["column_names"])) for i in inspector.get_indexes(name)),
                inspector.get_pk_constraint(name)["constrained_columns"],
                sorted(str(u["column_names"]) for u in inspector.get_unique_constraints(name)),
            )
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }

    migrated, direct = sa.create_engine("sqlite://"), sa.create_engine("sqlite://")
    with migrated.begin() as connection:
        upgrade(connection)
    metadata.create_all(direct)
    assert shape(migrated) == shape(direct)
    migrated.dispose()
    direct.dispose()


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    first = await open_spool(tmp_path)
    accepted = await first.accept(mail(b"x" * 300_000))
    (work,) = await first.claim([State.ACCEPTED])
    await first.advance(work, State.DELIVERING)
    await first.close()
    second = await open_spool(tmp_path)
    assert await second.part(accepted.message_id, "raw") == b"x" * 300_000
    (again,) = await second.claim([State.DELIVERING])
    assert again.message_id == accepted.message_id
    await second.close()


async def test_claims_of_the_living_are_respected(tmp_path: Path) -> None:
    first, second = await open_spool(tmp_path), await open_spool(tmp_path)
    await first.accept(mail(b"x"))
    (work,) = await first.claim([State.ACCEPTED])
    assert await second.claim([State.ACCEPTED]) == []
    with pytest.raises(WorkLost):
        await second.advance(work, State.DELIVERING)
    await first.advance(work, State.PARKED, reason=Reason.INTERNAL)
    await first.close()
    await second.close()


async def test_below_the_free_space_mark_nothing_is_accepted(tmp_path: Path) -> None:
    spool = await open_spool(tmp_path, min_free=1 << 60)
    with pytest.raises(SpoolUnavailable, match="disk-full"):
        await spool.accept(mail(b"x"))
    await spool.close()


async def test_a_full_database_refuses_and_recovers(tmp_path: Path, spool: SqlSpool) -> None:
    first = await spool.accept(mail(b"first"))

    def limit(engine: sa.Engine, pages: int) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await spool._writer.alone("test", lambda engine: limit(engine, 1))
    with pytest.raises(SpoolUnavailable, match="disk-full"):
        await spool.accept(mail(b"y" * 200_000))
    await spool._writer.alone("test", lambda engine: limit(engine, 1 << 30))
    second = await spool.accept(mail(b"second"))
    assert await spool.part(first.message_id, "raw") == b"first"
    assert await spool.part(second.message_id, "raw") == b"second"


async def test_after_a_disk_error_nothing_is_accepted_any_more(spool: SqlSpool) -> None:
    def broken(_: sa.Connection) -> None:
        error = sqlite3.OperationalError("text that must not be kept")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(SpoolUnavailable, match="io-error") as caught:
        await spool._writer.do("test", broken)
    assert "text" not in str(caught.value)
    with pytest.raises(SpoolUnavailable, match="io-error"):
        await spool.accept(mail(b"x"))


async def test_a_fault_of_one_caller_leaves_the_others_alone(spool: SqlSpool) -> None:
    def broken(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO ticket VALUES ('stray', 1)"))
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await spool._writer.do("test", broken)
    assert await spool.expired(10**6) == []
    await spool.accept(mail(b"x"))


async def test_a_closed_spool_says_so(tmp_path: Path) -> None:
    spool = await open_spool(tmp_path)
    await spool.close()
    with pytest.raises(SpoolUnavailable):
        await spool.accept(mail(b"x"))


async def test_a_sound_store_passes_its_checks(spool: SqlSpool) -> None:
    await spool.accept(mail(b"x" * 300_000))
    results = await spool.check()
    assert {result.id for result in results if result.level is not Level.OK} <= {"spool.space"}


async def test_a_missing_file_is_told(spool: SqlSpool, tmp_path: Path) -> None:
    accepted = await spool.accept(mail(b"x" * 300_000))
    for path in (tmp_path / "state" / "files").iterdir():
        path.unlink()
    failed = [result.id for result in await spool.check() if result.level is Level.FAIL]
    assert failed == ["spool.files"]
    with pytest.raises(KeyUnusable):
        await spool.part(accepted.message_id, "raw")


async def test_files_and_directories_are_closed_to_others(spool: SqlSpool, tmp_path: Path) -> None:
    await spool.accept(mail(b"x" * 300_000))
    for path in (tmp_path / "state", *(tmp_path / "state").rglob("*"), tmp_path / "ring"):
        assert path.stat().st_mode & 0o077 == 0, path.name


async def test_stores_made_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    roots = [tmp_path / str(number) for number in range(6)]
    for root in roots:
        root.mkdir()
    spools = await asyncio.gather(*(open_spool(root) for root in roots))
    for spool in spools:
        await spool.close()
