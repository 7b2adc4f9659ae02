"""Answers on their way back: to the right person, looked through, and agents learn what became of them."""

from __future__ import annotations

import asyncio
import dataclasses
import io

import pytest
from PIL import Image

from testbed.house import House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.attachments.inprocess import InProcessCleaner
from veildesk.core.errors import WorkLost
from veildesk.core.limits import Limits
from veildesk.core.ticket import AgentReply, File, RemoteFile, TicketChange
from veildesk.core.work import Reason, State
from veildesk.ops.clock import SystemClock
from veildesk.replies.collect import collect_replies
from veildesk.replies.guard import AnswerRules
from veildesk.service.approving import approve
from veildesk.service.erasure import place_in
from veildesk.service.reporting import Reporter, remark

SECRET = b"s" * 32


class Ticking(SystemClock):
    """The day of the house, and time that passes."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now(self) -> int:
        return self.seconds


async def collect(house: House, *replies: AgentReply) -> int:
    house.backend.answers += list(replies)
    fresh = await collect_replies(house.backend, house.spool, SECRET, place_in, Limits())
    await house.work()
    return fresh


async def test_an_answer_in_another_persons_ticket_goes_to_nobody(house: House) -> None:
    """As when an agent edits the field with the thread, or the helpdesk gives a number twice."""
    entries = await house.deliver(mail("One\n"))
    entries = await house.deliver(mail("Two\n"))
    mine, theirs = (entry.thread for entry in entries)
    stray = AgentReply(thread=mine, reply_id="x", cursor="1", text="For the other.", ref=f"ref-{theirs}")
    assert await collect(house, stray) == 0
    assert not house.sent()
    assert await house.spool.cursor("desk") == "1"


async def test_an_answer_before_we_noted_the_tickets_number_is_kept(house: House) -> None:
    house.backend.outage = "lost"
    (entry,) = await house.deliver(mail())
    early = AgentReply(
        thread=entry.thread, reply_id="x", cursor="1", text="Quick.", ref=f"ref-{entry.thread}"
    )
    house.backend.outage = ""
    assert await collect(house, early) == 1


async def test_duplicates_and_late_commits_change_nothing(house: House) -> None:
    (entry,) = await house.deliver(mail())
    one = AgentReply(thread=entry.thread, reply_id="1", cursor="5", text="One.", ref=f"ref-{entry.thread}")
    late = dataclasses.replace(one, reply_id="0", cursor="6", text="Late.")
    assert await collect(house, one, one) == 1
    house.backend.answers.clear()
    assert (
        await collect(house, dataclasses.replace(one, cursor="7"), dataclasses.replace(late, cursor="8")) == 1
    )
    assert len(house.sent()) == 2


async def test_a_file_that_cannot_be_taken_over_holds_the_answer(house: House) -> None:
    (entry,) = await house.deliver(mail())
    big = RemoteFile("big.zip", "application/zip", "1", size=10**9)
    gone = RemoteFile("gone.txt", "text/plain", "2", size=3)
    reply = AgentReply(
        thread=entry.thread, reply_id="1", cursor="1", text="See the files.", remote=(big, gone)
    )
    assert await collect(house, reply) == 1
    assert not house.sent()
    assert [row.reason for row in await house.rows(State.HELD)] == [Reason.FILES]


async def test_files_of_agents_are_cleaned(house: House) -> None:
    house.worker.outbound = dataclasses.replace(house.outbound, cleaner=InProcessCleaner())
    (entry,) = await house.deliver(mail())
    image, out = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif[0x013B] = "Agent Smith of the third floor"
    image.save(out, "JPEG", exif=exif)
    assert b"Agent Smith" in out.getvalue()
    file = File("photo.jpg", "image/jpeg", out.getvalue())
    await collect(house, AgentReply(entry.thread, "1", "1", "See the photo.", files=(file,)))
    (wire,) = house.sent()
    import email

    (part,) = [p for p in email.message_from_bytes(wire).walk() if p.get_content_maintype() == "image"]
    assert b"Agent Smith" not in part.get_payload(decode=True)
    assert Image.open(io.BytesIO(part.get_payload(decode=True))).size == (8, 8)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tool.exe", b"MZ" + bytes(200), Reason.FILES),
        ("note.txt", b"ask victim@elsewhere.test\n", Reason.OTHER_PEOPLE),
    ],
)
async def test_files_that_must_not_leave_hold_the_answer(
    house: House, name: str, content: bytes, reason: Reason
) -> None:
    house.worker.outbound = dataclasses.replace(house.outbound, cleaner=InProcessCleaner())
    (entry,) = await house.deliver(mail())
    file = File(name, "application/octet-stream", content)
    await collect(house, AgentReply(entry.thread, "1", "1", "See the file.", files=(file,)))
    assert not house.sent()
    assert [row.reason for row in await house.rows(State.HELD)] == [reason]


async def test_a_held_answer_goes_when_a_person_says_so_and_not_before(house: House) -> None:
    rules = AnswerRules(helpdesks=frozenset({"rt.example.org"}))
    house.worker.outbound = dataclasses.replace(house.outbound, rules=rules)
    (entry,) = await house.deliver(mail())
    await house.answer(entry.thread, "See https://rt.example.org/Ticket/7\n")
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.HELPDESK_LINK
    await house.spool.retry(held.message_id)
    await house.work()
    assert not house.sent()
    await approve(house.spool, held.message_id)
    await house.work()
    assert len(house.sent()) == 1
    with pytest.raises(WorkLost):
        await approve(house.spool, held.message_id)


async def test_agents_are_told_what_became_of_their_answers_once(house: House) -> None:
    reporter = Reporter(house.spool, {"desk": house.backend}, SECRET, house.clock)
    told = []
    house.worker.told = told.append
    (entry,) = await house.deliver(mail())
    await house.answer(entry.thread, "Please update.\n")
    await house.answer(entry.thread, "Use the password: Tr0ub4dor&3x!\n")
    for work in [*told, *told]:
        await reporter.report(work)
    notes = sorted(house.backend.notes[entry.thread].values())
    assert ["handed over" in note for note in notes] == [False, True]
    assert "NOT sent: it holds a secret" in notes[0]
    assert "Tr0ub4dor" not in notes[0]


async def test_our_own_notes_to_the_person_are_not_called_answers(house: House, lab: Lab) -> None:
    reporter = Reporter(house.spool, {"desk": house.backend}, SECRET, house.clock)
    told = []
    house.worker.told = told.append
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False, sign=False))
    await house.answer(entry.thread, "An answer.\n")
    for work in told:
        await reporter.report(work)
    notes = list(house.backend.notes.get(entry.thread, {}).values())
    assert {work.state for work in told} >= {State.HELD}
    assert not any("handed over" in note for note in notes)


async def test_remarks_outlive_a_helpdesk_that_is_down_and_the_process(house: House) -> None:
    """Nothing was told before this process ended, and the helpdesk is down when the next one starts."""
    (entry,) = await house.deliver(mail())
    await house.answer(entry.thread, "Please update.\n")
    house.backend.outage = "down"
    tried = asyncio.Event()
    update = house.backend.update

    async def watched(ref: str, change: TicketChange) -> None:
        tried.set()
        await update(ref, change)

    house.backend.update = watched  # type: ignore[method-assign]
    reporter = Reporter(
        house.spool, {"desk": house.backend}, SECRET, Ticking(house.clock.seconds), pause=0.01
    )
    running = asyncio.create_task(reporter.run())
    await asyncio.wait_for(tried.wait(), 30)
    assert entry.thread not in house.backend.notes
    house.backend.outage = ""
    async with asyncio.timeout(30):
        while entry.thread not in house.backend.notes:
            await asyncio.sleep(0.01)
    running.cancel()
    (note,) = house.backend.notes[entry.thread].values()
    assert "handed over" in note
    again = Reporter(house.spool, {"desk": house.backend}, SECRET, house.clock)
    await again._recall()
    for _, _, work, _ in again._waiting:
        await again.report(work)
    assert list(house.backend.notes[entry.thread].values()) == [note]


def test_every_reason_for_holding_has_its_sentence(house: House) -> None:
    from veildesk.service import reporting

    for reason in (Reason.GUARD, Reason.OTHER_PEOPLE, Reason.INTERNAL_ADDRESS, Reason.HELPDESK_LINK):
        assert reason in reporting._HELD
    assert remark
