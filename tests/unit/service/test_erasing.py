"""Deleting: here at once, elsewhere as soon as it can be done, and the truth about it by a code."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from testbed.house import House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.errors import BackendUnavailable, ConfigInvalid, FilesUnavailable, SpoolUnavailable
from veildesk.core.ticket import Erased
from veildesk.core.work import State
from veildesk.service.adopt_files import adopt_files
from veildesk.service.eraser import Eraser, look_up_erasure
from veildesk.service.workers import Sweeper
from veildesk.spool.erase_jobs import EraseJob
from veildesk.spool.holds import Hold
from veildesk.spool.schema import erase_job, hold
from veildesk.spool.sealing import Place, seal_row, subkey


@pytest.fixture
def eraser(house: House) -> Eraser:
    return Eraser(
        spool=house.spool,
        backends={"desk": house.backend},
        jobs=house.spool.erase_jobs,
        holds=house.spool.holds,
        clock=house.clock,
        random_bytes=os.urandom,
    )


async def test_all_is_gone_and_the_code_says_so_for_30_days(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    deletion = await eraser.erase(entry.thread)
    assert deletion.outcome is Erased.GONE
    assert not house.entries()
    assert not await house.rows()
    shown = await look_up_erasure(eraser, deletion.code.upper())
    assert shown is not None
    assert (shown.helpdesk, shown.finished) == ("gone", True)
    assert await look_up_erasure(eraser, "a" * 16) is None
    house.clock.seconds += 31 * 86400
    await eraser.work()
    assert await look_up_erasure(eraser, deletion.code) is None


async def test_a_message_on_its_way_while_its_ticket_is_deleted_is_looked_for_again(
    house: House, eraser: Eraser
) -> None:
    """The helpdesk's ticket may be made just after the first look, and nobody else would ever look."""
    (entry,) = await house.deliver(mail())
    house.backend.outage = "lost"
    await house.deliver(mail(In_Reply_To=None, Message_ID="<second@user.test>"))
    (waiting,) = [row for row in await house.rows() if row.state is State.DELIVERING]
    house.backend.outage = ""
    late = house.backend.tickets[waiting.ticket_id]
    house.backend.tickets.pop(waiting.ticket_id)
    deletion = await eraser.erase(waiting.ticket_id)
    assert deletion.outcome is Erased.REQUESTED
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown.why, shown.finished) == ("delivery-under-way", False)
    house.backend.tickets[waiting.ticket_id] = late
    house.clock.seconds += 901
    assert await eraser.work() == 1
    assert waiting.ticket_id not in house.backend.tickets
    assert entry.thread in house.backend.tickets
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown.helpdesk, shown.finished) == ("gone", True)


async def test_what_deletions_took_is_counted_without_saying_whose(house: House, eraser: Eraser) -> None:
    tickets = [(await house.deliver(mail(Message_ID=f"<{n}@user.test>")))[-1].thread for n in range(3)]
    await eraser.erase(tickets[0])
    await eraser.erase(tickets[1], wished=False)
    house.backend.outage = "down"
    await eraser.erase(tickets[2])
    assert await eraser.counts() == {
        **{"asked": 3, "unfinished": 1, "late": 0, "wished": 2},
        **{"median_hours": 1, "most_hours": 1},
    }
    house.clock.seconds += 2 * 86400
    assert (await eraser.counts())["late"] == 1
    house.clock.seconds -= 2 * 86400
    house.backend.outage = ""
    house.clock.seconds += 5 * 3600
    await eraser.work()
    counts = await eraser.counts()
    assert (counts["unfinished"], counts["most_hours"]) == (0, 6)


async def test_a_job_tells_nothing_to_who_finds_it(house: House, eraser: Eraser) -> None:
    house.backend.outage = ""
    (entry,) = await house.deliver(mail(Message_ID="<secret-id@user.test>"))
    house.backend.outage = "down"
    deletion = await eraser.erase(entry.thread)
    query = sa.select(erase_job)
    row = await house.spool._writer.do("read", lambda connection: connection.execute(query).one())
    content = row.name.encode() + row.wrapped + row.sealed
    assert (await eraser.jobs.get(eraser.jobs.name_of(deletion.code))) is not None
    for word in (entry.thread, "ref-", "secret-id", deletion.code, "desk"):
        assert word.encode() not in content


