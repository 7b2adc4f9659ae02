"""What goes from the listener to the pipeline in memory, and when it must not."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from testbed.house import House, mail, open_house, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.envelope import with_envelope
from veildesk.core.errors import BackendUnavailable, SpoolUnavailable
from veildesk.core.message import OpenedMessage
from veildesk.core.ports import DecryptedData, Engine
from veildesk.core.submission import Accepted, Channel, PortalAnchor, Submission, dedup_key
from veildesk.core.ticket import TicketEntry
from veildesk.core.work import Direction, State, Work
from veildesk.service.hand_over import HandOver
from veildesk.service.known_keys import KnownKeys, MemoryContacts
from veildesk.spool import SqlSpool


class Shelf:
    """An intake that remembers, and fails where it is told to."""

    def __init__(self) -> None:
        self.kept: dict[bytes, str] = {}
        self.fails = False

    async def accept(self, submission: Submission) -> Accepted:
        if self.fails:
            raise SpoolUnavailable("disk-full")
        fresh = submission.dedup not in self.kept
        name = self.kept.setdefault(submission.dedup, submission.message_id or "chosen")
        return Accepted(name, "ticket", fresh)


def submission(payload: bytes, dedup: bytes = b"d") -> Submission:
    return Submission(Channel.SMTP, dedup, payload)


def claimed(message_id: str, ticket: str = "ticket") -> Work:
    return Work(message_id, ticket, Direction.IN, Channel.SMTP, State.ACCEPTED)


OPENED = OpenedMessage(text="secret")


async def test_a_payload_is_handed_over_once_with_what_was_read_from_it() -> None:
    hand_over = HandOver(Shelf())
    hand_over.offer(b"mail", OPENED)
    accepted = await hand_over.accept(submission(b"mail"))
    taken = hand_over.take(claimed(accepted.message_id))
    assert taken is not None
    assert (taken.payload, taken.message) == (b"mail", OPENED)
    assert hand_over.take(claimed(accepted.message_id)) is None
    assert hand_over.waiting == 0


async def test_what_was_read_from_other_bytes_or_another_envelope_is_not_used() -> None:
    hand_over = HandOver(Shelf())
    hand_over.offer(with_envelope(b"mail", null_sender=False), OPENED)
    accepted = await hand_over.accept(submission(with_envelope(b"mail", null_sender=True)))
    taken = hand_over.take(claimed(accepted.message_id))
    assert taken is not None
    assert taken.message is None


async def test_it_is_there_before_the_commit_is() -> None:
    class Asking(Shelf):
        async def accept(self, submission: Submission) -> Accepted:
            found.append(hand_over.take(claimed(submission.message_id)))
            return await super().accept(submission)

    found: list[object] = []
    hand_over = HandOver(Asking())
    await hand_over.accept(submission(b"mail"))
    assert found[0] is not None


async def test_nothing_stays_of_what_was_not_kept_or_kept_before() -> None:
    shelf = Shelf()
    hand_over = HandOver(shelf)
    first = await hand_over.accept(submission(b"mail"))
    again = await hand_over.accept(submission(b"mail"))
    assert not again.fresh
    assert hand_over.waiting == 1
    assert hand_over.take(claimed(first.message_id)) is not None
    shelf.fails = True
    hand_over.offer(b"mail", OPENED)
    with pytest.raises(SpoolUnavailable):
        await hand_over.accept(submission(b"mail"))
    assert hand_over.waiting == 0


async def test_a_portal_entry_goes_past() -> None:
    hand_over = HandOver(Shelf())
    entry = dataclasses.replace(submission(b"entry"), anchor=PortalAnchor(b"l" * 32, b"p"))
    assert (await hand_over.accept(entry)).message_id == "chosen"
    assert hand_over.waiting == 0


async def test_what_nobody_takes_is_dropped_in_time() -> None:
    hand_over = HandOver(Shelf(), seconds=0.01)
    hand_over.offer(b"one", OPENED)
    accepted = await hand_over.accept(submission(b"two"))
    while hand_over.waiting:
        await asyncio.sleep(0.01)
    assert hand_over.take(claimed(accepted.message_id)) is None
    hand_over.offer(b"three", OPENED)
    while hand_over.waiting:
        await asyncio.sleep(0.01)


async def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    hand_over = HandOver(Shelf(), together=1000)
    names = [(await hand_over.accept(submission(bytes([n]) * 300, bytes([n])))).message_id for n in range(5)]
    assert [hand_over.take(claimed(name)) is not None for name in names] == [False, False, True, True, True]
    large = await hand_over.accept(submission(b"x" * 300_000, b"large"))
    assert hand_over.take(claimed(large.message_id)) is None
    hand_over.offer(b"small", OpenedMessage(text="x" * 300_000))
    assert hand_over.waiting == 0


# --------------------------------------------------------------------------- in the pipeline


class Counting:
    """An engine that counts how often it opens something."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.opened = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        self.opened += 1
        return await self._engine.open(data, certificates)


