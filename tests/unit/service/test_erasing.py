"""Deleting: here at once, elsewhere as soon as it can be done, and the truth about it by a code."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import pytest

from testbed.house import House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.errors import BackendUnavailable, ConfigInvalid, SpoolUnavailable
from veildesk.core.ticket import Erased
from veildesk.core.work import State
from veildesk.service.eraser import Eraser, look_up_erasure
from veildesk.service.holds import Hold, Holds
from veildesk.service.workers import Sweeper
from veildesk.spool.erase_jobs import EraseJobs


@pytest.fixture
def eraser(house: House) -> Eraser:
    return Eraser(
        spool=house.spool,
        backends={"desk": house.backend},
        jobs=EraseJobs(house.state_dir / "erasures", b"k" * 32),
        holds=Holds(house.state_dir / "holds.json"),
        clock=house.clock,
        random_bytes=os.urandom,
    )


async def test_all_is_gone_and_the_code_says_so_for_30_days(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    deletion = await eraser.erase(entry.thread)
    assert deletion.outcome is Erased.GONE
    assert not house.entries()
    assert not await house.rows()
    shown = look_up_erasure(eraser, deletion.code.upper())
    assert shown is not None
    assert (shown["helpdesk"], shown["finished"]) == ("gone", True)
    assert look_up_erasure(eraser, "a" * 16) is None
    house.clock.seconds += 31 * 86400
    await eraser.work()
    assert look_up_erasure(eraser, deletion.code) is None


async def test_a_job_tells_nothing_to_who_finds_it(house: House, eraser: Eraser) -> None:
    house.backend.outage = ""
    (entry,) = await house.deliver(mail(Message_ID="<secret-id@user.test>"))
    house.backend.outage = "down"
    deletion = await eraser.erase(entry.thread)
    (path,) = (house.state_dir / "erasures").iterdir()
    content = path.name.encode() + path.read_bytes()
    for word in (entry.thread, "ref-", "secret-id", deletion.code, "desk"):
        assert word.encode() not in content
    stranger = EraseJobs(house.state_dir / "erasures", b"x" * 32)
    assert list(stranger.all()) == []


async def test_a_helpdesk_that_is_down_is_asked_until_it_is_done(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    house.backend.outage = "down"
    deletion = await eraser.erase(entry.thread)
    assert deletion.outcome is Erased.REQUESTED
    assert not await house.rows()
    assert house.entries()
    shown = look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown["gateway"], shown["helpdesk"], shown["why"]) == ("gone", "open", "backend-unavailable")
    assert await eraser.work() == 0
    house.clock.seconds += 61
    assert await eraser.work() == 1
    house.backend.outage = ""
    # As after a restart: nothing but the files is left.
    again = dataclasses.replace(eraser)
    house.clock.seconds += 3600
    assert await again.work() == 1
    assert not house.entries()
    shown = look_up_erasure(again, deletion.code)
    assert shown is not None
    assert (shown["helpdesk"], shown["finished"], shown["why"]) == ("gone", True, "")


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
    shown = look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown["why"], shown["finished"]) == (why, finished)


async def test_the_source_mailbox_is_emptied_of_its_mails(house: House, eraser: Eraser) -> None:
    asked: list[tuple[str, ...]] = []

    async def expunge(ids: Sequence[str]) -> None:
        asked.append(tuple(ids))
        if len(asked) == 1:
            raise BackendUnavailable("mailbox")

    eraser.expunge = expunge
    (entry,) = await house.deliver(mail(Message_ID="<one@user.test>"))
    deletion = await eraser.erase(entry.thread)
    shown = look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert (shown["helpdesk"], shown["mailbox"]) == ("gone", "open")
    house.clock.seconds += 120
    await eraser.work()
    assert asked == [("one@user.test",)] * 2
    shown = look_up_erasure(eraser, deletion.code)
    assert shown is not None
    assert shown["mailbox"] == "gone"


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


async def test_a_hold_suspends_deleting_until_its_day_is_over(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    today = house.clock.seconds // 86400
    from datetime import date

    last = date.fromordinal(date(1970, 1, 1).toordinal() + today + 20).isoformat()
    eraser.holds.add(Hold(entry.thread, "court order", last))
    deletion = await eraser.erase(entry.thread)
    assert (deletion.outcome, deletion.kept_until, deletion.code) == (Erased.KEPT, last, "")
    sweeper = Sweeper(house.spool, {"desk": house.backend}, house.clock, eraser=eraser)
    house.clock.seconds += 19 * 86400
    assert await sweeper.sweep() == 0
    assert house.entries()
    house.clock.seconds += 3 * 86400
    assert await sweeper.sweep() == 1
    assert not house.entries()


async def test_holds_that_cannot_be_read_let_nothing_be_deleted(house: House, eraser: Eraser) -> None:
    (entry,) = await house.deliver(mail())
    (house.state_dir / "holds.json").write_text("[{")
    with pytest.raises(ConfigInvalid):
        await eraser.erase(entry.thread)
    assert house.entries()


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


async def test_what_arrives_in_the_helpdesk_after_deleting_is_taken_back(house: House) -> None:
    deliver = house.backend.deliver

    async def slow(entry):
        delivered = await deliver(entry)
        await house.spool.erase(entry.thread)
        return delivered

    house.backend.deliver = slow  # type: ignore[method-assign]
    assert await house.deliver(mail()) == []
    assert not await house.rows()


def test_a_job_that_cannot_be_written_is_a_fault_of_the_store(tmp_path) -> None:
    (tmp_path / "erasures").write_text("in the way")
    from veildesk.spool.erase_jobs import EraseJob

    with pytest.raises(SpoolUnavailable):
        EraseJobs(tmp_path / "erasures", b"k" * 32).put(EraseJob("a" * 48, "t", ""))
