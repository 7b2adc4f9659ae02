"""Agents merge, copy, forward and restore tickets: nobody gets what may be meant for somebody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testbed.house import USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.limits import Limits
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.ticket import AgentReply, TicketEntry
from veildesk.core.work import Reason, State
from veildesk.replies.collect import collect_replies
from veildesk.service.approving import approve
from veildesk.service.erasure import place_in
from veildesk.service.reporting import Reporter, remark


def theirs_mail() -> bytes:
    """A mail of somebody else."""
    return mail("Theirs.\n").replace(USER.encode(), b"tom@example.net")


async def one(house: House, raw: bytes) -> TicketEntry:
    """The entry that a mail becomes."""
    known = {entry.key for entry in house.entries()}
    (entry,) = (entry for entry in await house.deliver(raw) if entry.key not in known)
    return entry


async def collect(house: House, reply: AgentReply) -> None:
    """An answer as a connector gives it, taken as far as it can go."""
    house.backend.answers.append(reply)
    await collect_replies(house.backend, house.spool, b"s" * 32, place_in, Limits())
    await house.work()


async def answered(house: House, thread: str, text: str = "Please update.", **changes: Any) -> None:
    reply = house.backend.answer(thread, text)
    house.backend.answers.pop()
    await collect(house, replace(reply, **changes))


async def held(house: House) -> list[Reason]:
    return [row.reason for row in await house.rows(State.HELD)]


async def test_an_answer_where_tickets_of_different_people_were_merged_is_held(house: House) -> None:
    mine = await one(house, mail("Mine.\n"))
    theirs = await one(house, theirs_mail())
    await answered(house, theirs.thread, others=(mine.thread,))
    assert house.sent() == []
    (row,) = await house.rows(State.HELD)
    assert row.reason is Reason.MERGED
    assert "merged" in remark(row)
    await Reporter(house.spool, {"desk": house.backend}, b"s" * 32, house.clock).report(row)
    (note,) = house.backend.notes[theirs.thread].values()
    assert "NOT sent" in note


async def test_tickets_of_one_correspondent_may_be_merged(house: House) -> None:
    first, second = await one(house, mail("One.\n")), await one(house, mail("Two.\n"))
    await answered(house, second.thread, others=(first.thread,))
    assert len(house.sent()) == 1
    assert not await held(house)


async def test_one_address_is_not_one_correspondent_when_only_one_of_them_signed(
    house: House, lab: Lab
) -> None:
    """Anybody can write in the clear under her address, and the answer would go in the clear."""
    secret, forged = await one(house, pgp_mail(lab)), await one(house, mail("Clear.\n"))
    await answered(house, forged.thread, others=(secret.thread,))
    assert house.sent() == []
    assert await held(house) == [Reason.MERGED]


@pytest.mark.parametrize("other", ["", "0" * 32], ids=["not-ours", "erased"])
async def test_who_is_not_known_any_more_is_somebody_else(house: House, other: str) -> None:
    mine = await one(house, mail("Mine.\n"))
    await answered(house, mine.thread, others=(other,))
    assert await held(house) == [Reason.MERGED]


async def test_nobody_knows_whether_two_portal_tickets_are_one_persons(house: House) -> None:
    threads = []
    for number in (1, 2):
        anchor = PortalAnchor(bytes([number]) * 16, bytes([number]) * 32)
        submission = Submission(Channel.PORTAL, bytes([number]) * 32, b"{}", queue="support", anchor=anchor)
        threads.append((await house.spool.accept(submission)).ticket_id)
    await answered(house, threads[0], others=(threads[1],), ref="")
    assert Reason.MERGED in await held(house)


@pytest.mark.parametrize("doubt", [Reason.BY_MAIL, Reason.FORWARDED])
async def test_what_may_be_no_answer_waits_for_a_person(house: House, doubt: Reason) -> None:
    mine = await one(house, mail("Mine.\n"))
    await answered(house, mine.thread, doubt=doubt)
    assert house.sent() == []
    (row,) = await house.rows(State.HELD)
    assert row.reason is doubt
    await approve(house.spool, row.message_id)
    await house.work()
    assert len(house.sent()) == 1


async def test_a_number_that_a_restored_helpdesk_gave_again_is_neither_lost_nor_sent_blindly(
    house: House,
) -> None:
    mine = await one(house, mail("Mine.\n"))
    theirs = await one(house, theirs_mail())
    await answered(house, mine.thread, "For the first.", reply_id="r7")
    assert len(house.sent()) == 1
    for cursor in ("8", "9"):
        await answered(house, theirs.thread, "For the second.", reply_id="r7", cursor=cursor)
    assert len(house.sent()) == 1
    assert await held(house) == [Reason.MERGED]
    # The first one again, as after a restart: it went out already.
    await answered(house, mine.thread, "For the first.", reply_id="r7", cursor="10")
    assert len(house.sent()) == 1


async def test_an_answer_that_merging_moved_after_it_was_sent_is_not_sent_again(house: House) -> None:
    first, second = await one(house, mail("One.\n")), await one(house, mail("Two.\n"))
    await answered(house, first.thread, "Once.", reply_id="r7")
    await answered(house, second.thread, "Once.", reply_id="r7", cursor="8", others=(first.thread,))
    assert len(house.sent()) == 1
    assert not await held(house)


async def test_agents_learn_that_their_answer_stands_where_it_reaches_nobody(house: House) -> None:
    mine = await one(house, mail("Mine.\n"))
    for cursor in ("1", "2"):
        await answered(house, mine.thread, ref="copy-of-it", cursor=cursor, reply_id=f"r{cursor}")
    assert house.sent() == []
    (note,) = house.backend.notes["copy-of-it"].values()
    assert "reach nobody" in note
    await house.spool.erase(mine.thread)
    await answered(house, mine.thread, cursor="3", reply_id="r3")
    (note,) = house.backend.notes[mine.thread].values()
    assert "any more" in note


@pytest.mark.parametrize("text", ["", "\n \n", "-- \nKim, Support"], ids=["empty", "blank", "signature"])
async def test_an_answer_without_words_of_its_own_is_held(house: House, text: str) -> None:
    mine = await one(house, mail("Mine.\n"))
    await answered(house, mine.thread, text)
    assert house.sent() == []
    assert await held(house) == [Reason.EMPTY]
