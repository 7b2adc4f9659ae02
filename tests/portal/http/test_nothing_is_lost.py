"""What somebody wrote survives what goes wrong, and every step may be done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.errors import AcceptanceUnknown, SpoolUnavailable
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.ports import Cleaned
from veildesk.core.submission import Accepted, Submission
from veildesk.core.ticket import Deletion, Erased

TEXT = "A long letter that took an hour to write."


@pytest.fixture
def small(world: World) -> Visitor:
    world.settings = replace(
        world.settings, files=2, file_size=1000, upload_size=1500, text_size=2000, burst=1000
    )
    return Visitor(world)


def written(page: Page) -> str:
    return next(
        "".join(node.itertext()) for node in page.tree.iter("textarea") if node.get("id") == "message"
    )


@pytest.mark.parametrize(
    "files",
    [
        [("a", b"x" * 1001)],
        [("a", b"x" * 800), ("b", b"x" * 800)],
        [("a", b"x"), ("b", b"x"), ("c", b"x")],
        [("a", b"x" * 5_000_000)],
    ],
)
async def test_files_that_are_too_large_cost_no_text_and_no_earlier_file(
    small: Visitor, files: list[tuple[str, bytes]]
) -> None:
    check = await small.write("first", [("kept.txt", b"x" * 10)])
    compose = await small.submit(check.form(), op="change")
    form = compose.form("/en/new").set(
        message=TEXT, steps="Press the button", own_words="karl", topic="payment"
    )
    told = await small.submit(form, files)
    assert "choose fewer or smaller files" in told.text
    assert TEXT in written(told)
    assert "Keep kept.txt" in told.text
    again = told.form("/en/new")
    assert (again.get("steps"), again.get("own_words").strip(), again.get("topic")) == (
        "Press the button",
        "karl",
        "payment",
    )
    assert TEXT in written(await small.get("/en/new"))
    sent = await small.submit(again)
    assert "kept.txt" in sent.text
    assert (await small.submit(sent.form(), op="send")).title == "We have your message"
    assert small.site.budget.used == 0


async def test_a_body_far_too_long_is_read_to_its_first_file_only(small: Visitor) -> None:
    form = (await small.get("/en/new")).form("/en/new").set(message=TEXT)
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for name, value in form.fields:
            yield f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        while read < 40:
            read += 1
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(40 * 1024 * 1024)}
    answer = await small.client.post("/en/new", content=body(), headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/new#problems")
    told = await small.get("/en/new")
    assert "choose fewer or smaller files" in told.text
    assert TEXT in written(told)
    assert read <= 1


async def test_a_further_message_is_not_lost_to_its_files(small: Visitor) -> None:
    await small.open_ticket("Nothing works")
    form = (await small.get("/en/ticket")).form("/en/ticket/reply").set(message=TEXT)
    told = await small.submit(form, [("a", b"x" * 1001)])
    assert "choose fewer or smaller files" in told.text
    assert TEXT in written(told)
    check = await small.submit(told.form("/en/ticket/reply"))
    assert (await small.submit(check.form(), op="send")).title == "Your ticket"


async def test_no_room_for_files_costs_no_text(world: World) -> None:
    world.settings = replace(world.settings, draft_memory=500)
    visitor = Visitor(world)
    form = (await visitor.get("/en/new")).form("/en/new").set(message=TEXT)
    told = await visitor.submit(form, [("a", b"x" * 1001)])
    assert "There is no room for files just now." in told.text
    assert TEXT in written(told)
    assert visitor.site.budget.used == 0


async def test_an_old_form_with_files_says_that_they_must_be_added_again(visitor: Visitor) -> None:
    form = (await visitor.get("/en/new")).form("/en/new").set(message=TEXT, token="0.0")
    told = Page(await visitor.post(form, [("a", b"x")]))
    assert "add the files again" in told.text
    assert TEXT in written(told)


async def test_a_full_store_is_told_on_the_check_page_and_keeps_choices(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write("mail anna@posteo.net please")
    world.spool.full = True
    told = await visitor.submit(check.form().drop("hide"), op="send")
    assert "Nothing was sent and nothing is lost" in told.text
    assert told.words == check.words
    assert "anna@posteo.net" in "".join(told.tree.find(".//div[@id='as-agents-get-it']").itertext())
    world.spool.full = False
    assert (await visitor.submit(told.form(), op="send")).words == check.words


async def test_deleting_twice_is_deleting_once(world: World) -> None:
    world.spool.outcome = Erased.REQUESTED
    visitor = Visitor(world)
    await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    answers = await asyncio.gather(*(visitor.post(form) for _ in range(3)))
    assert {answer.headers["location"] for answer in answers} == {"/en/ticket/deleted"}
    assert (await visitor.post(form)).headers["location"] == "/en/ticket/deleted"
    assert len(world.spool.erased) == 1
    assert "deletion was asked for but is not confirmed yet" in (await visitor.get("/en/ticket/deleted")).text


async def test_deleting_after_the_session_ended_says_that_nothing_was_deleted(world: World) -> None:
    visitor = Visitor(world)
    await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    visitor.restart()
    told = Page(await visitor.post(form))
    assert "Nothing was deleted by this page." in told.text
    assert world.spool.erased == []


async def test_new_words_after_a_restart_are_not_called_in_force(world: World) -> None:
    visitor = Visitor(world)
    words = await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/words")).form("/en/ticket/words")
    visitor.restart()
    told = Page(await visitor.post(form))
    assert told.title == "Keep both: old and new ticket words"
    track = (await visitor.get("/en/track")).form("/en/track").set(words=words)
    assert (await visitor.submit(track)).title == "Your ticket"


async def test_discarding_twice_shows_nothing_again(visitor: Visitor, world: World) -> None:
    check = await visitor.write(TEXT)
    form = check.form()
    assert (await visitor.submit(form, op="discard")).title == (
        await visitor.submit(form, op="discard")
    ).title
    assert world.cipher.derivations == []
    assert TEXT not in (await visitor.get("/en/new")).response.text


async def test_the_lines_of_a_report_taken_twice_are_in_the_message_once(visitor: Visitor) -> None:
    page = await visitor.get("/en/new/report")
    lines = await visitor.submit(page.form("/en/new/report").set(report="Version: 4.2\nError: none"))
    form = lines.form("/en/new/report/lines")
    for _ in range(2):
        message = written(await visitor.submit(form))
        assert message.count("Version: 4.2") == 1


async def test_a_report_that_is_too_long_is_given_back_whole(world: World) -> None:
    world.settings = replace(world.settings, text_size=1000)
    visitor = Visitor(world)
    report = "line of a report\n" * 80
    page = await visitor.get("/en/new/report")
    told = await visitor.submit(page.form("/en/new/report").set(report=report))
    assert told.response.text.count("line of a report") == 80
    assert 'role="alert"' in told.response.text


async def test_new_words_and_a_disk_that_fails_leave_both(visitor: Visitor, world: World) -> None:
    await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/words")).form("/en/ticket/words")

    async def failing(*_: object) -> bool:
        raise SpoolUnavailable("io-error")

    world.spool.reword = failing  # type: ignore[method-assign]
    told = Page(await visitor.post(form))
    assert (told.status, told.title) == (503, "Keep both: old and new ticket words")


async def test_a_deletion_that_did_not_end_is_not_called_done(visitor: Visitor, world: World) -> None:
    await visitor.open_ticket("Nothing works")
    erase = world.spool.erase
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")

    async def failing(_: bytes) -> Deletion:
        raise SpoolUnavailable("log-in-use")

    visitor.site.ports = replace(visitor.site.ports, erase=failing)
    told = await visitor.submit(form)
    assert "Deleting did not come to its end." in told.text
    visitor.site.ports = replace(visitor.site.ports, erase=erase)
    assert (await visitor.submit(told.form("/en/ticket/delete").set(sure="yes"))).title == "Deleted"


async def test_a_cleaner_that_breaks_costs_no_text(visitor: Visitor) -> None:
    form = (await visitor.get("/en/new")).form("/en/new").set(message=TEXT)

    class Broken:
        async def clean(self, *_: object) -> Cleaned:
            raise RuntimeError("cleaner")

    visitor.site.ports = replace(visitor.site.ports, cleaner=Broken())
    assert (await visitor.post(form, [("a.txt", b"x")])).status_code == 500
    assert TEXT in written(await visitor.get("/en/new"))
    assert visitor.site.budget.used == 0


class LostAnswers:
    """Keeps a message and is not heard, as often as is said."""

    def __init__(self, world: World, times: int) -> None:
        self.spool, self.left = world.spool, times

    async def accept(self, submission: Submission) -> Accepted:
        accepted = await self.spool.accept(submission)
        self.left -= 1
        if self.left >= 0:
            raise AcceptanceUnknown("test")
        return accepted


def losing(visitor: Visitor, world: World, times: int = 1) -> None:
    visitor.site.ports = replace(visitor.site.ports, intake=LostAnswers(world, times))


async def test_what_may_have_arrived_is_not_called_unsent_and_comes_once(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write(TEXT)
    losing(visitor, world, 2)
    told = await visitor.submit(check.form(), op="send")
    assert "could not find out whether your message arrived" in told.text
    world.spool.full = True
    told = await visitor.submit(told.form(), op="send")
    assert "could not find out whether your message arrived" in told.text
    assert "Nothing was sent" not in told.text
    world.spool.full = False
    told = await visitor.submit(told.form(), op="send")
    receipt = await visitor.submit(told.form(), op="send")
    assert receipt.words == check.words
    assert len(world.spool.submissions) == 1


async def test_what_was_changed_since_is_not_taken_for_what_may_have_arrived(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write("first version")
    losing(visitor, world)
    told = await visitor.submit(check.form(), op="send")
    compose = await visitor.submit(told.form(), op="change")
    check = await visitor.submit(compose.form("/en/new").set(message="second version"))
    await visitor.submit(check.form(), op="send")
    texts = [decode_portal_entry(one.payload).text for one in world.spool.submissions.values()]
    assert texts == ["first version", "second version"]
    assert len(world.spool.threads) == 1


async def test_discarding_what_may_have_arrived_says_so(visitor: Visitor, world: World) -> None:
    check = await visitor.write(TEXT)
    losing(visitor, world)
    told = await visitor.submit(check.form(), op="send")
    page = await visitor.submit(told.form(), op="discard")
    assert "It may have arrived" in page.text
    assert "Nothing was sent" not in page.text
    page = await visitor.submit((await visitor.write(TEXT)).form(), op="discard")
    assert "Nothing was sent" in page.text
