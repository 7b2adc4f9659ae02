"""What every `core.ports.Contacts` does, run over the real store and the one in memory alike."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from veildesk.core.contact import KeyEvent, KnownKey, Provenance
from veildesk.core.ports import Contacts
from veildesk.ops.clock import SystemClock
from veildesk.service.known_keys import MemoryContacts
from veildesk.spool import KeyRing, SqlSpool

ROSA = "rosa@example.org"


def key(letter: str, *addresses: str, day: int = 100, **fields: object) -> KnownKey:
    made = KnownKey(
        certificate=letter.encode() * 40,
        fingerprint=letter * 40,
        keys=(letter * 40, letter * 39 + "0"),
        addresses=addresses or (ROSA,),
        provenance=Provenance.SIGNED,
        expires=2_000_000_000,
        last_day=day,
        history=(KeyEvent(day, "pinned", letter * 40),),
    )
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def contacts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Contacts]:
    if request.param == "memory":
        yield MemoryContacts()
        return
    ring = KeyRing.create(tmp_path / "ring")
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()
    store = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 30, database=database, min_free=0)
    yield store.contacts
    await store.close()


async def test_a_key_is_found_by_address_and_by_each_of_its_keys(contacts: Contacts) -> None:
    await contacts.remember(key("A"))
    assert await contacts.by_address(ROSA) == (key("A"),)
    assert await contacts.by_key("A" * 40) == key("A")
    assert await contacts.by_key("A" * 39 + "0") == key("A")
    assert await contacts.by_address("other@example.org") == ()
    assert await contacts.by_key("B" * 40) is None


async def test_the_latest_comes_first_and_there_are_four_at_most(contacts: Contacts) -> None:
    for day, letter in enumerate("ABCDEF"):
        await contacts.remember(key(letter, day=day))
    found = await contacts.by_address(ROSA)
    assert [one.fingerprint[0] for one in found] == ["F", "E", "D", "C"]


async def test_a_refreshed_key_stays_one(contacts: Contacts) -> None:
    await contacts.remember(key("A", "old@example.org"))
    await contacts.remember(key("A", day=120))
    (found,) = await contacts.by_address(ROSA)
    assert found.last_day == 120


async def test_a_replaced_key_is_found_by_key_only(contacts: Contacts) -> None:
    await contacts.remember(key("A"))
    await contacts.remember(key("B", provenance=Provenance.SUCCESSOR), replaces="A" * 40)
    assert [one.fingerprint[0] for one in await contacts.by_address(ROSA)] == ["B"]
    assert await contacts.by_key("A" * 40) == key("A")


async def test_what_nobody_uses_is_forgotten(contacts: Contacts) -> None:
    await contacts.remember(key("A", day=10))
    await contacts.remember(key("B", "b@example.org", day=20))
    assert await contacts.forget_before(20) == 1
    assert await contacts.by_key("A" * 40) is None
    assert await contacts.by_address(ROSA) == ()
    assert await contacts.by_key("B" * 40) is not None
    assert await contacts.forget_before(20) == 0


async def test_nothing_of_a_contact_lies_open_in_the_store(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    store = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 30, min_free=0)
    await store.contacts.remember(key("A"))
    await store.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    for value in (b"rosa", b"example.org", b"A" * 20):
        assert value not in written
    store = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 30, min_free=0)
    assert await store.contacts.by_address(ROSA) == (key("A"),)
    await store.close()


async def test_history_grows_by_what_is_new(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    store = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 30, min_free=0)
    await store.contacts.remember(key("A", day=1))
    await store.contacts.remember(key("A", day=2))
    await store.contacts.remember(key("A", day=2))
    found = await store.contacts.by_key("A" * 40)
    assert found is not None
    assert [event.day for event in found.history] == [1, 2]
    await store.close()


async def test_a_key_remembered_again_without_news_stays_found_and_one_with_news_grows(
    contacts: Contacts,
) -> None:
    await contacts.remember(key("A"))
    await contacts.remember(key("A"))
    assert await contacts.by_address(ROSA) == (key("A"),)
    await contacts.remember(key("B"), replaces="A" * 40)
    assert await contacts.by_address(ROSA) == (key("B"),)
    await contacts.remember(key("A"))
    assert key("A") in await contacts.by_address(ROSA)
    later = key("A", day=101)
    await contacts.remember(later)
    assert (await contacts.by_key("A" * 40)).last_day == 101  # type: ignore[union-attr]
