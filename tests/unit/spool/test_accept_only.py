"""A process without the key ring takes mail over and can read none of it, nor anything that came before."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from testbed.filled_store import open_store
from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import State
from veildesk.ops.clock import SystemClock
from veildesk.spool import AcceptOnlySpool, KeyRing, SqlSpool
from veildesk.spool.intake_key import public_half
from veildesk.spool.schema import ring_state, ticket_key


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    made: str = request.getfixturevalue("postgres").new_database()
    return made


async def acceptor(root: Path, database: str | None = None, secret: bytes | None = None) -> AcceptOnlySpool:
    if secret is None:
        secret = KeyRing.load(root / "ring").intake_secret
    return await AcceptOnlySpool.open(
        root / "state", secret, SystemClock(), 14, database=database, min_free=0
    )


def mail(number: int, size: int = 100) -> Submission:
    return Submission(Channel.LMTP, number.to_bytes(32, "big"), b"%04d" % number * (size // 4))


async def test_what_it_took_over_the_gateway_opens_and_delivers(tmp_path: Path, database: str | None) -> None:
    gateway = await open_store(tmp_path, database)
    front = await acceptor(tmp_path, database)
    sizes = (100, 400_000, 7000)
    kept = await asyncio.gather(*(front.accept(mail(*pair)) for pair in enumerate(sizes)))
    post = Submission(
        Channel.PORTAL, b"p" * 32, b"post", anchor=PortalAnchor(b"l" * 32, b"p" * 32), thread_entry=b"entry"
    )
    kept.append(await front.accept(post))
    assert not (await front.accept(mail(1, 400_000))).fresh
    for number, (accepted, size) in enumerate(zip(kept, sizes, strict=False)):
        assert await gateway.part(accepted.message_id, "raw") == mail(number, size).payload
    view = await gateway.thread(b"l" * 32)
    assert view is not None
    assert view.entries == (b"entry",)
    await gateway.rotate()
    assert await gateway.part(kept[1].message_id, "raw") == mail(1, 400_000).payload
    # The next epoch's key is in place without a word to the acceptor.
    later = await front.accept(mail(9))
    assert await gateway.part(later.message_id, "raw") == mail(9).payload
    works = await gateway.claim([State.ACCEPTED], limit=9)
    assert len(works) == 5
    await front.close()
    await gateway.close()


async def test_it_holds_no_key_that_opens_anything(tmp_path: Path) -> None:
    gateway = await open_store(tmp_path)
    before = await gateway.accept(mail(1))
    front = await acceptor(tmp_path)
    after = await front.accept(mail(2))
    query = sa.select(ticket_key.c.ticket_id, ticket_key.c.wrapped)
    wrapped = dict(await front._writer.do("read", lambda connection: connection.execute(query).all()))
    assert (wrapped[before.ticket_id][0], wrapped[after.ticket_id][0]) == (1, 2)
    for ticket in (before.ticket_id, after.ticket_id):
        with pytest.raises(KeyUnusable):
            await front._writer.do("read", lambda connection, one=ticket: front._keys.get(connection, one))
    assert not hasattr(front, "part")
    # A further post to a thread needs the ticket's key.
    post = Submission(Channel.PORTAL, b"p" * 32, b"post", anchor=PortalAnchor(b"l" * 32, b"p" * 32))
    await front.accept(post)
    second = Submission(Channel.PORTAL, b"q" * 32, b"post", anchor=PortalAnchor(b"l" * 32, b"p" * 32))
    with pytest.raises(KeyUnusable, match="only accepts"):
        await front.accept(second)
    await front.close()
    await gateway.close()


async def test_after_a_rotation_what_it_wrapped_in_an_older_copy_is_shut(tmp_path: Path) -> None:
    gateway = await open_store(tmp_path)
    front = await acceptor(tmp_path)
    accepted = await front.accept(mail(1))
    ring = KeyRing.load(tmp_path / "ring")
    query = sa.select(ticket_key.c.wrapped).where(ticket_key.c.ticket_id == accepted.ticket_id)
    old = await front._writer.do("read", lambda connection: connection.execute(query).scalar_one())
    from veildesk.spool.sealing import unwrap_key

    assert unwrap_key(ring.epoch_key(1), 1, accepted.ticket_id, old)
    await gateway.rotate()
    ring.reload()
    for number in ring.epochs:
        with pytest.raises(KeyUnusable):
            unwrap_key(ring.epoch_key(number), 1, accepted.ticket_id, old)
    await front.close()
    await gateway.close()


async def test_a_key_that_somebody_else_put_into_the_database_is_refused(tmp_path: Path) -> None:
    gateway = await open_store(tmp_path)
    front = await acceptor(tmp_path)
    change = sa.update(ring_state).values(intake_public=public_half(b"somebody else's key"))
    await gateway._writer.do("cursor", lambda connection: connection.execute(change).rowcount)
    with pytest.raises(SpoolUnavailable, match="intake-key"):
        await front.accept(mail(1))
    await front.close()
    await gateway.close()
    with pytest.raises(KeyUnusable):
        await acceptor(tmp_path, secret=b"x" * 32)


async def test_no_store_and_stores_of_other_versions_are_refused_untouched(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "ring")
    with pytest.raises(ConfigInvalid, match="no store"):
        await acceptor(tmp_path)
    assert not (tmp_path / "state").exists()
    await (await open_store(tmp_path)).close()
    with sqlite3.connect(tmp_path / "state" / "spool.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num='0001'")
    connection.close()
    with pytest.raises(ConfigInvalid, match="version"):
        await acceptor(tmp_path)


async def test_it_stops_when_the_store_is_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veildesk.spool.store_intake._LOOK_SECONDS", 0.05)
    gateway: SqlSpool = await open_store(tmp_path)
    await gateway.close()
    front = await acceptor(tmp_path)
    with sqlite3.connect(tmp_path / "state" / "spool.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num='moved'")
    connection.close()
    assert await asyncio.wait_for(front.failure(), 60) == "moved"
    with pytest.raises(SpoolUnavailable):
        await front.accept(mail(1))
    await front.close()
