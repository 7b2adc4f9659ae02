from __future__ import annotations

import asyncio
import gc
import os

import pytest

from veildesk.core.errors import SpoolUnavailable
from veildesk.portal.sealed import CHUNK, MemoryBudget, SealedWriter
from veildesk.portal.sessions import Session, SessionStore


def store(limit: int = 10) -> SessionStore:
    return SessionStore(os.urandom, limit=limit, idle=100, life=1000)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_sealed_bytes_come_back_in_any_size(size: int) -> None:
    budget = MemoryBudget(10**7)
    writer, data = SealedWriter(os.urandom, budget), os.urandom(size)
    for at in range(0, size, 10_007):
        writer.write(data[at : at + 10_007])
    key, blob = writer.key, writer.finish()
    assert (blob.open(key), blob.size, budget.used) == (data, size, size)
    blob.drop()
    blob.drop()
    assert budget.used == 0
    with pytest.raises(ValueError):
        blob.open(key)


def test_changed_moved_or_missing_chunks_do_not_open() -> None:
    writer = SealedWriter(os.urandom, MemoryBudget(10**7))
    writer.write(os.urandom(3 * CHUNK))
    key, blob = writer.key, writer.finish()
    good = list(blob._chunks)
    for bad in (good[:-1], good[1:], [good[1], good[0], good[2]], [good[0], good[1], good[1]]):
        blob._chunks = bad
        with pytest.raises(ValueError):
            blob.open(key)
    blob._chunks = good
    with pytest.raises(ValueError):
        blob.open(os.urandom(32))
    assert len(blob.open(key)) == 3 * CHUNK


def test_budget_refuses_and_forgotten_bytes_come_back() -> None:
    budget = MemoryBudget(1000)
    writer = SealedWriter(os.urandom, budget)
    writer.write(b"x" * 900)
    with pytest.raises(SpoolUnavailable):
        writer.write(b"x" * 101)
    blob = writer.finish()
    assert budget.used == 900
    del blob, writer
    gc.collect()
    assert budget.used == 0


def test_session_comes_back_only_with_its_id() -> None:
    sessions, visitor = store(), os.urandom(32)
    sessions.save(Session(visitor, {"draft": "secret-word"}), 0)
    assert sessions.load(visitor, 1).data == {"draft": "secret-word"}
    assert sessions.load(os.urandom(32), 1).data == {}
    (name,), (record,) = sessions._records.keys(), sessions._records.values()
    assert visitor not in name
    assert b"secret-word" not in record.sealed


def test_session_ends_after_idle_time_and_after_its_life() -> None:
    sessions, visitor = store(), os.urandom(32)
    sessions.save(Session(visitor, {"a": 1}), 0)
    for now in range(0, 1001, 100):
        assert sessions.load(visitor, now).data == {"a": 1}
    assert sessions.load(visitor, 1001).data == {}
    sessions.save(Session(visitor, {"a": 1}), 2000)
    assert sessions.load(visitor, 2101).data == {}


def test_saving_late_keeps_what_a_long_upload_brought() -> None:
    sessions, visitor = store(), os.urandom(32)
    sessions.save(Session(visitor, {"a": 1}), 0)
    session = sessions.load(visitor, 1)
    sessions.load(os.urandom(32), 5000)
    sessions.save(session, 5000)
    assert sessions.load(visitor, 5001).data == {"a": 1}


def test_the_longest_idle_gives_way_and_empty_sessions_are_dropped() -> None:
    sessions, visitors = store(limit=2), [os.urandom(32) for _ in range(3)]
    sessions.save(Session(visitors[0], {"n": 0}), 0)
    sessions.save(Session(visitors[1], {"n": 1}), 1)
    sessions.load(visitors[0], 2)
    sessions.save(Session(visitors[2], {"n": 2}), 3)
    assert [sessions.load(visitor, 4).data.get("n") for visitor in visitors] == [0, None, 2]
    sessions.save(Session(visitors[0]), 5)
    assert len(sessions) == 1


def test_blobs_go_with_their_session() -> None:
    sessions, visitor, budget = store(), os.urandom(32), MemoryBudget(1000)
    writer = SealedWriter(os.urandom, budget)
    writer.write(b"x" * 500)
    sessions.save(Session(visitor, {"a": 1}, {"b": writer.finish()}), 0)
    assert budget.used == 500
    session = sessions.load(visitor, 1)
    session.blobs.clear()
    sessions.save(session, 1)
    assert budget.used == 0


async def test_turns_of_one_visitor_follow_each_other() -> None:
    sessions, visitor = store(), os.urandom(32)
    order: list[str] = []
    inside = asyncio.Event()

    async def first() -> None:
        async with sessions.turn(visitor):
            order.append("first in")
            inside.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append("first out")

    async def second() -> None:
        await inside.wait()
        async with sessions.turn(visitor):
            order.append("second")

    async with asyncio.timeout(5):
        await asyncio.gather(first(), second())
    assert order == ["first in", "first out", "second"]
    assert sessions._turns == {}
