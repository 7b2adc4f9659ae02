"""What every `core.ports.Spool` does, run over the real store and the fake alike."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from veildesk.core.errors import WorkLost
from veildesk.core.ports import Spool
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import TRANSITIONS, Direction, Reason, State, Work
from veildesk.spool import KeyRing, MemorySpool, SqlSpool

DAY = 86_400
START = 20_000 * DAY + 1234
IN = [State.ACCEPTED, State.DELIVERING]
OUT = [State.COLLECTED, State.SENDING]


class SetClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return float(self.at)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=["sqlite", "postgresql", "postgresql-s3", "memory"])
async def spool(request: pytest.FixtureRequest, clock: SetClock, tmp_path: Path) -> AsyncIterator[Spool]:
    if request.param == "memory":
        memory = MemorySpool(clock, retention_days=30)
        yield memory
        await memory.close()
        return
    ring = KeyRing.create(tmp_path / "ring")
    database = files = None
    if request.param.startswith("postgresql"):
        database = request.getfixturevalue("postgres").new_database()
    if request.param.endswith("s3"):
        files = request.getfixturevalue("s3").new_place()
        # Everything goes to the bucket, not only what is large.
        request.getfixturevalue("monkeypatch").setattr("veildesk.spool.parts.INLINE", -1)
    state = tmp_path / "state"
    store = await SqlSpool.open(state, ring, clock, 30, database=database, files=files, min_free=0)
    yield store
    await store.close()


def mail(payload: bytes = b"mail", dedup: bytes | None = None) -> Submission:
    return Submission(Channel.SMTP, dedup or secrets.token_bytes(32), payload)


def post(anchor: PortalAnchor, entry: bytes, dedup: bytes | None = None) -> Submission:
    return Submission(
        Channel.PORTAL, dedup or secrets.token_bytes(32), b"entry", anchor=anchor, thread_entry=entry
    )


def new_anchor() -> PortalAnchor:
    return PortalAnchor(secrets.token_bytes(32), b"\x01" + secrets.token_bytes(1216))


async def claim_one(spool: Spool, *states: State) -> Work:
    (work,) = await spool.claim(states or IN)
    return work


async def delivered(spool: Spool, ref: str | None = None) -> Work:
    work = await claim_one(spool)
    work = await spool.advance(work, State.DELIVERING)
    return await spool.advance(work, State.DELIVERED, parts={"raw": None}, backend_ref=ref)


async def finish(spool: Spool, work: Work) -> None:
    work = await spool.advance(work, State.DELIVERING)
    await spool.advance(work, State.DELIVERED, parts={"raw": None})


# ------------------------------------------------------------------ accept


async def test_an_accepted_message_is_there_with_its_payload(spool: Spool) -> None:
    payload = bytes(range(256)) * 20
    accepted = await spool.accept(mail(payload))
    assert accepted.fresh
    assert await spool.part(accepted.message_id, "raw") == payload
    (work,) = await spool.listing()
    assert work == Work(
        accepted.message_id,
        accepted.ticket_id,
        Direction.IN,
        Channel.SMTP,
        State.ACCEPTED,
        accepted_day=START // DAY,
    )


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_payloads_of_every_size_come_back(spool: Spool, size: int) -> None:
    payload = secrets.token_bytes(size)
    accepted = await spool.accept(mail(payload))
    assert await spool.part(accepted.message_id, "raw") == payload


async def test_a_submission_may_bring_the_id_of_its_message(spool: Spool) -> None:
    wanted = secrets.token_hex(16)
    first = replace(mail(b"chosen", b"k" * 32), message_id=wanted)
    accepted = await spool.accept(first)
    assert (accepted.message_id, accepted.fresh) == (wanted, True)
    assert await spool.part(wanted, "raw") == b"chosen"
    again = await spool.accept(replace(first, message_id=secrets.token_hex(16)))
    assert (again.message_id, again.fresh) == (wanted, False)


async def test_the_same_key_twice_is_one_message(spool: Spool) -> None:
    first = await spool.accept(mail(b"a", b"k" * 32))
    again = await spool.accept(mail(b"b", b"k" * 32))
    assert again == replace(first, fresh=False)
    assert await spool.part(first.message_id, "raw") == b"a"
    assert len(await spool.listing()) == 1


async def test_the_same_key_at_the_same_moment_is_one_message(spool: Spool) -> None:
    results = await asyncio.gather(*(spool.accept(mail(b"x" * 300_000, b"k" * 32)) for _ in range(10)))
    assert sum(result.fresh for result in results) == 1
    assert len({result.message_id for result in results}) == 1
    assert len(await spool.listing()) == 1


async def test_many_at_once_are_all_kept(spool: Spool) -> None:
    results = await asyncio.gather(*(spool.accept(mail(b"%d" % number)) for number in range(200)))
    payloads = [await spool.part(result.message_id, "raw") for result in results]
    assert payloads == [b"%d" % number for number in range(200)]


async def test_queue_and_channel_are_kept(spool: Spool) -> None:
    await spool.accept(replace(mail(), queue="security", channel=Channel.IMAP))
    work = await claim_one(spool)
    assert (work.queue, work.channel) == ("security", Channel.IMAP)


async def test_unknown_parts_are_none(spool: Spool) -> None:
    accepted = await spool.accept(mail())
    assert await spool.part(accepted.message_id, "wire") is None
    assert await spool.part("0" * 32, "raw") is None
    assert await spool.ticket_part(accepted.ticket_id, "contact") is None
    assert await spool.ticket_part("0" * 32, "contact") is None
    assert await spool.backend_ref("0" * 32) is None
    assert await spool.anchor(accepted.ticket_id) is None
    assert await spool.thread(b"0" * 32) is None
    assert await spool.find_by_marker(b"m" * 32) is None
    assert await spool.cursor("maildir") is None


# ------------------------------------------------------------------ portal


async def test_a_portal_thread_grows_in_order(spool: Spool) -> None:
    anchor = new_anchor()
    first = await spool.accept(post(anchor, b"sealed one"))
    second = await spool.accept(post(anchor, b"sealed two"))
    assert second.ticket_id == first.ticket_id
    assert second.message_id != first.message_id
    view = await spool.thread(anchor.lookup_id)
    assert view is not None
    assert view.entries == (b"sealed one", b"sealed two")
    assert (view.ticket_id, view.state) == (first.ticket_id, "open")
    assert view.expires_day == START // DAY + 30
    assert await spool.anchor(first.ticket_id) == anchor


async def test_a_repeated_post_adds_nothing(spool: Spool) -> None:
    anchor = new_anchor()
    first = await spool.accept(post(anchor, b"one", b"k" * 32))
    again = await spool.accept(post(anchor, b"one, sealed anew", b"k" * 32))
    assert again == replace(first, fresh=False)
    view = await spool.thread(anchor.lookup_id)
    assert view is not None
    assert view.entries == (b"one",)


async def test_posts_at_the_same_moment_share_one_ticket(spool: Spool) -> None:
    anchor = new_anchor()
    results = await asyncio.gather(*(spool.accept(post(anchor, b"%d" % number)) for number in range(6)))
    assert len({result.ticket_id for result in results}) == 1
    view = await spool.thread(anchor.lookup_id)
    assert view is not None
    assert sorted(view.entries) == [b"%d" % number for number in range(6)]


async def test_answers_and_entries_interleave(spool: Spool) -> None:
    anchor = new_anchor()
    accepted = await spool.accept(post(anchor, b"question"))
    await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"answer"}, None)
    work = await spool.advance(await claim_one(spool, *OUT), State.SENDING)
    large = b"answer with a file" * 30_000
    await spool.advance(work, State.SENT, thread_entry=large)
    await spool.accept(post(anchor, b"thanks"))
    view = await spool.thread(anchor.lookup_id)
    assert view is not None
    assert view.entries == (b"question", large, b"thanks")


# ------------------------------------------------------------------ claim and order


async def test_claims_come_in_order_and_once(spool: Spool) -> None:
    accepted = [await spool.accept(mail(b"%d" % number)) for number in range(5)]
    first = await spool.claim(IN, limit=3)
    rest = await spool.claim(IN, limit=9)
    assert [work.message_id for work in first + rest] == [one.message_id for one in accepted]
    assert await spool.claim(IN, limit=9) == []


async def test_claims_look_only_at_the_given_states(spool: Spool) -> None:
    await spool.accept(mail())
    assert await spool.claim(OUT, limit=9) == []
    assert await spool.claim([], limit=9) == []


async def test_a_later_message_of_a_ticket_waits_for_the_earlier(spool: Spool) -> None:
    anchor = new_anchor()
    first = await spool.accept(post(anchor, b"1"))
    second = await spool.accept(post(anchor, b"2"))
    (work,) = await spool.claim(IN, limit=9)
    assert work.message_id == first.message_id
    work = await spool.advance(work, State.DELIVERING)
    await spool.postpone(work, Reason.BACKEND_DOWN, 60)
    assert await spool.claim(IN, limit=9) == []
    assert (await spool.listing([State.DELIVERING]))[0].attempts == 1
    await spool.retry(first.message_id)
    await spool.advance(await claim_one(spool), State.DELIVERED)
    assert (await claim_one(spool)).message_id == second.message_id


async def test_what_waits_for_a_helpdesk_is_due_at_once_when_hastened(spool: Spool) -> None:
    for queue in ("support", "other"):
        await spool.accept(replace(mail(queue.encode()), queue=queue))
    for _ in range(2):
        work = await spool.advance(await claim_one(spool), State.DELIVERING)
        await spool.postpone(work, Reason.BACKEND_DOWN, 600)
    await spool.accept(mail(b"in the hands of a worker"))
    claimed = await spool.advance(await claim_one(spool), State.DELIVERING)
    assert await spool.claim(IN, limit=9) == []
    assert await spool.hasten(Reason.SEND_LATER, None) == 0
    assert await spool.hasten(Reason.BACKEND_DOWN, []) == 0
    assert await spool.hasten(Reason.BACKEND_DOWN, ["support"]) == 1
    (work,) = await spool.claim(IN, limit=9)
    assert (work.queue, work.attempts) == ("support", 1)
    await spool.postpone(work, Reason.BACKEND_DOWN, 600)
    assert await spool.hasten(Reason.BACKEND_DOWN, None) == 2
    assert await spool.hasten(Reason.BACKEND_DOWN, None) == 0
    # However often it is brought forward, that uses up no attempts.
    assert {(one.queue, one.attempts) for one in await spool.claim(IN, limit=9)} == {
        ("support", 1),
        ("other", 1),
    }
    await spool.advance(claimed, State.DELIVERED)


async def test_a_message_that_waits_for_a_person_holds_up_nobody(spool: Spool) -> None:
    anchor = new_anchor()
    await spool.accept(post(anchor, b"1"))
    second = await spool.accept(post(anchor, b"2"))
    await spool.advance(await claim_one(spool), State.PARKED, reason=Reason.BACKEND)
    assert (await claim_one(spool)).message_id == second.message_id


async def test_directions_do_not_hold_each_other_up(spool: Spool) -> None:
    accepted = await spool.accept(mail())
    await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"x"}, None)
    works = await spool.claim([*IN, *OUT], limit=9)
    assert {work.direction for work in works} == {Direction.IN, Direction.OUT}


async def test_a_postponed_message_comes_when_it_is_due(spool: Spool, clock: SetClock) -> None:
    await spool.accept(mail())
    await spool.postpone(await claim_one(spool), Reason.BACKEND_DOWN, 60)
    clock.at += 59
    assert await spool.claim(IN) == []
    clock.at += 1
    work = await claim_one(spool)
    assert (work.attempts, work.reason) == (1, Reason.BACKEND_DOWN)


async def test_a_clock_set_back_delays_no_longer_than_a_day(spool: Spool, clock: SetClock) -> None:
    await spool.accept(mail())
    await spool.postpone(await claim_one(spool), Reason.BACKEND_DOWN, 10**9)
    assert await spool.claim(IN) == []
    clock.at -= 400 * DAY
    assert len(await spool.claim(IN)) == 1


async def test_a_released_message_can_be_claimed_again(spool: Spool) -> None:
    await spool.accept(mail())
    work = await claim_one(spool)
    await spool.release(work)
    assert await claim_one(spool) == work


# ------------------------------------------------------------------ state changes


async def test_only_the_listed_transitions_exist(spool: Spool) -> None:
    accepted = await spool.accept(mail())
    for state in State:
        work = replace((await spool.listing())[0], state=state)
        for to in set(State) - TRANSITIONS[state]:
            with pytest.raises(ValueError, match="transition"):
                await spool.advance(work, to)
    (work,) = await spool.listing()
    assert (work.message_id, work.state) == (accepted.message_id, State.ACCEPTED)


async def test_a_change_and_its_parts_are_one(spool: Spool) -> None:
    accepted = await spool.accept(mail(b"raw"))
    work = await spool.advance(
        await claim_one(spool),
        State.DELIVERING,
        parts={"wire": b"w" * 400_000},
        ticket_parts={"contact": b"user@example.org", "numbering": b"{}"},
        backend_ref="4711",
        marker=b"m" * 32,
    )
    assert work.state is State.DELIVERING
    assert await spool.part(accepted.message_id, "wire") == b"w" * 400_000
    assert await spool.ticket_part(accepted.ticket_id, "contact") == b"user@example.org"
    assert await spool.backend_ref(accepted.ticket_id) == "4711"
    assert await spool.find_by_marker(b"m" * 32) == accepted.ticket_id
    work = await spool.advance(
        work, State.DELIVERED, parts={"raw": None, "wire": b"short"}, ticket_parts={"numbering": None}
    )
    assert await spool.part(accepted.message_id, "raw") is None
    assert await spool.part(accepted.message_id, "wire") == b"short"
    assert await spool.ticket_part(accepted.ticket_id, "numbering") is None
    assert await spool.counts() == {"delivered": 1}
    assert await spool.claim(list(State), limit=9) == []


async def test_forgotten_markers_lead_nowhere_and_others_stay(spool: Spool) -> None:
    tickets = []
    for name in (b"a", b"b"):
        accepted = await spool.accept(mail(name))
        work = await claim_one(spool)
        for digest in (name * 32, name * 31 + b"2"):
            if work.state is State.ACCEPTED:
                work = await spool.advance(work, State.DELIVERING, marker=digest)
            else:
                await spool.advance(work, State.DELIVERED, marker=digest)
        tickets.append(accepted.ticket_id)
    assert await spool.forget_markers(tickets[0]) == 2
    assert await spool.forget_markers(tickets[0]) == 0
    assert await spool.find_by_marker(b"a" * 32) is None
    assert await spool.find_by_marker(b"b" * 32) == tickets[1]
    assert await spool.forget_markers("0" * 32) == 0


async def test_a_stale_view_changes_nothing(spool: Spool) -> None:
    await spool.accept(mail())
    old = await claim_one(spool)
    await spool.advance(old, State.DELIVERING)
    with pytest.raises(WorkLost):
        await spool.advance(old, State.PARKED, parts={"wire": b"w"})
    with pytest.raises(WorkLost):
        await spool.postpone(old, Reason.INTERNAL, 1)
    assert await spool.part(old.message_id, "wire") is None


@pytest.mark.parametrize("before", [State.ACCEPTED, State.DELIVERING])
async def test_a_parked_message_goes_on_from_where_it_was(spool: Spool, before: State) -> None:
    await spool.accept(mail())
    work = await claim_one(spool)
    if before is State.DELIVERING:
        work = await spool.advance(work, State.DELIVERING)
    work = await spool.advance(work, State.PARKED, reason=Reason.BACKEND)
    assert (work.reason, work.parked_from) == (Reason.BACKEND, before)
    assert await spool.claim(list(State)) == []
    back = await spool.retry(work.message_id)
    assert (back.state, back.reason, back.parked_from) == (before, Reason.NONE, None)


async def test_quarantined_and_held_come_back_by_retry(spool: Spool) -> None:
    accepted = await spool.accept(mail())
    work = await spool.advance(await claim_one(spool), State.QUARANTINED, reason=Reason.UNPARSABLE)
    assert (await spool.retry(work.message_id)).state is State.ACCEPTED
    await delivered(spool)
    await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"x"}, None)
    work = await spool.advance(await claim_one(spool, *OUT), State.HELD, reason=Reason.GUARD)
    assert (await spool.retry(work.message_id)).state is State.COLLECTED


async def test_finished_messages_are_not_tried_again(spool: Spool) -> None:
    await spool.accept(mail())
    work = await delivered(spool)
    with pytest.raises(ValueError, match="delivered"):
        await spool.retry(work.message_id)
    with pytest.raises(WorkLost):
        await spool.retry("0" * 32)


# ------------------------------------------------------------------ answers


async def test_an_answer_is_collected_once(spool: Spool) -> None:
    accepted = await spool.accept(mail())
    first = await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"hello"}, ("maildir", "7"))
    again = await spool.collect(accepted.ticket_id, b"r" * 32, {"reply": b"hello"}, ("maildir", "8"))
    assert first.fresh
    assert again == replace(first, fresh=False)
    assert first.ticket_id == accepted.ticket_id
    assert await spool.cursor("maildir") == "8"
    work = await claim_one(spool, *OUT)
    assert (work.direction, work.state, work.channel) == (Direction.OUT, State.COLLECTED, Channel.BACKEND)
    assert await spool.part(work.message_id, "reply") == b"hello"


async def test_an_answer_to_nothing_is_refused(spool: Spool) -> None:
    with pytest.raises(WorkLost):
        await spool.collect("0" * 32, b"r" * 32, {"reply": b"x"}, ("maildir", "7"))
    assert await spool.cursor("maildir") is None
    await spool.set_cursor("maildir", "7")
    assert await spool.cursor("maildir") == "7"


# ------------------------------------------------------------------ join


async def test_joining_moves_a_message_and_removes_its_ticket(spool: Spool) -> None:
    first = await spool.accept(mail(b"one"))
    await delivered(spool, "4711")
    second = await spool.accept(mail(b"two" * 100_000, b"k" * 32))
    work = await spool.join(await claim_one(spool), first.ticket_id)
    assert (work.ticket_id, work.message_id, work.state) == (
        first.ticket_id,
        second.message_id,
        State.ACCEPTED,
    )
    assert await spool.part(second.message_id, "raw") == b"two" * 100_000
    again = await spool.accept(mail(b"two", b"k" * 32))
    assert (again.ticket_id, again.fresh) == (first.ticket_id, False)
    assert await spool.expired(START // DAY + 31) == [first.ticket_id]
    await spool.advance(work, State.DELIVERING)
    with pytest.raises(WorkLost):
        await spool.collect(second.ticket_id, b"r" * 32, {}, None)


async def test_joining_nothing_changes_nothing(spool: Spool) -> None:
    accepted = await spool.accept(mail(b"one"))
    work = await claim_one(spool)
    assert await spool.join(work, accepted.ticket_id) == work
    with pytest.raises(WorkLost):
        await spool.join(work, "0" * 32)
    assert await spool.part(accepted.message_id, "raw") == b"one"
    await spool.advance(work, State.DELIVERING)


async def test_a_listing_can_be_of_one_message_or_one_ticket(spool: Spool) -> None:
    anchor = new_anchor()
    first, second = await spool.accept(post(anchor, b"1")), await spool.accept(post(anchor, b"2"))
    await spool.accept(mail())
    (work,) = await spool.listing(message_id=second.message_id)
    assert work.message_id == second.message_id
    works = await spool.listing(IN, ticket_id=first.ticket_id)
    assert [work.message_id for work in works] == [first.message_id, second.message_id]
    assert await spool.listing(OUT, ticket_id=first.ticket_id) == []


# ------------------------------------------------------------------ erase and retention


async def test_an_erased_ticket_is_gone(spool: Spool) -> None:
    anchor = new_anchor()
    accepted = await spool.accept(post(anchor, b"one", b"k" * 32))
    work = await spool.advance(
        await claim_one(spool), State.DELIVERING, ticket_parts={"contact": b"c"}, marker=b"m" * 32
    )
    await spool.erase(accepted.ticket_id)
    assert await spool.thread(anchor.lookup_id) is None
    assert await spool.part(accepted.message_id, "raw") is None
    assert await spool.ticket_part(accepted.ticket_id, "contact") is None
    assert await spool.find_by_marker(b"m" * 32) is None
    assert await spool.listing() == []
    assert await spool.expired(10**6) == []
    with pytest.raises(WorkLost):
        await spool.advance(work, State.DELIVERED)
    with pytest.raises(WorkLost):
        await spool.advance(work, State.DELIVERED, parts={"raw": None})
    await spool.erase(accepted.ticket_id)


async def test_what_was_erased_does_not_come_back_by_repeating(spool: Spool) -> None:
    first = await spool.accept(mail(b"one", b"k" * 32))
    await spool.erase(first.ticket_id)
    assert await spool.accept(mail(b"one", b"k" * 32)) == replace(first, fresh=False)
    assert await spool.listing() == []


async def test_other_tickets_survive_an_erase(spool: Spool) -> None:
    gone = await spool.accept(mail(b"gone"))
    kept = await spool.accept(mail(b"kept"))
    await spool.erase(gone.ticket_id)
    assert await spool.part(kept.message_id, "raw") == b"kept"
    assert [work.message_id for work in await spool.listing()] == [kept.message_id]


async def test_retention_counts_from_the_last_message(spool: Spool, clock: SetClock) -> None:
    anchor = new_anchor()
    active = await spool.accept(post(anchor, b"1"))
    silent = await spool.accept(mail())
    clock.at += 10 * DAY
    await spool.accept(post(anchor, b"2"))
    today = START // DAY
    assert await spool.expired(today + 30) == []
    assert await spool.expired(today + 31) == [silent.ticket_id]
    assert await spool.expired(today + 41) == [silent.ticket_id, active.ticket_id]


async def test_a_queue_may_keep_less_long_and_late_messages_are_listed_alone(
    spool: Spool, clock: SetClock
) -> None:
    today = START // DAY
    early = await spool.accept(replace(mail(b"1"), queue="quick"))
    kept = await spool.accept(replace(mail(b"2"), queue="quick"))
    other = await spool.accept(mail(b"3"))
    clock.at += 5 * DAY
    await spool.collect(kept.ticket_id, b"r".ljust(32), {"reply": b"r"}, None)
    assert await spool.expired(today + 7, {"quick": 7}) == []
    assert await spool.expired(today + 8, {"quick": 7}) == [early.ticket_id]
    assert set(await spool.expired(today + 13, {"quick": 7})) == {early.ticket_id, kept.ticket_id}
    everything = await spool.expired(today + 60, {"quick": 7})
    assert sorted(everything) == sorted([early.ticket_id, kept.ticket_id, other.ticket_id])
    (late,) = await spool.listing(since=today + 1)
    assert late.ticket_id == kept.ticket_id
    assert await spool.listing([State.ACCEPTED], since=today + 1) == []


# ------------------------------------------------------------------ waiting


async def test_waiting_ends_when_something_is_accepted(spool: Spool) -> None:
    async def worker() -> Work:
        while not (found := await spool.claim(IN)):
            await spool.wait(60)
        return found[0]

    task = asyncio.create_task(worker())
    for _ in range(5):
        await asyncio.sleep(0)
    accepted = await spool.accept(mail())
    assert (await asyncio.wait_for(task, 10)).message_id == accepted.message_id


async def test_a_wake_up_between_claim_and_wait_is_not_lost(spool: Spool) -> None:
    assert await spool.claim(IN) == []
    await asyncio.create_task(spool.accept(mail()))
    await asyncio.wait_for(spool.wait(60), 10)


async def test_waiting_ends_at_the_timeout(spool: Spool) -> None:
    await spool.claim(IN)
    await asyncio.wait_for(spool.wait(0.01), 10)


async def test_giving_back_does_not_wake_the_one_who_gave(spool: Spool) -> None:
    await spool.accept(mail())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_spin(spool), 0.1)


async def _spin(spool: Spool) -> None:
    (work,) = await spool.claim(IN)
    await spool.release(work)
    await spool.wait(60)


# ------------------------------------------------------------------ claimed ahead


async def test_a_task_that_claims_ahead_gets_every_message_once_and_in_order(spool: Spool) -> None:
    kept = [(await spool.accept(mail(b"%d" % number))).message_id for number in range(5)]
    seen = []
    while claimed := await spool.claim(IN, ahead=True):
        for work in claimed:
            assert await spool.part(work.message_id, "raw") == b"%d" % len(seen)
            seen.append(work.message_id)
            await finish(spool, work)
    assert seen == kept
    await spool.leave()


async def test_what_was_claimed_ahead_is_given_back_by_a_task_that_leaves(spool: Spool) -> None:
    first, second = await spool.accept(mail(b"1")), await spool.accept(mail(b"2"))

    async def one_only() -> None:
        (work,) = await spool.claim(IN, ahead=True)
        assert work.message_id == first.message_id
        await finish(spool, work)
        await spool.leave()

    await asyncio.create_task(one_only())
    assert (await claim_one(spool)).message_id == second.message_id


# ------------------------------------------------------------------ what a claim brings along


async def test_parts_of_a_claimed_message_are_those_of_now(spool: Spool) -> None:
    accepted = await spool.accept(mail(b"first"))
    work = await claim_one(spool)
    assert await spool.ticket_part(accepted.ticket_id, "contact") is None
    work = await spool.advance(
        work, State.DELIVERING, parts={"entry": b"entry"}, ticket_parts={"contact": b"one"}
    )
    assert await spool.part(work.message_id, "raw") == b"first"
    assert await spool.part(work.message_id, "entry") == b"entry"
    assert await spool.ticket_part(work.ticket_id, "contact") == b"one"
    await spool.advance(work, State.PARKED, reason=Reason.OPERATOR, ticket_parts={"contact": b"two"})
    assert await spool.ticket_part(work.ticket_id, "contact") == b"two"


async def test_an_answer_claimed_in_a_ticket_sees_what_an_incoming_message_changes(spool: Spool) -> None:
    accepted = await spool.accept(mail(b"first"))
    await finish(spool, await claim_one(spool))
    await spool.collect(accepted.ticket_id, secrets.token_bytes(32), {"reply": b"answer"}, None)
    answer = await claim_one(spool, *OUT)
    again = await spool.accept(mail(b"more"))
    incoming = await spool.join(await claim_one(spool), accepted.ticket_id)
    assert again.fresh
    await spool.advance(incoming, State.DELIVERING, ticket_parts={"contact": b"new"})
    assert await spool.ticket_part(answer.ticket_id, "contact") == b"new"
    assert await spool.part(answer.message_id, "reply") == b"answer"


async def test_a_claimed_message_of_an_erased_ticket_brings_nothing(spool: Spool) -> None:
    accepted = await spool.accept(mail(b"secret"))
    work = await claim_one(spool)
    await spool.erase(accepted.ticket_id)
    assert await spool.part(accepted.message_id, "raw") is None
    assert await spool.ticket_part(accepted.ticket_id, "contact") is None
    with pytest.raises(WorkLost):
        await spool.advance(work, State.DELIVERING, parts={"entry": b"entry"})


async def test_no_last_day_lies_beyond_a_given_one(spool: Spool, clock: SetClock) -> None:
    today = START // DAY
    first = await spool.accept(mail(b"1"))
    clock.at += 400 * DAY
    ahead = await spool.accept(mail(b"2", b"k" * 32))
    assert await spool.shorten(today + 31) == 1
    assert await spool.shorten(today + 31) == 0
    assert await spool.expired(today + 31) == [first.ticket_id]
    assert set(await spool.expired(today + 32)) == {first.ticket_id, ahead.ticket_id}
    assert not (await spool.accept(mail(b"2", b"k" * 32))).fresh
