"""Several gateways on one store: each message once, order kept, ownership by liveness, leases."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid, SpoolUnavailable, WorkLost
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import State
from veildesk.spool import KeyRing, SqlSpool

DAY = 86_400
IN = [State.ACCEPTED, State.DELIVERING]
Opener = Callable[[], Awaitable[SqlSpool]]


class FixedClock:
    def now(self) -> int:
        return 20_000 * DAY

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture(params=["sqlite", "postgresql"])
async def opener(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens one more gateway's view of the same store."""
    KeyRing.create(tmp_path / "ring")
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()
    opened = []

    async def one_more() -> SqlSpool:
        spool = await SqlSpool.open(
            tmp_path / "state",
            KeyRing.load(tmp_path / "ring"),
            FixedClock(),
            30,
            database=database,
            min_free=0,
            reap_seconds=0.2,
        )
        opened.append(spool)
        return spool

    yield one_more
    for spool in opened:
        await spool.close()


def mail(number: int) -> Submission:
    return Submission(Channel.SMTP, number.to_bytes(32, "big"), b"%d" % number)


def post(lookup: bytes, number: int) -> Submission:
    anchor = PortalAnchor(lookup, b"p" * 32)
    return Submission(
        Channel.PORTAL, secrets.token_bytes(32), b"post", anchor=anchor, thread_entry=b"%d" % number
    )


async def test_two_gateways_share_the_work_and_do_each_once(opener: Opener) -> None:
    one, two = await opener(), await opener()
    await asyncio.gather(*((one, two)[number % 2].accept(mail(number)) for number in range(60)))
    done: list[tuple[int, str]] = []

    async def worker(number: int, spool: SqlSpool) -> None:
        while len(done) < 60:
            for work in await spool.claim(IN, limit=2):
                work = await spool.advance(work, State.DELIVERING)
                await spool.advance(work, State.DELIVERED, parts={"raw": None})
                done.append((number, work.message_id))

    async with asyncio.timeout(60):
        await asyncio.gather(*(worker(n % 2, (one, two)[n % 2]) for n in range(4)))
    assert len({message for _, message in done}) == len(done) == 60
    if one._state.database.kind == "postgresql":  # SQLite's waiting writers are not served in turn.
        assert {number for number, _ in done} == {0, 1}
    assert await one.counts() == {"delivered": 60}


