"""Faults on the way: nothing is lost, nothing doubled, nothing hidden."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from testbed.house import House, mail
from veildesk.core.errors import BackendUnavailable, FilesUnavailable, SendFailed, SpoolUnavailable
from veildesk.core.portal_entry import PortalEntry, encode_portal_entry
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.ticket import Erased
from veildesk.core.work import Reason, State, Work
from veildesk.deliver.backends.memory import MemoryBackend
from veildesk.service.config import QueueConfig, RouteConfig
from veildesk.service.dispatch import Dispatch
from veildesk.service.erasure import erase_ticket
from veildesk.service.outages import Outages, retry_all
from veildesk.service.parking import Parking
from veildesk.service.running import rotation_due
from veildesk.service.workers import Sweeper


async def test_a_helpdesk_that_is_down_gets_the_ticket_later_once(house: House) -> None:
    house.backend.outage = "down"
    await house.deliver(mail())
    (row,) = await house.rows()
    assert (row.state, row.attempts) == (State.DELIVERING, 1)
    await house.work()
    assert house.backend.calls == 1
    house.backend.outage = ""
    house.clock.seconds += 60
    await house.work()
    assert len(house.entries()) == 1
    assert [r.state for r in await house.rows()] == [State.DELIVERED]


async def test_an_answer_lost_after_the_helpdesk_kept_it_doubles_nothing(house: House) -> None:
    house.backend.outage = "lost"
    await house.deliver(mail())
    assert len(house.entries()) == 1
    house.backend.outage = ""
    house.clock.seconds += 60
    await house.work()
    assert len(house.entries()) == 1
    assert [r.state for r in await house.rows()] == [State.DELIVERED]


async def test_a_message_whose_large_parts_cannot_be_had_waits_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take(mail("large\n", Message_ID="<large@user.test>"))
    (large,) = await house.rows()
    part = house.spool.part

    async def away(message_id: str, name: str) -> bytes | None:
        if message_id == large.message_id:
            raise FilesUnavailable("files-unreachable")
        return await part(message_id, name)

    with monkeypatch.context() as patched:
        patched.setattr(house.spool, "part", away)
        await house.deliver(mail("small\n", Message_ID="<small@user.test>"))
    assert len(house.entries()) == 1
    waits = {row.message_id: row for row in await house.rows()}[large.message_id]
    assert (waits.state, waits.reason, waits.attempts) == (State.ACCEPTED, Reason.FILES_LATER, 1)
    house.clock.seconds += 60
    await house.work()
    assert len(house.entries()) == 2


async def test_what_waited_goes_at_once_when_the_helpdesk_is_back(house: House) -> None:
    outages = house.worker.outages = Outages(house.spool, {"support": "desk"})
    house.backend.outage = "down"
    for number in range(4):
        await house.deliver(mail(f"{number}\n", Message_ID=f"<{number}@user.test>"))
    house.backend.outage = ""
    await house.work()
    assert house.entries() == []
    await house.deliver(mail("new\n", Message_ID="<new@user.test>"))
    await house.work()
    assert len(house.entries()) == 5
    # One that the helpdesk cannot digest is not brought forward by every success of others.
    house.backend.outage = "down"
    await house.deliver(mail("poison\n", Message_ID="<poison@user.test>"))
    house.backend.outage = ""
    await house.deliver(mail("fine\n", Message_ID="<fine@user.test>"))
    await house.work()
    assert len(house.entries()) == 6
    await outages.answers("desk")
    await house.work()
    assert len(house.entries()) == 7


async def test_everything_parked_is_tried_again_by_one_command(house: House, tmp_path: Path) -> None:
    house.backend.outage = "refuse"
    for number in range(3):
        await house.deliver(mail(f"{number}\n", Message_ID=f"<{number}@user.test>"))
    house.backend.outage = "down"
    await house.deliver(mail("waits\n", Message_ID="<waits@user.test>"))
    house.backend.outage = ""
    parking = Parking(tmp_path / "parking", house.spool)
    assert await retry_all(house.spool, parking, Reason.SEND) == 0
    assert await retry_all(house.spool, parking, Reason.BACKEND) == 3
    await house.work()
    assert len(house.entries()) == 3
    assert await retry_all(house.spool, parking, None) == 1
    await house.work()
    assert len(house.entries()) == 4


async def test_a_refusal_parks_and_a_retry_delivers(house: House) -> None:
    house.backend.outage = "refuse"
    await house.deliver(mail())
    (row,) = await house.rows()
    assert (row.state, row.reason, row.parked_from) == (State.PARKED, Reason.BACKEND, State.DELIVERING)
    house.backend.outage = ""
    await house.spool.retry(row.message_id)
    await house.work()
    assert len(house.entries()) == 1


async def test_an_unforeseen_fault_parks_without_its_text_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veildesk.service import mail_reader

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the users secret words")

    monkeypatch.setattr(mail_reader, "read_mail", broken)
    from veildesk.ops.log import QuietFormatter

    with caplog.at_level(logging.INFO):
        await house.deliver(mail())
    (row,) = await house.rows()
    assert (row.state, row.reason) == (State.PARKED, Reason.INTERNAL)
    formatter = QuietFormatter()
    assert "secret words" not in "".join(formatter.format(r) for r in caplog.records)
    monkeypatch.undo()
    await house.spool.retry(row.message_id)
    await house.work()
    assert len(house.entries()) == 1


async def test_order_within_a_ticket_is_kept(house: House) -> None:
    await house.deliver(mail("one\n", Message_ID="<one@user.test>"))
    house.backend.outage = "down"
    await house.deliver(mail("two\n", In_Reply_To="<one@user.test>"))
    house.backend.outage = ""
    await house.deliver(mail("three\n", In_Reply_To="<one@user.test>"))
    house.clock.seconds += 60
    await house.work()
    texts = [e.text.strip() for e in house.entries()]
    assert sorted(texts) == ["one", "three", "two"]
    assert texts.index("two") < texts.index("three")


async def test_the_sweeper_ends_retention_here_and_in_the_helpdesk(house: House) -> None:
    accepted = await house.take(mail())
    await house.work()
    sweeper = Sweeper(house.spool, {"desk": house.backend}, house.clock)
    assert await sweeper.sweep() == 0
    house.clock.seconds += 16 * 86400
    assert await sweeper.sweep() == 1
    assert not house.entries()
    assert await house.spool.ticket_part(accepted.ticket_id, "contact") is None
    assert not await house.rows()


async def test_the_same_mail_twice_is_one_ticket(house: House) -> None:
    raw = mail()
    first = await house.take(raw)
    again = await house.take(raw)
    assert (first.fresh, again.fresh) == (True, False)
    await house.work()
    assert len(house.entries()) == 1


async def test_the_sweeper_rotates_keys_when_it_is_time(house: House) -> None:
    accepted = await house.take(mail())
    await house.work()
    due = [True]
    rotated = []

    async def rotate() -> int:
        rotated.append(await house.spool.rotate())
        due[0] = False
        raise asyncio.CancelledError

    sweeper = Sweeper(house.spool, {}, house.clock, rotate, lambda: due[0])
    with pytest.raises(asyncio.CancelledError):
        await sweeper.run()
    assert rotated == [1]
    assert await house.spool.ticket_part(accepted.ticket_id, "contact") is not None


def test_a_ring_of_tomorrow_is_rotated_now() -> None:
    """A clock that was wrong for a moment must not put shredding off for as long as it was wrong."""
    day, now = 86_400, 1_795_000_000
    assert not rotation_due(now, now - day + 60)
    assert not rotation_due(now, now + 60)
    assert rotation_due(now, now - day - 1)
    assert rotation_due(now, now + 400 * day)


async def test_an_answer_to_an_erased_ticket_goes_nowhere_and_stops_nothing(house: House) -> None:
    (entry,) = await house.deliver(mail())
    await house.spool.erase(entry.thread)
    await house.answer(entry.thread, "Too late.")
    assert not house.sent()
    assert await house.spool.cursor("desk") == "1"


async def test_a_helpdesk_that_is_down_delays_retention_but_does_not_end_it(house: House) -> None:
    accepted = await house.take(mail())
    await house.work()
    house.backend.outage = "down"
    sweeper = Sweeper(house.spool, {"desk": house.backend}, house.clock)
    house.clock.seconds += 15 * 86400
    assert await sweeper.sweep() == 0
    assert await house.spool.ticket_part(accepted.ticket_id, "contact") is not None
    house.clock.seconds += 3 * 86400
    assert await sweeper.sweep() == 1
    assert await house.spool.ticket_part(accepted.ticket_id, "contact") is None


async def test_one_unreachable_helpdesk_does_not_hold_up_other_tickets(house: House) -> None:
    await house.deliver(mail("one\n"))
    await house.deliver(mail("two\n"))
    first = next(iter(house.backend.tickets))
    erase = house.backend.erase

    async def picky(ref: str, thread: str) -> Erased:
        if thread == first:
            raise BackendUnavailable("down")
        return await erase(ref, thread)

    house.backend.erase = picky  # type: ignore[method-assign]
    house.clock.seconds += 15 * 86400
    assert await Sweeper(house.spool, {"desk": house.backend}, house.clock).sweep() == 1
    assert list(house.backend.tickets) == [first]


@pytest.mark.parametrize(("outage", "told"), [("", Erased.GONE), ("down", Erased.UNSUPPORTED)])
async def test_deleting_tells_what_became_of_the_helpdesks_copy(
    house: House, outage: str, told: Erased
) -> None:
    (entry,) = await house.deliver(mail())
    house.backend.outage = outage
    other = MemoryBackend("other")
    assert await erase_ticket(house.spool, {"desk": house.backend, "other": other}, entry.thread) is told
    assert await house.spool.ticket_part(entry.thread, "contact") is None
    assert bool(house.entries()) is (told is not Erased.GONE)


async def test_a_helpdesk_no_longer_configured_is_not_called_empty(house: House) -> None:
    (entry,) = await house.deliver(mail())
    assert await erase_ticket(house.spool, {}, entry.thread) is Erased.UNSUPPORTED


async def test_a_full_disk_does_not_end_the_worker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = asyncio.Event()
    claim = house.spool.claim

    async def full_once(*states: object, **options: object) -> object:
        if not refused.is_set():
            refused.set()
            raise SpoolUnavailable("full")
        return await claim(*states, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(house.spool, "claim", full_once)
    await house.take(mail())
    running = asyncio.create_task(house.worker.run())
    async with asyncio.timeout(30):
        while not house.entries():
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert refused.is_set()


async def test_what_could_not_be_given_back_on_a_full_disk_goes_on_when_there_is_space(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else takes a message that this process has claimed, and it may run for months."""
    refused = 0

    def full(call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def refusing(*given: object, **options: object) -> object:
            nonlocal refused
            if refused < 3:
                refused += 1
                raise SpoolUnavailable("disk-full")
            return await call(*given, **options)

        return refusing

    for name in ("advance", "release", "postpone"):
        monkeypatch.setattr(house.spool, name, full(getattr(house.spool, name)))
    await house.take(mail())
    running = asyncio.create_task(house.worker.run())
    async with asyncio.timeout(30):
        while not house.entries():
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert refused == 3


async def test_answers_in_the_portal_do_not_bring_mail_forward_to_a_mail_server_that_is_away(
    house: House,
) -> None:
    house.worker.outages = Outages(house.spool, {"support": "desk"})
    keys = await house.outbound.cipher.derive("seven words that a person once wrote down")
    anchor = PortalAnchor(keys.lookup_id, keys.public_key)
    post = Submission(Channel.PORTAL, b"p" * 32, encode_portal_entry(PortalEntry("Help.")), anchor=anchor)
    portal = (await house.spool.accept(post)).ticket_id
    for number in range(3):
        await house.deliver(mail(Message_ID=f"<{number}@user.test>"))
    threads = [entry.thread for entry in house.entries() if entry.thread != portal]
    house.mailer.next_errors.extend([SendFailed("connection-refused")] * 3)
    for thread in threads:
        await house.answer(thread, "An answer.")
    for _ in range(3):
        await house.answer(portal, "An answer in the thread.")
    assert not house.sent()
    waiting = await house.rows(State.SENDING)
    assert [(row.reason, row.attempts) for row in waiting] == [(Reason.SEND_LATER, 1)] * 3
    # A mail that goes out tells that the server is back.
    house.mailer.next_errors.clear()
    await house.answer((await house.deliver(mail(Message_ID="<4@user.test>")))[-1].thread, "Another.")
    await house.work()
    assert len(house.sent()) == 4


async def test_another_helpdesk_of_the_queue_says_nothing_about_the_one_that_is_away(house: House) -> None:
    """Routes send entries of one queue to several helpdesks."""
    house.worker.outages = Outages(house.spool, {"support": "desk"}, ["other"])
    other = MemoryBackend("other")
    backends = {"desk": house.backend, "other": other}
    routes = {"theirs": RouteConfig(queue="theirs", backend="other")}
    queues = {name: QueueConfig(backend="desk") for name in ("support", "theirs")}
    dispatch = Dispatch(backends, queues, routes)
    house.worker.inbound = house.inbound = dataclasses.replace(
        house.inbound, backends=backends, queues=queues, dispatch=dispatch
    )
    other.outage = "down"
    for number in range(4):
        await house.deliver(mail(Message_ID=f"<{number}@user.test>"), queue="theirs")
    for number in range(4, 8):
        await house.deliver(mail(Message_ID=f"<{number}@user.test>"))
    assert (len(house.entries()), other.calls) == (4, 4)
    other.outage = ""
    await house.worker.outages.answers("other")
    await house.work()
    assert len(other.tickets) == 4


async def test_a_reply_to_a_ticket_that_is_deleted_at_that_moment_becomes_a_ticket_of_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await house.deliver(mail("One.\n", Message_ID="<first@user.test>"))
    join = house.spool.join

    async def too_late(work: Work, ticket_id: str) -> Work:
        await house.spool.erase(ticket_id)
        return await join(work, ticket_id)

    monkeypatch.setattr(house.spool, "join", too_late)
    await house.deliver(mail("Two.\n", In_Reply_To="<first@user.test>"))
    assert [row.state for row in await house.rows()] == [State.DELIVERED]
    (second,) = [entry for entry in house.entries() if entry.thread != first.thread]
    assert second.text.strip() == "Two."


async def test_a_message_whose_ticket_was_erased_while_it_was_claimed_is_gone_and_not_called_parked(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.take(mail())
    (work,) = await house.spool.claim((State.ACCEPTED,))
    await house.spool.erase(work.ticket_id)
    caplog.set_level(logging.INFO)
    await house.worker.step(work)
    assert "message-gone" in caplog.text
    assert "message-parked" not in caplog.text
    assert "Traceback" not in caplog.text
