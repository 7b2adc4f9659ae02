"""Parking holds new portal tickets back and nothing else."""

from __future__ import annotations

import secrets

import pytest

from testbed.house import House, mail
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.submission import Accepted, Channel, PortalAnchor, PortalEntry, Submission
from veildesk.core.work import Reason, State
from veildesk.service.parking import Parking


@pytest.fixture
def parking(house: House) -> Parking:
    house.worker.parking = Parking(house.state_dir / "parking", house.spool)
    return house.worker.parking


async def post(house: House, text: str, lookup: bytes = b"l" * 32) -> Accepted:
    return await house.spool.accept(
        Submission(
            Channel.PORTAL,
            secrets.token_bytes(32),
            encode_portal_entry(PortalEntry(text)),
            anchor=PortalAnchor(lookup, b"\x01" * 1217),
            thread_entry=b"sealed",
        )
    )


async def test_new_tickets_wait_until_they_are_released(house: House, parking: Parking) -> None:
    parking.switch(True)
    await post(house, "first")
    await house.work()
    assert [(r.state, r.reason) for r in await house.rows()] == [(State.PARKED, Reason.OPERATOR)]
    assert len(await parking.waiting()) == 1
    assert await parking.release() == 1
    assert parking.on
    await house.work()
    assert [entry.text for entry in house.entries()] == ["first"]
    await post(house, "and more")
    await post(house, "another ticket", b"m" * 32)
    await house.work()
    assert [entry.text for entry in house.entries()] == ["first", "and more"]
    assert await parking.release() == 1
    await house.work()
    assert len(house.entries()) == 3


async def test_a_message_let_through_by_hand_does_not_wait_again(house: House, parking: Parking) -> None:
    parking.switch(True)
    message = (await post(house, "first")).message_id
    await house.work()
    parking.let_through(message)
    await house.spool.retry(message)
    await house.work()
    assert len(house.entries()) == 1


async def test_mail_does_not_wait(house: House, parking: Parking) -> None:
    parking.switch(True)
    await house.deliver(mail())
    assert len(house.entries()) == 1


async def test_parking_survives_a_restart_and_tells_no_time(house: House, parking: Parking) -> None:
    path = house.state_dir / "parking"
    parking.switch(True)
    assert Parking(path, house.spool).on
    assert path.stat().st_mtime == 0
    parking.switch(False)
    parking.switch(False)
    assert not Parking(path, house.spool).on


async def test_a_ticket_deleted_by_its_owner_is_not_released(house: House, parking: Parking) -> None:
    parking.switch(True)
    ticket = (await post(house, "first")).ticket_id
    await house.work()
    await house.spool.erase(ticket)
    assert await parking.release() == 0