async def test_the_same_mail_at_two_gateways_is_one_message(opener: Opener) -> None:
    one, two = await opener(), await opener()
    results = await asyncio.gather(*((one, two)[n % 2].accept(mail(n // 2)) for n in range(40)))
    assert len({result.message_id for result in results}) == 20
    assert sum(result.fresh for result in results) == 20


async def test_posts_to_one_thread_through_two_gateways_keep_their_order(opener: Opener) -> None:
    one, two = await opener(), await opener()
    lookup = secrets.token_bytes(32)
    results = await asyncio.gather(*((one, two)[n % 2].accept(post(lookup, n)) for n in range(12)))
    assert len({result.ticket_id for result in results}) == 1
    view = await two.thread(lookup)
    assert view is not None
    assert sorted(view.entries) == sorted(b"%d" % n for n in range(12))
    order = [work.message_id for work in await one.listing()]
    claimed = []
    for turn in range(12):
        spool = (one, two)[turn % 2]
        (work,) = await spool.claim(IN, limit=9)
        claimed.append(work.message_id)
        await spool.advance(await spool.advance(work, State.DELIVERING), State.DELIVERED)
    assert claimed == order


async def test_an_erase_beside_posts_leaves_nothing_half(opener: Opener) -> None:
    one, two = await opener(), await opener()
    lookup = secrets.token_bytes(32)
    ticket = (await one.accept(post(lookup, 0))).ticket_id
    await asyncio.gather(two.erase(ticket), *(one.accept(post(lookup, n)) for n in range(1, 8)))
    assert await one.backend_ref(ticket) is None
    for work in await one.listing():
        assert work.ticket_id != ticket
        assert await two.part(work.message_id, "raw") == b"post"


async def test_a_rotation_beside_accepts_loses_no_key(opener: Opener) -> None:
    one, two = await opener(), await opener()
    accepted = list(await asyncio.gather(*(two.accept(mail(number)) for number in range(50))))

    async def more() -> None:
        for number in range(50, 120):
            accepted.append(await two.accept(mail(number)))

    await asyncio.gather(more(), one.rotate(), two.rotate())
    for number, result in enumerate(accepted):
        assert await one.part(result.message_id, "raw") == b"%d" % number
        assert await two.part(result.message_id, "raw") == b"%d" % number
    for spool in (one, two):
        spool._state.ring.reload()
        assert len(spool._state.ring.epochs) == 1


async def test_waiting_ends_when_another_gateway_accepts(opener: Opener) -> None:
    one, two = await opener(), await opener()
    assert await two.claim(IN) == []
    task = asyncio.create_task(two.wait(60))
    await one.accept(mail(1))
    await asyncio.wait_for(task, 10)
    assert len(await two.claim(IN)) == 1


async def test_a_lease_is_one_gateways_and_is_taken_over(opener: Opener) -> None:
    one, two = await opener(), await opener()
    await one.lease("imap")
    await one.lease("imap")
    await two.lease("sweep")
    waiting = asyncio.create_task(two.lease("imap"))
    done, _ = await asyncio.wait({waiting}, timeout=1.5)
    assert not done
    await one.close()
    await asyncio.wait_for(waiting, 10)


_CHILD = """
import asyncio, sys
from pathlib import Path
from veildesk.core.work import State
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool

async def main(folder, database):
    ring = KeyRing.load(folder / "ring")
    spool = await SqlSpool.open(folder / "state", ring, SystemClock(), 30, database=database, min_free=0)
    await spool.lease("imap")
    (work,) = await spool.claim([State.ACCEPTED])
    print(work.message_id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] or None))
"""


async def test_claims_and_leases_of_a_stopped_gateway_stay_and_of_a_killed_one_are_taken_over(
    opener: Opener, tmp_path: Path
) -> None:
    spool = await opener()
    await spool.accept(mail(1))
    engine = spool._state.database.engine
    database = "" if engine.dialect.name == "sqlite" else _conninfo(spool)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path), database], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        claimed = (await asyncio.to_thread(child.stdout.readline)).strip()
        child.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)  # Longer than any round of the reaper: time alone must free nothing.
        assert await spool.claim(IN) == []
        assert not await asyncio.to_thread(spool._state.database.lease, "imap")
        child.kill()
        async with asyncio.timeout(15):
            await spool.lease("imap")
            while not (works := await spool.claim(IN)):
                await spool.wait(5)
        assert works[0].message_id == claimed
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _conninfo(spool: SqlSpool) -> str:
    info = spool._state.database._sentinel._connection.info  # type: ignore[attr-defined]
    return f"host={info.host} user={info.user} dbname={info.dbname}"


@pytest.mark.parametrize("opener", ["postgresql"], indirect=True)
async def test_a_gateway_that_lost_its_session_stops_and_its_late_changes_count_for_nothing(
    opener: Opener,
) -> None:
    one, two = await opener(), await opener()
    await one.accept(mail(1))
    (work,) = await one.claim(IN)
    pid = one._state.database._sentinel._connection.info.backend_pid  # type: ignore[attr-defined]
    with psycopg.connect(_conninfo(two), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert await asyncio.wait_for(one.failure(), 10) == "ownership-lost"
    assert one.failed
    with pytest.raises(SpoolUnavailable):
        await one.advance(work, State.DELIVERING)
    with pytest.raises(SpoolUnavailable):
        await one.accept(mail(2))
    async with asyncio.timeout(15):
        while not (works := await two.claim(IN)):
            await two.wait(5)
    assert works[0].message_id == work.message_id
    # Even if it had not noticed: the claim is another's now.
    one._writer._failed = None
    with pytest.raises(WorkLost):
        await one.advance(work, State.DELIVERING)


async def test_a_database_that_does_not_sync_is_refused(tmp_path: Path, postgres: object) -> None:
    conninfo = postgres.new_database()  # type: ignore[attr-defined]
    ring = KeyRing.create(tmp_path / "ring")
    from veildesk.spool import postgres_database as module

    class Unsafe(psycopg.Connection[object]):
        def execute(self, query: object, *rest: object, **named: object) -> object:  # type: ignore[override]
            return super().execute("SELECT 'off'" if query == "SHOW fsync" else query, *rest, **named)  # type: ignore[arg-type]

    original = module.psycopg.connect
    module.psycopg.connect = Unsafe.connect  # type: ignore[assignment]
    try:
        with pytest.raises(ConfigInvalid, match="fsync"):
            await SqlSpool.open(tmp_path / "state", ring, FixedClock(), 30, database=conninfo)
    finally:
        module.psycopg.connect = original


async def test_an_unreachable_database_and_a_wrong_string_are_told(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    with pytest.raises(SpoolUnavailable, match="database-unreachable"):
        await SqlSpool.open(
            tmp_path / "state", ring, FixedClock(), 30, database=f"host={tmp_path} dbname=x user=secret-name"
        )
    with pytest.raises(ConfigInvalid):
        await SqlSpool.open(tmp_path / "state", ring, FixedClock(), 30, database="no such thing")


async def test_a_key_destroyed_elsewhere_ends_work_that_was_claimed_before(opener: Opener) -> None:
    here, elsewhere = await opener(), await opener()
    accepted = await here.accept(Submission(Channel.SMTP, secrets.token_bytes(32), b"mail"))
    (work,) = await here.claim(IN)

    def destroy(connection: sa.Connection) -> None:
        elsewhere._vault.destroy(connection, accepted.ticket_id)

    # Where an erasing process may be stopped: the key is gone, the rows are not.
    await elsewhere._writer.do("erase-key", destroy)
    with pytest.raises(WorkLost):
        await here.advance(work, State.DELIVERING, parts={"entry": b"entry"})
    assert await here.part(accepted.message_id, "entry") is None
