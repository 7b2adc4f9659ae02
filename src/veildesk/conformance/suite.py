"""The suite. Each test uses tickets of its own, so that a shared server with other tickets will do.

Run by the plugin, or `from veildesk.conformance.suite import *` in a module with a `desk` fixture.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from veildesk.conformance.desk import Desk
from veildesk.core.ports import Acknowledges, Backend
from veildesk.core.ticket import AgentReply, Erased, File, Level, TicketChange, TicketEntry

pytestmark = pytest.mark.asyncio

PICTURE = bytes(range(256)) * 900
"""Longer than one piece of a transfer, and not text."""


def fresh() -> str:
    """An opaque id as the gateway makes them."""
    return secrets.token_hex(16)


def entry(thread: str, text: str = "Text with [email-1].", **changes: Any) -> TicketEntry:
    """An entry with a key of its own."""
    return replace(TicketEntry(thread=thread, key=fresh(), subject="Ünder way", text=text), **changes)


async def collected(backend: Backend, cursor: str | None, thread: str) -> list[AgentReply]:
    """Answers after a position that are in the thread."""
    return [reply async for reply in backend.replies(cursor) if reply.thread == thread]


async def position(backend: Backend) -> str | None:
    """The end of what is there already; all of it is taken over."""
    last = None
    async for reply in backend.replies(None):
        last = reply.cursor or last
        if isinstance(backend, Acknowledges):
            await backend.acknowledge(reply)
    return last


async def content(desk: Desk, reply: AgentReply) -> list[tuple[str, bytes]]:
    """Names and contents of a reply's files, downloaded where they are not there yet."""
    found = [(file.name, file.content) for file in reply.files]
    for file in reply.remote:
        found.append((file.name, b"".join([piece async for piece in desk.backend.download(file)])))
    return found


def count(texts: Sequence[str], needle: str) -> int:
    """How many of the texts hold the needle."""
    return sum(needle in text for text in texts)


async def test_check_finds_nothing_wrong(desk: Desk) -> None:
    results = await desk.backend.check()
    assert results
    assert [r for r in results if r.level is Level.FAIL] == []
    assert all(r.fix for r in results if r.level is not Level.OK)


async def test_an_entry_arrives_whole(desk: Desk) -> None:
    thread = fresh()
    made = entry(
        thread,
        "Привет [email-1].\nSecond line — ✓",
        protection="Mail: encrypted; signed by the same key as before",
        topic="payments",
        removed={"EMAIL": 2},
        notices=("Removed from photo.png: location",),
        files=(File("photo.png", "image/png", PICTURE),),
    )
    delivered = await desk.backend.deliver(made)
    assert delivered.fresh
    assert delivered.ref
    (text,) = await desk.texts(thread)
    for part in (
        made.protection,
        "Topic: payments",
        "2 × email",
        made.notices[0],
        "Second line — ✓",
        "Привет",
    ):
        assert part in text
    assert await desk.files(thread) == [PICTURE]


async def test_the_same_key_twice_leaves_one_message(desk: Desk) -> None:
    made = entry(fresh(), files=(File("a.png", "image/png", PICTURE),))
    first = await desk.backend.deliver(made)
    again = await desk.backend.deliver(made)
    known = await desk.backend.deliver(replace(made, ref=first.ref))
    assert (first.fresh, again.fresh, known.fresh) == (True, False, False)
    assert first.ref == again.ref == known.ref
    assert count(await desk.texts(made.thread), "[email-1]") == 1
    assert len(await desk.files(made.thread)) == 1


async def test_a_second_key_goes_into_the_same_ticket_with_or_without_its_number(desk: Desk) -> None:
    thread, other = fresh(), fresh()
    first = await desk.backend.deliver(entry(thread, "One."))
    second = await desk.backend.deliver(entry(thread, "Two.", ref=first.ref))
    # As after a crash between the helpdesk's answer and our note of it.
    third = await desk.backend.deliver(entry(thread, "Three."))
    assert {second.ref, third.ref} == {first.ref}
    texts = await desk.texts(thread)
    assert [count([text], word) for text, word in zip(texts, ("One.", "Two.", "Three."), strict=True)] == [
        1,
        1,
        1,
    ]
    assert await desk.texts(other) == []


@pytest.mark.parametrize(
    "name", ['лог "x".txt', "a/../../b.txt", "x" * 200 + ".txt", "-rf.txt", "space at end .txt", "日本.txt"]
)
async def test_odd_file_names_pass(desk: Desk, name: str) -> None:
    thread = fresh()
    await desk.backend.deliver(entry(thread, files=(File(name, "text/plain", b"content\n"),)))
    assert [one.strip() for one in await desk.files(thread)] == [b"content"]


