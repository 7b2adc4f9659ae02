"""The ladder against floods that visitors see: waiting room, a word to type, parking."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.portal.bucket import TokenBucket


@pytest.fixture
def crowded(world: World) -> World:
    world.settings = replace(world.settings, burst=100, rate=0.001, form_min_age=0)
    return world


async def crowd(visitor: Visitor, left: float) -> None:
    await visitor.get("/en")
    visitor.site.bucket = TokenBucket(0.001, 100, visitor.world.clock.monotonic())
    visitor.site.spend(100 - left)


async def test_under_load_a_form_is_given_after_a_wait(crowded: World) -> None:
    visitor = Visitor(crowded)
    await crowd(visitor, 20)
    page = await visitor.get("/en/new")
    assert page.title == "Many people are writing just now"
    seconds = int(re.search(r"Wait (\d+) seconds", page.text)[1])
    assert 90 <= seconds <= 120
    place = next(node.get("href") for node in page.tree.iter("a") if "place=" in (node.get("href") or ""))
    crowded.clock.advance(seconds - 5)
    early = await visitor.get(place)
    assert "Wait 5 seconds" in early.text
    assert place in early.response.text
    crowded.clock.advance(5)
    assert (await visitor.get(place)).title == "Write to us"


async def test_a_place_in_line_belongs_to_one_visitor_and_ends(crowded: World) -> None:
    visitor, other = Visitor(crowded), Visitor(crowded)
    for one in (visitor, other):
        await crowd(one, 20)
    page = await visitor.get("/en/new")
    place = re.search(r'/en/new\?place=[^"]+', page.response.text)[0]
    await other.get("/en/new")
    crowded.clock.advance(121)
    assert (await other.get(place)).title != "Write to us"
    for wrong in (
        "/en/new?place=",
        "/en/new?place=0.x.y",
        re.sub(r"place=\d+", "place=10", place),
        place + "0",
    ):
        assert (await visitor.get(wrong)).title != "Write to us"
    crowded.clock.advance(600)
    assert (await visitor.get(place)).title != "Write to us"


async def test_who_has_a_draft_or_a_ticket_does_not_wait(crowded: World) -> None:
    visitor = Visitor(crowded)
    await visitor.open_ticket("Nothing works")
    check = await visitor.write("Nothing works")
    await crowd(visitor, 20)
    assert (await visitor.submit(check.form(), op="change")).title == "Write to us"
    for path in ("/en/ticket", "/en/status", "/en/help", "/en/track"):
        assert (await visitor.get(path)).title != "Many people are writing just now"


async def test_without_load_nobody_waits(crowded: World) -> None:
    visitor = Visitor(crowded)
    await crowd(visitor, 60)
    assert (await visitor.get("/en/new")).title == "Write to us"


async def test_one_of_the_words_is_asked_for_before_sending(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("Nothing works")
    number = int(re.search(r"Type word number (\d)", check.text)[1])
    for wrong in ("", "xxxxx", check.words[number % 8]):
        told = await visitor.submit(check.form().set(challenge=wrong), op="send")
        assert "Nothing was sent yet." in told.text
        assert f"word number {number}" in told.text
    assert world.spool.submissions == {}
    word = check.words[number - 1]
    receipt = await visitor.submit(check.form().set(challenge=f" {word[:3].upper()} "), op="send")
    assert receipt.words == check.words
    reply = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more")
    page = await visitor.submit(reply)
    assert "Type word" not in page.text
    assert (await visitor.submit(page.form(), op="send")).title == "Your ticket"


async def test_a_word_is_asked_for_once_even_if_a_secret_was_unticked(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("password: hunter2hunter2")
    number = int(re.search(r"Type word number (\d)", check.text)[1])
    form = check.form().drop("hide").set(challenge=check.words[number - 1])
    confirm = await visitor.submit(form, op="send")
    assert confirm.title == "Secrets stay hidden"
    assert (await visitor.submit(confirm.form(), op="send-hidden")).words == check.words


async def test_by_default_nothing_is_asked(visitor: Visitor) -> None:
    assert "Type word" not in (await visitor.write("Nothing works")).text


async def test_parking_is_told_before_somebody_writes(world: World) -> None:
    world.parked = True
    assert "may take longer" in (await Visitor(world).get("/en/new")).text
    world.parked = False
    assert "may take longer" not in (await Visitor(world).get("/en/new")).text
