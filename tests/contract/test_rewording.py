"""New words for a portal thread, over the real store and the fake alike."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.test_spool import START, SetClock, new_anchor
from veildesk.core.errors import WorkLost
from veildesk.core.ports import Spool
from veildesk.core.submission import Accepted, Channel, PortalAnchor, SpareCode, Submission
from veildesk.core.work import State
from veildesk.spool import KeyRing, MemorySpool, SqlSpool


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def spool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spool]:
    clock = SetClock()
    if request.param == "memory":
        yield MemorySpool(clock, retention_days=30)
        return
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()
    ring = KeyRing.create(tmp_path / "ring")
    store = await SqlSpool.open(tmp_path / "state", ring, clock, 30, database=database, min_free=0)
    yield store
    await store.close()


def spare() -> SpareCode:
    return SpareCode(secrets.token_bytes(16), secrets.token_bytes(160))


async def opened(spool: Spool, anchor: PortalAnchor, *spares: SpareCode) -> Accepted:
    submission = Submission(
        Channel.PORTAL, secrets.token_bytes(32), b"x", anchor=anchor, thread_entry=b"old", spares=spares
    )
    return await spool.accept(submission)


async def test_a_spare_code_leads_to_what_lies_under_it(spool: Spool) -> None:
    first, second = spare(), spare()
    ticket = (await opened(spool, new_anchor(), first, second)).ticket_id
    assert await spool.find_by_marker(second.digest) == ticket
    assert (await spool.spare(first.digest), await spool.spare(second.digest)) == (
        first.sealed,
        second.sealed,
    )
    assert await spool.spare(spare().digest) is None


async def test_the_new_words_take_over_and_the_old_ones_open_nothing(spool: Spool) -> None:
    before, after, old, new = new_anchor(), new_anchor(), spare(), spare()
    ticket = (await opened(spool, before, old)).ticket_id
    large = secrets.token_bytes(300_000)
    assert await spool.reword(before.lookup_id, after, [large], [new])
    assert await spool.thread(before.lookup_id) is None
    view = await spool.thread(after.lookup_id)
    assert view is not None
    assert (view.ticket_id, view.entries, view.expires_day) == (ticket, (large,), START // 86_400 + 30)
    assert await spool.anchor(ticket) == after
    assert (await spool.spare(old.digest), await spool.spare(new.digest)) == (None, new.sealed)
    assert await spool.find_by_marker(old.digest) is None
    assert await spool.reword(after.lookup_id, before, [b"again"], [])
    assert (await spool.spare(new.digest)) is None


async def test_further_messages_follow_the_new_words(spool: Spool) -> None:
    before, after = new_anchor(), new_anchor()
    ticket = (await opened(spool, before)).ticket_id
    assert await spool.reword(before.lookup_id, after, [b"new"], [])
    assert (await opened(spool, after)).ticket_id == ticket
    view = await spool.thread(after.lookup_id)
    assert view is not None
    assert view.entries == (b"new", b"old")


async def test_an_entry_that_came_between_is_not_lost(spool: Spool) -> None:
    before, after, code = new_anchor(), new_anchor(), spare()
    await opened(spool, before, code)
    await opened(spool, before)
    assert not await spool.reword(before.lookup_id, after, [b"new"], [spare()])
    view = await spool.thread(before.lookup_id)
    assert view is not None
    assert view.entries == (b"old", b"old")
    assert await spool.spare(code.digest) == code.sealed


@pytest.mark.parametrize("last", ["claimed", "sending", "parked"])
async def test_an_answer_sealed_to_the_old_words_is_not_lost(spool: Spool, last: str) -> None:
    before, after = new_anchor(), new_anchor()
    ticket = (await opened(spool, before)).ticket_id
    await spool.collect(ticket, b"r" * 32, {"reply": b"x"}, None)
    (work,) = await spool.claim([State.COLLECTED])
    if last != "claimed":
        work = await spool.advance(work, State.SENDING, parts={"wire": b"sealed"})
    if last == "parked":
        await spool.advance(work, State.PARKED)
    assert not await spool.reword(before.lookup_id, after, [b"new"], [])
    assert await spool.thread(after.lookup_id) is None


async def test_an_answer_that_nobody_has_begun_is_sealed_to_the_new_words(spool: Spool) -> None:
    before, after = new_anchor(), new_anchor()
    ticket = (await opened(spool, before)).ticket_id
    await spool.collect(ticket, b"r" * 32, {"reply": b"x"}, None)
    assert await spool.reword(before.lookup_id, after, [b"new"], [])
    assert await spool.anchor(ticket) == after


async def test_spare_codes_end_with_their_ticket(spool: Spool) -> None:
    code = spare()
    ticket = (await opened(spool, new_anchor(), code)).ticket_id
    await spool.erase(ticket)
    assert await spool.spare(code.digest) is None


async def test_unknown_words_cannot_be_changed(spool: Spool) -> None:
    with pytest.raises(WorkLost):
        await spool.reword(b"?" * 32, new_anchor(), [], [])