async def test_a_helpdesk_that_is_down_is_asked_until_it_is_done(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    house.backend.outage = "down"
    deletion = await eraser.erase(entry.thread)
    assert deletion.outcome is Erased.REQUESTED
    assert not await house.rows()
    assert house.entries()
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown.helpdesk, shown.why) == ("open", "backend-unavailable")
    assert await eraser.work() == 0
    house.clock.seconds += 61
    assert await eraser.work() == 1
    house.backend.outage = ""
    # As after a restart: nothing but the files is left.
    again = dataclasses.replace(eraser)
    house.clock.seconds += 3600
    assert await again.work() == 1
    assert not house.entries()
    shown = await look_up_erasure(again, deletion.code)
    assert shown is not None
    assert (shown.helpdesk, shown.finished, shown.why) == ("gone", True, "")


async def test_a_clock_that_was_wrong_keeps_no_deletion_back(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    house.backend.outage = "down"
    house.clock.seconds += 6 * 86400
    await eraser.erase(entry.thread)
    house.backend.outage = ""
    house.clock.seconds -= 6 * 86400
    await eraser.work()
    assert not house.entries()


@pytest.mark.parametrize(
    ("answer", "outcome", "why", "finished"),
    [
        (Erased.REQUESTED, Erased.REQUESTED, "host-command-needed", False),
        (Erased.UNSUPPORTED, Erased.UNSUPPORTED, "cannot-delete", True),
    ],
)
async def test_what_the_helpdesk_cannot_do_is_said(
    house: House, eraser: Eraser, answer: Erased, outcome: Erased, why: str, finished: bool
) -> None:
    (entry,) = await house.deliver(mail())

    async def erase(ref: str, thread: str) -> Erased:
        return answer

    house.backend.erase = erase  # type: ignore[method-assign]
    deletion = await eraser.erase(entry.thread)
    assert deletion.outcome is outcome
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown.why, shown.finished) == (why, finished)


async def test_the_source_mailbox_is_emptied_of_its_mails(house: House, eraser: Eraser) -> None:
    asked: list[tuple[str, ...]] = []

    async def expunge(ids: Sequence[str]) -> None:
        asked.append(tuple(ids))
        if len(asked) == 1:
            raise BackendUnavailable("mailbox")

    eraser.expunge = expunge
    (entry,) = await house.deliver(mail(Message_ID="<one@user.test>"))
    deletion = await eraser.erase(entry.thread)
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown.helpdesk, shown.mailbox) == ("gone", "open")
    house.clock.seconds += 120
    await eraser.work()
    assert asked == [("one@user.test",)] * 2
    shown = await look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert shown.mailbox == "gone"


