"""Where people stumble: going back, staying away too long, the wrong key, a broken part. Nothing they wrote
is lost, nothing is said that is not so, and every page tells what to do next."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor, asked_word
from veildesk.core.errors import SpoolUnavailable
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.portal import labels


async def test_going_back_after_sending_leads_to_what_was_sent(visitor: Visitor) -> None:
    await visitor.open_ticket("it broke")
    for path in ("/en/new/check", "/en/new/confirm"):
        back = await visitor.client.get(path)
        assert (back.status_code, back.headers["location"]) == (303, "/en/receipt")
    reply = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more")
    await visitor.submit((await visitor.submit(reply)).form(), op="send")
    assert (await visitor.client.get("/en/new/check")).headers["location"] == "/en/ticket"


async def test_a_draft_that_was_discarded_later_is_not_taken_for_sent(visitor: Visitor) -> None:
    await visitor.open_ticket("it broke")
    check = await visitor.write("something else")
    await visitor.submit(check.form(), op="discard")
    back = await visitor.get("/en/new/check")
    assert (back.status, back.title) == (410, "There is no message to send here")


async def outlasted(visitor: Visitor, world: World, *, checked: bool = False) -> tuple[str, Page]:
    """Ticket words, and the page after a further message that took longer than the session."""
    words = await visitor.open_ticket("it broke")
    form = (await visitor.get("/en/ticket")).form("/en/ticket/reply")
    form.set(message="a long story\nof two lines", own_words="Anna")
    if checked:
        form = (await visitor.submit(form)).form()
    world.clock.advance(3 * 3600)
    return words, await visitor.submit(form, op="send" if checked else "")


@pytest.mark.parametrize("checked", [False, True])
async def test_a_message_that_outlasts_the_session_goes_along_into_the_ticket(
    visitor: Visitor, world: World, checked: bool
) -> None:
    words, page = await outlasted(visitor, world, checked=checked)
    assert page.title == "Open your ticket again"
    ticket = await visitor.submit(page.form("/en/ticket/reopen").set(words=words))
    assert ticket.title == "Your ticket"
    form = ticket.form("/en/ticket/reply")
    assert form.get("message") == "a long story\nof two lines"
    assert form.get("own_words") == "Anna"
    assert len(world.spool.submissions) == 1
    await visitor.submit((await visitor.submit(form)).form(), op="send")
    assert len(world.spool.submissions) == 2
    assert decode_portal_entry([*world.spool.submissions.values()][-1].payload).text.startswith("a long")


async def test_wrong_words_cost_the_text_nothing(visitor: Visitor, world: World) -> None:
    words, page = await outlasted(visitor, world)
    for typed, said in (
        ("aardvark", "You entered 1."),
        ("zzzzzzz " * 8, "Word 1 is not on our list."),
        (" ".join(reversed(words.split())), "With these words nothing opens"),
    ):
        page = await visitor.submit(page.form("/en/ticket/reopen").set(words=typed))
        assert (page.status, page.title) == (200, "Open your ticket again")
        assert said in page.text
        form = page.form("/en/ticket/reopen")
        assert (form.get("message"), form.get("words")) == ("a long story\nof two lines", typed.rstrip("\n"))
    assert (await visitor.submit(form.set(words=words))).title == "Your ticket"


async def test_unknown_and_deleted_words_look_the_same_when_reopening(visitor: Visitor, world: World) -> None:
    words, page = await outlasted(visitor, world)
    form = page.form("/en/ticket/reopen")
    unknown = await visitor.submit(form.set(words=" ".join(reversed(words.split()))))
    world.spool.threads.clear()
    deleted = await visitor.submit(form.set(words=words))
    same = [
        answer.response.text.replace(typed, "")
        for answer, typed in ((unknown, " ".join(reversed(words.split()))), (deleted, words))
    ]
    assert same[0] == same[1]


async def test_a_reply_that_had_arrived_is_not_sent_again_by_reopening(
    visitor: Visitor, world: World
) -> None:
    words = await visitor.open_ticket("it broke")
    reply = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more")
    check = (await visitor.submit(reply)).form()
    await visitor.submit(check, op="send")
    visitor.restart()
    page = await visitor.submit(check, op="send")
    ticket = await visitor.submit(page.form("/en/ticket/reopen").set(words=words))
    assert "Your message was sent." in ticket.text
    assert ticket.form("/en/ticket/reply").get("message") == ""
    assert len(world.spool.submissions) == 2


async def test_a_check_page_that_is_too_old_says_that_the_words_change(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write("it broke")
    world.clock.advance(25 * 3600)
    page = Page(await visitor.post(check.form(), op="send"))
    assert page.status == 403
    assert "note the new ticket words" in page.text
    assert page.form("/en/new").get("message") == "it broke"
    assert world.spool.attempts == 0


async def test_the_enter_key_sends_nothing(visitor: Visitor, world: World) -> None:
    check = await visitor.write("anna@posteo.net, password: hunter2hunter2, eve@posteo.net")
    form = check.form("/en/new/check")
    assert form.buttons[0] == ("op", "update")
    assert (await visitor.submit(form, op=form.buttons[0][1])).title == "Check before you send"
    confirm = await visitor.submit(form.drop("hide"), op="send")
    assert confirm.title == "Secrets stay hidden"
    assert confirm.form().buttons[0] == ("op", "update")
    assert world.spool.attempts == 0


async def test_the_enter_key_answers_the_question(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("it broke")
    wrong = await visitor.submit(check.form().set(challenge="zebra-crossing"), op="update")
    assert "Type the word that is asked for" in wrong.text
    question = next(
        "".join(node.itertext()) for node in wrong.tree.iter("label") if node.get("for") == "challenge"
    )
    form = wrong.form().set(challenge=asked_word(question, check.words))
    right = await visitor.submit(form, op="update")
    assert 'id="challenge"' not in right.response.text
    assert (await visitor.submit(right.form(), op="send")).title == "We have your message"


async def test_an_empty_file_is_told_and_not_left_out_silently(visitor: Visitor, world: World) -> None:
    check = await visitor.write("see file", files=[("notes.txt", b"")])
    assert "notes.txt, 0 B Will not be sent: The file is empty." in check.text
    change = await visitor.submit(check.form(), op="change")
    assert "Files you already added" not in change.text
    await visitor.submit((await visitor.submit(change.form("/en/new"))).form(), op="send")
    assert decode_portal_entry(world.spool.only.payload).attachments == ()


async def test_a_part_that_does_not_answer_says_how_to_keep_what_is_written(
    visitor: Visitor, world: World
) -> None:
    words = await visitor.open_ticket("it broke")

    async def broken(lookup_id: bytes) -> None:
        raise SpoolUnavailable("away")

    form = (await visitor.get("/en/track")).form().set(words=words)
    world.spool.thread = broken  # type: ignore[method-assign]
    posted = Page(await visitor.post(form))
    assert (posted.status, posted.title) == (503, "This does not work just now")
    assert "reload this page" in posted.text
    read = await visitor.get("/en/ticket")
    assert read.status == 503
    assert "reload this page" not in read.text


def test_no_advice_to_go_back_where_going_back_loses_what_is_written() -> None:
    for title, advice in labels.ERRORS.values():
        assert "go back" not in (title + advice).lower()


async def test_a_text_that_waits_for_its_words_can_be_gone_back_to(visitor: Visitor, world: World) -> None:
    words, page = await outlasted(visitor, world)
    wrong = await visitor.post(page.form("/en/ticket/reopen").set(words="aardvark"))
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/en/ticket/reopen#problems")
    await visitor.submit((await visitor.get("/en/track")).form().set(words=words))
    page = await visitor.get("/en/ticket/reopen")  # the ticket was opened the other way: the text still waits
    assert (page.status, page.title) == (200, "Open your ticket again")
    ticket = await visitor.submit(page.form("/en/ticket/reopen").set(words=words))
    assert ticket.form("/en/ticket/reply").get("message") == "a long story\nof two lines"
    back = await visitor.client.get("/en/ticket/reopen")  # and never says that no ticket is open
    assert (back.status_code, back.headers["location"]) == (303, "/en/ticket")
    await visitor.client.post("/en/leave")
    assert (await visitor.get("/en/ticket/reopen")).status == 410


async def test_a_text_whose_form_is_not_known_stays_in_the_page_alone(visitor: Visitor, world: World) -> None:
    await visitor.open_ticket("it broke")
    form = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more", token="0.0")
    page = Page(await visitor.post(form))
    assert (page.status, page.form("/en/ticket/reopen").get("message")) == (403, "more")
    assert "reopen" not in visitor.site.sessions.load(_id(visitor), visitor.site.now).data


def _id(visitor: Visitor) -> bytes:
    return base64.urlsafe_b64decode(visitor.client.cookies["visit"] + "=")


async def test_an_error_page_is_not_called_the_first_page(visitor: Visitor) -> None:
    page = await visitor.get("/en/nothing")
    assert [node for node in page.tree.iter("a") if node.get("aria-current")] == []