def through(house: House, engine: object, **changes: object) -> HandOver:
    """Let the house's worker and listener share a hand-over."""
    ahead = HandOver(house.spool)
    house.inbound = dataclasses.replace(house.inbound, engine=engine, ahead=ahead, **changes)  # type: ignore[arg-type]
    house.worker.inbound = house.inbound
    return ahead


async def arrive(house: House, ahead: HandOver, raw: bytes, *, judged: bool = True) -> Accepted:
    """As the SMTP listener does it."""
    payload = with_envelope(raw, null_sender=False)
    if judged:
        assert await house.inbound.judge(payload, "support") is None
    dedup = dedup_key(b"s" * 32, b"support", raw)
    return await ahead.accept(Submission(Channel.SMTP, dedup, payload))


async def test_a_judged_mail_is_decrypted_once_and_comes_out_the_same(tmp_path: Path, lab: Lab) -> None:
    raw = pgp_mail(lab, "The app stops; write to else@where.example.\n")
    known = KnownKeys(MemoryContacts([lab.certificate("user")]))
    found: list[TicketEntry] = []
    for name, direct in (("direct", True), ("stored", False)):
        (folder := tmp_path / name).mkdir()
        async with open_house(folder, lab) as house:
            engine = Counting(house.engine)
            ahead = through(house, engine, keys=known)
            accepted = await arrive(house, ahead, raw)
            assert engine.opened == 1
            if not direct:
                assert ahead.take(claimed(accepted.message_id, accepted.ticket_id)) is not None
            await house.work()
            assert engine.opened == (1 if direct else 2)
            found += house.entries()
            assert await house.spool.part(accepted.message_id, "raw") is None
            assert ahead.waiting == 0
    direct_entry, stored_entry = (dataclasses.replace(one, thread="", key="") for one in found)
    assert direct_entry == stored_entry
    assert "signed" in direct_entry.protection


async def test_a_signature_by_an_unknown_key_is_looked_at_again(house: House) -> None:
    """Its key may become known until the pipeline gets there."""
    engine = Counting(house.engine)
    ahead = through(house, engine)
    raw = pgp_mail(house.lab, "Hello\n", with_key=False)
    await arrive(house, ahead, raw)
    before = engine.opened
    house.inbound = dataclasses.replace(
        house.inbound, keys=KnownKeys(MemoryContacts([house.lab.certificate("user")]))
    )
    house.worker.inbound = house.inbound
    await house.work()
    assert engine.opened > before
    (entry,) = house.entries()
    assert entry.protection.startswith("Mail: encrypted; signed")


async def test_a_follow_up_that_is_handed_over_joins_with_the_masks_of_its_ticket(house: House) -> None:
    ahead = through(house, house.engine)
    await arrive(house, ahead, pgp_mail(house.lab, "One: a@b.example\n", Message_ID="<first@user.test>"))
    await house.work()
    second = pgp_mail(house.lab, "Two: a@b.example, c@d.example\n", In_Reply_To="<first@user.test>")
    await arrive(house, ahead, second)
    await house.work()
    entries = house.entries()
    assert len({one.thread for one in entries}) == 1
    assert "[email-1], [email-2]" in entries[1].text


async def test_what_another_gateway_joined_meanwhile_goes_on_in_the_ticket_it_joined(house: House) -> None:
    """It gave the message back, because an earlier one of that ticket was still on its way."""
    ahead = through(house, house.engine)
    await arrive(house, ahead, pgp_mail(house.lab, "One: a@b.example\n", Message_ID="<first@user.test>"))
    await house.work()
    (first,) = house.entries()
    second = pgp_mail(house.lab, "Two: a@b.example, c@d.example\n", In_Reply_To="<first@user.test>")
    await arrive(house, ahead, second)
    other = await SqlSpool.open(house.state_dir, house.spool._state.ring, house.clock, 14, min_free=0)
    (work,) = await other.claim([State.ACCEPTED])
    await other.release(await other.join(work, first.thread))
    await other.close()
    assert ahead.waiting == 1
    await house.work()
    entries = house.entries()
    assert [one.thread for one in entries] == [first.thread] * 2
    assert entries[1].ref
    assert "[email-1], [email-2]" in entries[1].text


async def test_after_a_fault_of_the_helpdesk_the_store_has_the_mail(house: House) -> None:
    ahead = through(house, house.engine)
    accepted = await arrive(house, ahead, mail("Please help.\n"), judged=False)
    deliver = house.backend.deliver

    async def down(entry: TicketEntry) -> object:
        raise BackendUnavailable("down")

    house.backend.deliver = down  # type: ignore[method-assign, assignment]
    await house.work()
    house.backend.deliver = deliver  # type: ignore[method-assign]
    await house.spool.retry(accepted.message_id)
    await house.work()
    assert [row.state for row in await house.rows()] == [State.DELIVERED]
    (entry,) = house.entries()
    assert entry.text.strip() == "Please help."