async def test_a_crash_after_the_job_was_written_ends_in_the_same_deletion(
    house: House, eraser: Eraser, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = await house.deliver(mail())

    async def broken(ticket_id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(house.spool), "erase", lambda self, ticket: broken(ticket))
        with pytest.raises(KeyboardInterrupt):
            await eraser.erase(entry.thread)
    assert await house.rows()
    house.clock.seconds += 1
    await eraser.work()
    assert not await house.rows()
    assert not house.entries()


async def test_a_bucket_that_is_away_holds_up_nobody_else_and_is_asked_again(
    house: House, eraser: Eraser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is gone at once; what cannot be had are files, whose ticket may have no helpdesk yet."""
    (entry,) = await house.deliver(mail(Message_ID="<one@user.test>"))
    other = (await house.deliver(mail(Message_ID="<two@user.test>")))[-1]
    house.backend.outage = "down"
    await eraser.erase(other.thread)
    waiting = (await house.take(mail("x" * 300_000, Message_ID="<three@user.test>"))).ticket_id
    house.backend.outage = ""

    def away(names: object) -> None:
        raise FilesUnavailable("files-unreachable")

    with monkeypatch.context() as patched:
        patched.setattr(house.spool._files.store, "remove", away)
        with pytest.raises(FilesUnavailable):
            await eraser.erase(waiting)
        assert (await eraser.counts())["unfinished"] == 2
        house.clock.seconds += 3600
        await eraser.work()
        assert (await eraser.counts())["unfinished"] == 1
        assert [one.thread for one in house.entries()] == [entry.thread]
        # Retention finds what is left of it each hour, and begins no second job.
        house.clock.seconds += 15 * 86400
        sweeper = Sweeper(house.spool, {"desk": house.backend}, house.clock, eraser=eraser)
        for _ in range(3):
            await sweeper.sweep()
        assert (await eraser.counts())["asked"] == 3
    house.clock.seconds += 6 * 3600
    await eraser.work()
    assert (await eraser.counts())["unfinished"] == 0
    assert not list((house.state_dir / "files").iterdir())


async def test_a_crash_before_the_key_was_destroyed_is_made_good_where_nobody_else_had_it(
    house: House, eraser: Eraser, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = (await house.take(mail())).ticket_id

    async def broken(ticket_id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(house.spool), "erase", lambda self, ticket: broken(ticket))
        with pytest.raises(KeyboardInterrupt):
            await eraser.erase(waiting)
    house.clock.seconds += 1
    assert await eraser.work() == 1
    assert not await house.rows()


async def test_a_hold_suspends_deleting_until_its_day_is_over(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    today = house.clock.seconds // 86400
    from datetime import date

    last = date.fromordinal(date(1970, 1, 1).toordinal() + today + 20).isoformat()
    await eraser.holds.add(Hold(entry.thread, "court order", last))
    deletion = await eraser.erase(entry.thread)
    assert (deletion.outcome, deletion.kept_until, deletion.code) == (Erased.KEPT, last, "")
    sweeper = Sweeper(house.spool, {"desk": house.backend}, house.clock, eraser=eraser)
    house.clock.seconds += 19 * 86400
    assert await sweeper.sweep() == 0
    assert house.entries()
    house.clock.seconds += 3 * 86400
    assert await sweeper.sweep() == 1
    assert not house.entries()


async def test_a_hold_whose_reason_is_damaged_still_counts(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    await eraser.holds.add(Hold(entry.thread, "court order", "2099-12-31"))
    change = sa.update(hold).values(sealed=b"damaged")
    await house.spool._writer.do("hold", lambda connection: connection.execute(change).rowcount)
    assert [one.reason for one in await eraser.holds.all()] == ["?"]
    assert (await eraser.erase(entry.thread)).outcome is Erased.KEPT
    assert house.entries()


async def test_a_hold_needs_a_ticket_and_its_reason_lies_sealed(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    with pytest.raises(LookupError):
        await eraser.holds.add(Hold("f" * 32, "court order", "2099-12-31"))
    await eraser.holds.add(Hold(entry.thread, "court order", "2099-12-31"))
    assert await eraser.holds.any(house.clock.seconds // 86400)
    kept = b"".join(path.read_bytes() for path in house.state_dir.glob("spool.db*"))
    assert b"court order" not in kept


async def test_holds_and_jobs_of_an_earlier_version_are_taken_over(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    ring = house.spool._state.ring
    rows = [{"ticket": entry.thread, "reason": "court order", "until": "2099-12-31"}]
    rows.append({"ticket": "f" * 32, "reason": "gone", "until": "2099-12-31"})
    (house.state_dir / "holds.json").write_text(json.dumps(rows))
    job = EraseJob(eraser.jobs.name_of("abcd"), "f" * 32, "desk/7", asked_day=house.clock.seconds // 86400)
    key = subkey(ring.derive_secret(b"erase jobs"), b"erase-job seal")
    body = json.dumps({"v": 1, **dataclasses.asdict(job)}).encode()
    (house.state_dir / "erasures").mkdir()
    (house.state_dir / "erasures" / job.name).write_bytes(seal_row(key, Place("", job.name, "erase"), body))
    for _ in range(2):
        await adopt_files(house.state_dir, house.spool, ring)
    assert (await eraser.erase(entry.thread)).outcome is Erased.KEPT
    assert (await eraser.look_up("abcd")) == job
    assert not list((house.state_dir / "erasures").iterdir())


async def test_holds_of_an_earlier_version_that_cannot_be_read_stop_the_start(house: House) -> None:
    (house.state_dir / "holds.json").write_text("[{")
    with pytest.raises(ConfigInvalid):
        await adopt_files(house.state_dir, house.spool, house.spool._state.ring)
    assert (house.state_dir / "holds.json").exists()


async def test_a_queue_may_keep_less_long(house: House, eraser: Eraser) -> None:
    await house.deliver(mail())
    sweeper = Sweeper(
        house.spool, {"desk": house.backend}, house.clock, eraser=eraser, queue_days={"support": 7}
    )
    house.clock.seconds += 7 * 86400
    assert await sweeper.sweep() == 0
    house.clock.seconds += 86400
    assert await sweeper.sweep() == 1
    assert not house.entries()


async def test_a_signed_command_deletes_its_ticket_and_only_that(
    house: House, lab: Lab, eraser: Eraser
) -> None:
    house.worker.inbound = dataclasses.replace(house.inbound, erase=eraser.erase)
    # Signatures tell the real time.
    house.clock.seconds = int(time.time())
    (first,) = await house.deliver(pgp_mail(lab, "Help\n", Message_ID="<a@user.test>"))
    (_, other) = await house.deliver(pgp_mail(lab, "Else\n", Message_ID="<b@user.test>"))
    # Not signed: the address alone proves nothing. It becomes a message like any other.
    await house.deliver(mail("Delete my ticket.\n", In_Reply_To="<a@user.test>"))
    assert first.thread in {e.thread for e in house.entries()}
    await house.deliver(pgp_mail(lab, "Delete my ticket.\n", In_Reply_To="<a@user.test>"))
    left = {e.thread for e in house.entries()}
    assert first.thread not in left
    assert other.thread in left
    assert not await house.rows(State.PARKED)


async def test_who_deletes_by_mail_is_told_the_code_encrypted_and_nothing_of_it_is_kept(
    house: House, lab: Lab, eraser: Eraser
) -> None:
    house.worker.inbound = dataclasses.replace(
        house.inbound, erase=eraser.erase, say_deleted=house.outbound.say_deleted
    )
    house.clock.seconds = int(time.time())
    await house.deliver(pgp_mail(lab, "Help\n", Message_ID="<a@user.test>"))
    await house.deliver(pgp_mail(lab, "Delete my ticket.\n", In_Reply_To="<a@user.test>"))
    (wire,) = house.sent()
    assert b"multipart/encrypted" in wire
    assert b"eleted" not in wire
    told = lab.gpg("user", "--decrypt", stdin=wire[wire.index(b"-----BEGIN") :], check=False).decode()
    code = re.search(r"Code of this deletion, for 30 days: (\w{16})", told)
    assert code is not None
    shown = await look_up_erasure(eraser, code.group(1))
    assert shown is not None
    assert shown.helpdesk == "gone"
    assert not await house.rows()


async def test_a_wish_against_a_hold_is_answered_and_reaches_the_agents(
    house: House, lab: Lab, eraser: Eraser
) -> None:
    house.worker.inbound = dataclasses.replace(
        house.inbound, erase=eraser.erase, say_deleted=house.outbound.say_deleted
    )
    house.clock.seconds = int(time.time())
    (first,) = await house.deliver(pgp_mail(lab, "Help\n", Message_ID="<a@user.test>"))
    await house.spool.holds.add(Hold(first.thread, "court order", "2030-12-31"))
    for number in range(2):
        wish = pgp_mail(
            lab, "Delete my ticket.\n", In_Reply_To="<a@user.test>", Message_ID=f"<{number}@u.test>"
        )
        await house.deliver(wish)
    assert [entry.text.strip() for entry in house.entries()] == ["Help", *["Delete my ticket."] * 2]
    (wire,) = house.sent()
    told = lab.gpg("user", "--decrypt", stdin=wire[wire.index(b"-----BEGIN") :], check=False).decode()
    assert "keep it until 2030-12-31" in " ".join(told.split())
    assert "court order" not in told


@pytest.mark.parametrize("age", [-2, 9], ids=["older-than-the-ticket", "nine-days-old"])
async def test_a_command_that_was_captured_earlier_deletes_nothing(
    house: House, lab: Lab, eraser: Eraser, age: int
) -> None:
    house.worker.inbound = dataclasses.replace(house.inbound, erase=eraser.erase)
    command = pgp_mail(lab, "Delete my ticket.\n", In_Reply_To="<a@user.test>")
    # The ticket begins after the command was signed, or the command comes long after it was.
    house.clock.seconds = int(time.time()) + (2 * 86400 if age < 0 else 0)
    (first,) = await house.deliver(pgp_mail(lab, "Help\n", Message_ID="<a@user.test>"))
    if age > 0:
        house.clock.seconds += age * 86400
    await house.deliver(command)
    assert [e.thread for e in house.entries()] == [first.thread] * 2


async def test_what_arrives_in_the_helpdesk_after_deleting_is_taken_back(house: House) -> None:
    deliver = house.backend.deliver

    async def slow(entry):
        delivered = await deliver(entry)
        await house.spool.erase(entry.thread)
        return delivered

    house.backend.deliver = slow  # type: ignore[method-assign]
    assert await house.deliver(mail()) == []
    assert not await house.rows()


async def test_a_job_that_cannot_be_written_is_a_fault_of_the_store(house: House, eraser: Eraser) -> None:
    house.spool._writer.fail("io-error")
    with pytest.raises(SpoolUnavailable):
        await eraser.jobs.put(EraseJob("a" * 48, "t", ""))