async def test_an_empty_file_loses_nothing_else(desk: Desk) -> None:
    thread = fresh()
    files = (File("empty.txt", "text/plain", b""), File("full.png", "image/png", PICTURE))
    await desk.backend.deliver(entry(thread, "With files.", files=files))
    assert count(await desk.texts(thread), "With files.") == 1
    assert PICTURE in await desk.files(thread)


async def test_odd_subjects_and_long_texts_pass(desk: Desk) -> None:
    for subject in ("", "я" * 500, "a\nb: c", "/close", "<b>&amp;", "[rt.test #1] [~FF]"):
        thread = fresh()
        delivered = await desk.backend.deliver(entry(thread, "word " * 4000, subject=subject))
        assert delivered.fresh
        assert count(await desk.texts(thread), "word word") == 1


async def test_a_line_that_is_a_command_elsewhere_is_defused(desk: Desk) -> None:
    thread = fresh()
    await desk.backend.deliver(entry(thread, "before\n/close\n  /assign @me\n/home/user is fine"))
    (text,) = await desk.texts(thread)
    assert not re.search(r"^\s*/(close|assign)", text, re.MULTILINE)
    assert "\\/close" in text


async def test_answers_come_in_order_with_their_thread_and_only_once_past_the_position(desk: Desk) -> None:
    thread, other = fresh(), fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    await desk.backend.deliver(entry(other))
    await desk.answer(thread, "First answer.")
    await desk.answer(other, "Somebody else's answer.")
    await desk.answer(thread, "Second answer — да.")
    found = [reply async for reply in desk.backend.replies(start)]
    mine = [reply for reply in found if reply.thread == thread]
    assert [reply.text.strip() for reply in mine] == ["First answer.", "Second answer — да."]
    assert len({reply.reply_id for reply in found}) == len(found)
    for reply in found:
        if isinstance(desk.backend, Acknowledges):
            await desk.backend.acknowledge(reply)
    assert await collected(desk.backend, found[-1].cursor or None, thread) == []


