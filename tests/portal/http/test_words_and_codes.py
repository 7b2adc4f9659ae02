"""Changing ticket words, and coming back by a spare code."""

from __future__ import annotations

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.spare_code import from_bytes, grouped


async def opened(world: World) -> tuple[Visitor, Page]:
    """A visitor with a ticket, and the receipt."""
    visitor = Visitor(world)
    check = await visitor.write("Nothing works")
    return visitor, await visitor.submit(check.form("/en/new/check"), op="send")


async def entered(world: World, words: list[str]) -> str:
    visitor = Visitor(world)
    page = await visitor.get("/en/track")
    return (await visitor.submit(page.form().set(words=" ".join(words)))).title


async def recovered(world: World, code: str) -> tuple[Visitor, Page]:
    visitor = Visitor(world)
    page = await visitor.get("/en/recover")
    return visitor, await visitor.submit(page.form().set(code=code))


async def test_new_words_open_the_ticket_and_the_old_ones_do_not(world: World) -> None:
    visitor, receipt = await opened(world)
    old = receipt.words
    await world.answer(" ".join(old), "It does now", "signed text")
    page = await visitor.get("/en/ticket/words")
    new = page.words
    assert new != old
    assert await entered(world, old) == "Your ticket"
    changed = await visitor.submit(page.form("/en/ticket/words"))
    assert changed.title == "Your new ticket words"
    assert changed.words == new
    assert changed.codes != receipt.codes
    assert await entered(world, old) == "We could not open a ticket with these words"
    assert await entered(world, new) == "Your ticket"
    ticket = await visitor.get("/en/ticket")
    assert "Nothing works" in ticket.text
    assert "It does now" in ticket.text
    assert (await visitor.client.get("/en/ticket/message/2.asc")).text == "signed text"


async def test_the_same_new_words_are_shown_until_they_count(world: World) -> None:
    visitor, _ = await opened(world)
    first = await visitor.get("/en/ticket/words")
    assert (await visitor.get("/en/ticket/words")).words == first.words
    form = first.form("/en/ticket/words")
    await visitor.submit(form)
    derived = len(world.cipher.derivations)
    assert (await visitor.submit(form)).words == first.words
    assert len(world.cipher.derivations) == derived


async def test_words_that_were_not_offered_are_not_taken(world: World) -> None:
    visitor, receipt = await opened(world)
    form = (await visitor.get("/en/ticket/words")).form("/en/ticket/words")
    offered = form.get("words")
    page = await visitor.submit(form.set(words=" ".join(["acrobat"] * 8)))
    assert " ".join(page.words) == offered
    assert await entered(world, receipt.words) == "Your ticket"


async def test_what_arrives_in_between_changes_nothing(world: World) -> None:
    visitor, receipt = await opened(world)
    world.spool.between = True
    form = (await visitor.get("/en/ticket/words")).form("/en/ticket/words")
    page = await visitor.submit(form)
    assert "Nothing was changed" in page.text
    assert page.words == form.get("words").split()
    assert await entered(world, receipt.words) == "Your ticket"
    world.spool.between = False
    assert (await visitor.submit(page.form("/en/ticket/words"))).title == "Your new ticket words"


async def test_an_entry_that_does_not_open_is_kept(world: World) -> None:
    visitor, receipt = await opened(world)
    keys = await world.cipher.derive(" ".join(receipt.words))
    world.spool.threads[keys.lookup_id].append(b"x" * 40)
    await visitor.submit((await visitor.get("/en/ticket/words")).form("/en/ticket/words"))
    assert "Message 2 cannot be opened" in (await visitor.get("/en/ticket")).text


async def test_a_spare_code_gives_new_words_once(world: World) -> None:
    _, receipt = await opened(world)
    assert len(receipt.codes) == 2
    visitor, page = await recovered(world, receipt.codes[0].lower().replace("-", " "))
    assert page.title == "New ticket words"
    assert "Your spare code opened the ticket" in page.text
    # Until the new words count, words and codes are what they were.
    assert await entered(world, receipt.words) == "Your ticket"
    assert (await recovered(world, receipt.codes[1]))[1].title == "New ticket words"
    changed = await visitor.submit(page.form("/en/ticket/words"))
    assert await entered(world, changed.words) == "Your ticket"
    assert await entered(world, receipt.words) != "Your ticket"
    for code in receipt.codes:
        assert (await recovered(world, code))[1].title == "We could not open a ticket with this code"
    assert (await recovered(world, changed.codes[1]))[1].title == "New ticket words"


async def test_unknown_used_and_deleted_codes_give_the_same_bytes(world: World) -> None:
    visitor, receipt = await opened(world)
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete")
    await visitor.submit(form.set(sure="yes"))
    answers = []
    world.cipher.derivations.clear()
    for code in (receipt.codes[0], grouped(from_bytes(b"?" * 13))):
        fresh = Visitor(world)
        response = await fresh.post((await fresh.get("/en/recover")).form().set(code=code))
        page = await fresh.client.get(response.headers["location"])
        answers.append((dict(response.headers), response.content, dict(page.headers), page.content))
    assert answers[0] == answers[1]
    assert world.cipher.derivations == []


async def test_what_cannot_be_a_code_is_told_with_what_was_typed(visitor: Visitor) -> None:
    page = await visitor.submit((await visitor.get("/en/recover")).form().set(code="7KQ2-M0XD"))
    assert "twenty letters and digits" in page.text
    assert page.form().get("code") == "7KQ2-M0XD"


async def test_without_cookies_a_code_is_given_back(world: World) -> None:
    _, receipt = await opened(world)
    visitor = Visitor(world, cookies=False)
    response = await visitor.post((await visitor.get("/en/recover")).form().set(code=receipt.codes[0]))
    assert response.status_code == 403
    assert Page(response).form("/en/recover").get("code") == receipt.codes[0]


async def test_a_message_with_a_spare_code_is_not_sent(world: World) -> None:
    visitor, receipt = await opened(world)
    form = (await visitor.get("/en/ticket")).form("/en/ticket/reply")
    page = await visitor.submit(form.set(message=f"my code: {receipt.codes[1].lower()}"))
    assert "Take them out" in page.text


async def test_the_ticket_shows_words_and_codes_while_the_session_lasts(world: World) -> None:
    visitor, receipt = await opened(world)
    ticket = await visitor.get("/en/ticket")
    assert (ticket.words, ticket.codes) == (receipt.words, receipt.codes)
    by_code, _ = await recovered(world, receipt.codes[0])
    ticket = await by_code.get("/en/ticket")
    assert (ticket.words, ticket.codes) == ([], [])


@pytest.mark.parametrize("path", ["/en/ticket/words", "/en/ticket/proof", "/en/ticket/feedback"])
async def test_nothing_of_a_ticket_without_one(visitor: Visitor, path: str) -> None:
    assert (await visitor.get(path)).status == 410
