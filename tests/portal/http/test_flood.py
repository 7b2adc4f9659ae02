"""The ladder against floods that visitors see: waiting room, a word to type, parking."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor, asked_word
from veildesk.core.ports import ThreadKeys
from veildesk.core.receipt import WORDS
from veildesk.portal.bucket import TokenBucket
from veildesk.spool import WordsCipher


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


def question_of(page: Page) -> str:
    (label,) = [node for node in page.tree.iter("label") if node.get("for") == "challenge"]
    return " ".join("".join(label.itertext()).split())


def answer_to(page: Page) -> str:
    return asked_word(question_of(page), page.words)


async def test_one_of_the_words_is_asked_for_before_sending(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("Nothing works")
    questions = [question_of(check)]
    assert question_of(await visitor.get("/en/new/check")) == questions[0]
    for number in range(12):
        right = answer_to(check)
        wrong = ("", "xxxxx", next(word for word in check.words if word != right))[number % 3]
        told = await visitor.submit(check.form().set(challenge=wrong), op="send")
        assert "Nothing was sent yet." in told.text
        questions.append(question_of(told))
        # What was asked before counts no more.
        assert right == answer_to(told) or (
            "Nothing was sent yet."
            in (await visitor.submit(told.form().set(challenge=right), op="send")).text
        )
        check = await visitor.get("/en/new/check")
    assert len(set(questions)) > 4
    assert world.spool.submissions == {}
    word = answer_to(check)
    receipt = await visitor.submit(check.form().set(challenge=f" {word[:3].upper()} "), op="send")
    assert receipt.words == check.words
    reply = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more")
    page = await visitor.submit(reply)
    assert 'name="challenge"' not in page.response.text
    assert (await visitor.submit(page.form(), op="send")).title == "Your ticket"


async def test_a_word_is_asked_for_once_even_if_a_secret_was_unticked(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("password: hunter2hunter2")
    form = check.form().drop("hide").set(challenge=answer_to(check))
    confirm = await visitor.submit(form, op="send")
    assert confirm.title == "Secrets stay hidden"
    assert (await visitor.submit(confirm.form(), op="send-hidden")).words == check.words


async def test_by_default_nothing_is_asked(visitor: Visitor) -> None:
    assert 'name="challenge"' not in (await visitor.write("Nothing works")).response.text


async def test_parking_is_told_before_somebody_writes(world: World) -> None:
    world.parked = True
    assert "may take longer" in (await Visitor(world).get("/en/new")).text
    world.parked = False
    assert "may take longer" not in (await Visitor(world).get("/en/new")).text


class Slow:
    """A key derivation that ends when the test says so, and counts how many run at once."""

    def __init__(self, cipher: object) -> None:
        self._cipher, self.running, self.most = cipher, 0, 0
        self.go = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._cipher, name)

    async def derive(self, words: str) -> ThreadKeys:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        self.running -= 1
        return await self._cipher.derive(words)


async def test_a_flood_fills_nothing_beyond_its_bounds_and_nobody_is_locked_out(world: World) -> None:
    limits = {
        "derivations": 4,
        "posts": 24,
        "sessions": 20,
        "session_memory": 60_000,
        "draft_memory": 400_000,
    }
    world.settings = replace(world.settings, burst=10_000, **limits)
    world.cipher = slow = Slow(world.cipher)
    first = Visitor(world)
    form = (await first.get("/en/track")).form("/en/track")
    site = first.site
    seen: Counter[int] = Counter()

    async def one(number: int) -> None:
        visitor = first if number % 3 == 0 else beside(first)
        if number % 2:
            words = " ".join(random.Random(number).sample(WORDS, 8))
            response = await visitor.post(form.set(words=words))
        else:
            fresh = (await visitor.get("/en/new")).form("/en/new").set(message="y" * 3000)
            response = await visitor.post(fresh, [("a.txt", b"z" * 60_000)])
        seen[response.status_code] += 1
        assert len(site.sessions) <= limits["sessions"]
        assert site.sessions.used <= limits["session_memory"]
        assert site.budget.used <= limits["draft_memory"]

    tasks = [asyncio.create_task(one(number)) for number in range(200)]
    while sum(seen.values()) + slow.running < 200:
        assert slow.running <= limits["derivations"]
        assert site.deriving <= limits["derivations"]
        assert not any(task.done() and task.exception() for task in tasks)
        await asyncio.sleep(0)
    slow.go.set()
    await asyncio.gather(*tasks)
    assert slow.most == limits["derivations"]
    assert set(seen) <= {200, 303, 403, 429, 503}
    assert seen[429] > 0
    assert seen[429] + seen[503] > 50
    assert (site.deriving, slow.running) == (0, 0)
    calm = beside(first)
    check = await calm.write("Nothing works")
    assert (await calm.submit(check.form(), op="send")).words == check.words


def beside(other: Visitor) -> Visitor:
    """Another visitor of the same running site."""
    visitor = Visitor(other.world)
    visitor.app = other.app
    visitor.client = visitor._client()
    return visitor


async def test_at_most_two_derivations_run_at_a_time_however_many_are_asked_for() -> None:
    before = set(threading.enumerate())
    cipher = WordsCipher(b"p" * 32, memory_kib=64, iterations=1)
    derived = await asyncio.gather(*(cipher.derive(f"words {number}") for number in range(100)))
    assert len({keys.lookup_id for keys in derived}) == 100
    workers = [one for one in threading.enumerate() if one.name.startswith("veildesk-words")]
    cipher.close()
    assert len(set(workers) - before) <= 2