async def test_an_answer_not_taken_over_comes_again_with_the_same_id(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    await desk.answer(thread, "An answer.")
    first = await collected(desk.backend, start, thread)
    again = await collected(desk.backend, start, thread)
    assert [reply.reply_id for reply in first] == [reply.reply_id for reply in again]
    assert len(first) == 1


async def test_what_we_wrote_ourselves_is_no_answer(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    delivered = await desk.backend.deliver(entry(thread))
    await desk.backend.deliver(entry(thread, "More.", ref=delivered.ref))
    await desk.backend.update(delivered.ref, TicketChange(note="Sent.", note_key=fresh()))
    assert await collected(desk.backend, start, thread) == []


async def test_private_notes_never_leave(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    try:
        await desk.note(thread, "between us only")
    except NotImplementedError:
        return
    await desk.answer(thread, "for the person")
    await desk.note(thread, "between us again")
    replies = await collected(desk.backend, start, thread)
    assert [reply.text.strip() for reply in replies] == ["for the person"]


async def test_an_answer_in_html_becomes_safe_text(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    html = "<p>Please <b>update</b> &amp; retry.</p><img src='https://x.test/pixel.png' onerror='alert(1)'>"
    await desk.answer(thread, "Please update & retry.", html=html)
    (reply,) = await collected(desk.backend, start, thread)
    assert "Please update & retry." in reply.text
    assert "<" not in reply.text
    assert "alert" not in reply.text


async def test_files_of_an_answer_arrive_byte_for_byte(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    file = File("guide.png", "image/png", PICTURE)
    await desk.answer(thread, "See the picture.", files=(file,))
    (reply,) = await collected(desk.backend, start, thread)
    assert await content(desk, reply) == [("guide.png", PICTURE)]


async def test_a_closed_ticket_is_opened_again_by_a_new_message(desk: Desk) -> None:
    thread = fresh()
    first = await desk.backend.deliver(entry(thread))
    try:
        await desk.close_ticket(thread)
    except NotImplementedError:
        return
    assert not await desk.is_open(thread)
    again = await desk.backend.deliver(entry(thread, "Still broken.", ref=first.ref))
    assert again.ref == first.ref
    assert await desk.is_open(thread)


async def test_an_answer_in_a_ticket_that_was_closed_since_is_read(desk: Desk) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    await desk.answer(thread, "Answered and closed.")
    try:
        await desk.close_ticket(thread)
    except NotImplementedError:
        return
    replies = await collected(desk.backend, start, thread)
    assert [reply.text.strip() for reply in replies] == ["Answered and closed."]


async def test_erasing_takes_this_ticket_and_no_other(desk: Desk) -> None:
    thread, other = fresh(), fresh()
    canary, neighbour = f"canary{fresh()}", f"neighbour{fresh()}"
    file = File("log.txt", "text/plain", f"file {canary}\n".encode() * 5000)
    delivered = await desk.backend.deliver(entry(thread, f"text {canary}", files=(file,)))
    await desk.backend.deliver(entry(other, f"text {neighbour}"))
    await desk.answer(thread, f"answer {canary}")
    assert desk.leftovers(canary.encode())
    assert await desk.backend.erase(delivered.ref, thread) is desk.erases
    assert count(await desk.texts(thread), canary) == 0 or desk.erases is not Erased.GONE
    assert count(await desk.texts(other), neighbour) == 1
    if desk.erases is Erased.GONE:
        assert desk.leftovers(canary.encode()) == 0
    assert desk.leftovers(neighbour.encode())
    assert await desk.backend.erase(delivered.ref, thread) is desk.erases


async def test_a_number_that_became_anothers_is_left_alone(desk: Desk) -> None:
    """Some helpdesks give a deleted ticket's number to the next one."""
    thread, other = fresh(), fresh()
    theirs = await desk.backend.deliver(entry(other, "Theirs."))
    await desk.backend.erase(theirs.ref, thread)
    assert count(await desk.texts(other), "Theirs.") == 1
    mine = await desk.backend.deliver(entry(thread, "Mine.", ref=theirs.ref))
    assert mine.ref != theirs.ref
    assert count(await desk.texts(other), "Mine.") == 0


async def _merged(desk: Desk, mine: TicketEntry, theirs: TicketEntry) -> str | None:
    """The number of the ticket of `mine`, merged into that of `theirs`; None where nobody can do that."""
    ref = (await desk.backend.deliver(mine)).ref
    await desk.backend.deliver(theirs)
    await desk.answer(mine.thread, "Written for mine.")
    try:
        await desk.merge(mine.thread, theirs.thread)
    except NotImplementedError:
        return None
    return ref


async def test_an_answer_where_tickets_were_merged_says_whose_it_may_be(desk: Desk) -> None:
    """Nothing else tells the gateway that the agent may have meant the other person."""
    mine, theirs = entry(fresh(), "Mine."), entry(fresh(), "Theirs.")
    start = await position(desk.backend)
    if await _merged(desk, mine, theirs) is None:
        return
    await desk.answer(theirs.thread, "Written after it.")
    found = [reply async for reply in desk.backend.replies(start)]
    for reply in found:
        if "Written for mine." in reply.text:
            assert reply.thread == mine.thread or mine.thread in reply.others
    (after,) = (reply for reply in found if "Written after it." in reply.text)
    assert after.thread == theirs.thread
    assert mine.thread in after.others
    # Nor does the helpdesk's own remark about the merging go out.
    ours = [reply for reply in found if reply.thread in (mine.thread, theirs.thread)]
    assert {reply.text.strip() for reply in ours} == {"Written for mine.", "Written after it."}


async def test_a_message_after_merging_does_not_go_into_the_others_ticket(desk: Desk) -> None:
    mine, theirs = entry(fresh(), "Mine."), entry(fresh(), "Theirs.")
    if (ref := await _merged(desk, mine, theirs)) is None:
        return
    later = await desk.backend.deliver(entry(mine.thread, "More of mine.", ref=ref))
    assert later.fresh
    assert count(await desk.texts(theirs.thread), "More of mine.") == 0
    again = await desk.backend.deliver(entry(mine.thread, "Even more.", ref=later.ref))
    assert again.ref == later.ref


async def test_erasing_a_ticket_that_was_merged_takes_its_own_or_says_that_it_did_not(desk: Desk) -> None:
    canary, neighbour = f"canary{fresh()}", f"neighbour{fresh()}"
    mine, theirs = entry(fresh(), canary), entry(fresh(), neighbour)
    if (ref := await _merged(desk, mine, theirs)) is None:
        return
    outcome = await desk.backend.erase(ref, mine.thread)
    assert outcome is not Erased.GONE or not desk.leftovers(canary.encode())
    assert await desk.backend.erase(ref, mine.thread) is outcome
    assert count(await desk.texts(theirs.thread), neighbour) == 1


async def test_erasing_a_ticket_leaves_what_was_merged_into_it(desk: Desk) -> None:
    canary, neighbour = f"canary{fresh()}", f"neighbour{fresh()}"
    mine, theirs = entry(fresh(), neighbour), entry(fresh(), canary)
    if await _merged(desk, mine, theirs) is None:
        return
    ref = (await desk.backend.deliver(theirs)).ref
    outcome = await desk.backend.erase(ref, theirs.thread)
    assert outcome is not Erased.GONE or not desk.leftovers(canary.encode())
    assert desk.leftovers(neighbour.encode())


__all__ = sorted(name for name in globals() if name.startswith("test_"))  # noqa: PLE0605
