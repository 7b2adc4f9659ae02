"""Opening a ticket: what wrong words cost, what they show, and life without cookies."""

from __future__ import annotations

import pytest

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.core.receipt import WORDS

MISSING = " ".join(WORDS[:8])


async def enter(visitor: Visitor, words: str):
    page = await visitor.get("/en/track")
    return await visitor.post(page.form().set(words=words))


async def test_unknown_and_deleted_words_give_the_same_bytes_for_one_derivation_each(world: World) -> None:
    visitor = Visitor(world)
    words = await visitor.open_ticket("Nothing works")
    ticket = await visitor.get("/en/ticket/delete")
    await visitor.submit(ticket.form("/en/ticket/delete").set(sure="yes"))

    answers = []
    for tried in (words, MISSING):
        fresh = Visitor(world)
        world.cipher.derivations.clear()
        response = await enter(fresh, tried)
        assert world.cipher.derivations == [tried]
        assert response.status_code == 303
        page = await fresh.client.get(response.headers["location"])
        location = response.headers["location"]
        answers.append((location, response.content, dict(response.headers), page.content, dict(page.headers)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("xxxx " + MISSING[9:], "Word 1 is not on our list"),
        (" ".join([*MISSING.split()[:4], "qqqq", *MISSING.split()[5:]]), "Word 5 is not on our list"),
        (" ".join(MISSING.split()[:7]), "You entered 7"),
        (MISSING + " again", "You entered 9"),
        ("", "You entered 0"),
    ],
)
async def test_words_that_cannot_be_right_cost_no_derivation(
    visitor: Visitor, world: World, typed: str, told: str
) -> None:
    response = await enter(visitor, typed)
    page = await visitor.get(response.headers["location"])
    assert told in page.text
    assert page.form().get("words") == typed
    assert world.cipher.derivations == []
    assert told not in (await visitor.get("/en/track")).text


async def test_without_cookies_a_ticket_can_be_read(world: World) -> None:
    words = await Visitor(world).open_ticket("Nothing works for alice@posteo.net")
    await world.answer(words, "It does now", "-----BEGIN PGP SIGNED MESSAGE-----\nexact\n")
    visitor = Visitor(world, cookies=False)
    world.cipher.derivations.clear()
    response = await enter(visitor, words)
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert "It does now" in response.text
    assert "-----BEGIN PGP SIGNED MESSAGE-----\nexact" in response.text
    assert "/ticket/reply" not in response.text
    assert len(world.cipher.derivations) == 1


async def test_without_cookies_unknown_words_show_the_same_page(world: World) -> None:
    with_cookies = await (Visitor(world)).client.get("/en/track/unknown")
    response = await enter(Visitor(world, cookies=False), MISSING)
    assert (response.status_code, response.content) == (200, with_cookies.content)


async def test_without_cookies_a_new_message_is_given_back(world: World) -> None:
    visitor = Visitor(world, cookies=False)
    page = await visitor.get("/en/new")
    response = await visitor.post(page.form().set(message="my long story"))
    assert response.status_code == 403
    assert "my long story" in response.text


async def test_opening_a_ticket_moves_to_a_new_session_id(world: World) -> None:
    words = await Visitor(world).open_ticket("Nothing works")
    visitor = Visitor(world)
    before = (await visitor.get("/en/track")).response.headers["set-cookie"]
    response = await visitor.post((await visitor.get("/en/track")).form().set(words=words))
    assert response.headers["set-cookie"] != before


async def test_an_entry_that_does_not_open_is_told(world: World, visitor: Visitor) -> None:
    words = await visitor.open_ticket("Nothing works")
    keys = await world.cipher.derive(words)
    world.spool.threads[keys.lookup_id].append(b"x" * 40)
    page = await visitor.get("/en/ticket")
    assert "Message 2 cannot be opened" in page.text


async def test_reply_when_the_ticket_was_deleted_elsewhere(world: World, visitor: Visitor) -> None:
    await visitor.open_ticket("Nothing works")
    page = await visitor.get("/en/ticket")
    check = await visitor.submit(page.form("/en/ticket/reply").set(message="more"))
    world.spool.threads.clear()
    response = await visitor.post(check.form(), op="send")
    assert response.status_code == 410
    assert len(world.spool.submissions) == 1


@pytest.mark.parametrize("outcome", ["gone", "requested", "unsupported"])
async def test_delete_says_what_remains(world: World, visitor: Visitor, outcome: str) -> None:
    from veildesk.core.ticket import Erased

    world.spool.outcome = Erased(outcome)
    await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete")
    page = await visitor.submit(form)
    assert "Nothing was deleted." in page.text
    assert world.spool.erased == []
    page = await visitor.submit(form.set(sure="yes"))
    told = {"gone": "nothing is left", "requested": "not confirmed yet", "unsupported": "A copy remains"}[
        outcome
    ]
    assert told in page.text
    assert "abcdefghij234567" in page.text
    assert len(world.spool.erased) == 1
    assert (await visitor.get("/en/ticket")).status == 410
    assert (await visitor.get("/en/receipt")).status == 410


async def test_a_ticket_under_a_hold_is_not_called_deleted(world: World, visitor: Visitor) -> None:
    from veildesk.core.ticket import Erased

    world.spool.outcome = Erased.KEPT
    words = await visitor.open_ticket("Nothing works")
    form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete")
    page = await visitor.submit(form.set(sure="yes"))
    assert "Nothing was deleted. The law obliges" in page.text
    assert "2030-12-31" in page.text
    assert "key was destroyed" not in page.text
    assert words


async def test_export_is_the_whole_thread(world: World, visitor: Visitor) -> None:
    words = await visitor.open_ticket("Nothing works")
    await world.answer(words, "It does now", "signed text")
    response = await visitor.client.get("/en/ticket/export")
    body = response.json()
    assert [(entry["from"], entry["text"]) for entry in body["entries"]] == [
        ("user", "Nothing works"),
        ("support", "It does now"),
    ]
    assert body["entries"][1]["signed"] == "signed text"
    assert body["kept_until"] == "2026-12-13"
    assert "attachment" in response.headers["content-disposition"]
