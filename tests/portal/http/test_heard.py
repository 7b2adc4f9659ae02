"""What a screen reader makes of a page, beyond what axe looks at: the order of headings, what a problem is
tied to, where the reading goes on after one, and the language of what is written in another one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.errors import SpoolUnavailable
from veildesk.core.notice import IncidentState
from veildesk.core.ticket import File

PLACES = ("", "/help", "/help/answers", "/new", "/track", "/recover", "/erasure", "/new/report", "/status")
MORE = ("/status/1", "/status/history", "/verify", "/privacy", "/leave", "/nothing", "/discarded")
INSIDE = ("/receipt", "/ticket", "/ticket/words", "/ticket/proof", "/ticket/feedback", "/ticket/delete")


async def test_headings_begin_with_one_and_leave_none_out(world: World) -> None:
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    world.notices.add_everything()
    visitor = Visitor(world)
    words = await visitor.open_ticket("Nothing works")
    await world.answer(words, "It does now", "signed", File("steps.txt", "text/plain", b"x" * 3000))
    pages = [await visitor.get(f"/en{path}") for path in (*PLACES, *MORE, *INSIDE)]
    pages.append(await visitor.write("anna@posteo.net", files=[("a.txt", b"t"), ("b.txt", b"")]))
    for page in pages:
        levels = [int(node.tag[1]) for node in page.tree.iter() if node.tag in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1, page.title
        assert all(after <= before + 1 for before, after in pairwise(levels))
        for landmark in ("header", "nav", "main", "footer"):
            assert len(list(page.tree.iter(landmark))) == 1, (page.title, landmark)
        names = [
            " ".join("".join(node.itertext()).split())
            for node in page.tree.iter()
            if node.tag in ("a", "button")
        ]
        assert all(names), page.title


def tied(page: Page, field: str) -> str:
    """What is read out with a field that has a problem."""
    by_id: dict[str, Any] = {node.get("id"): node for node in page.tree.iter() if node.get("id")}
    assert by_id[field].get("aria-invalid") == "true", field
    described = by_id[field].get("aria-describedby").split()
    return " ".join("".join(by_id[name].itertext()) for name in described)


def told(page: Page) -> None:
    """The title says it first, and the list of problems can be gone to."""
    title = "".join(page.tree.find(".//title").itertext())
    assert title.startswith("Not done yet: ")
    (summary,) = [node for node in page.tree.iter() if node.get("id") == "problems"]
    assert (summary.get("role"), summary.get("tabindex")) == ("alert", "-1")
    ids = {node.get("id") for node in page.tree.iter()}
    for node in summary.iter("a"):
        assert node.get("href").removeprefix("#") in ids


async def test_problems_of_a_message_are_tied_to_their_fields(world: World) -> None:
    visitor = Visitor(world)
    form = (await visitor.get("/en/new")).form().set(topic="nonsense", own_words="x", website="x")
    response = await visitor.post(form)
    assert response.headers["location"] == "/en/new#problems"
    page = await visitor.get("/en/new")
    told(page)
    for field, said in (
        ("message", "The message is empty."),
        ("topic", "Choose a topic."),
        ("own_words", "too many own words"),
    ):
        assert said in tied(page, field)
    visitor = Visitor(world)
    await visitor.open_ticket("fine")
    reply = await visitor.post((await visitor.get("/en/ticket")).form("/en/ticket/reply"))
    assert reply.headers["location"] == "/en/ticket#problems"
    page = await visitor.get("/en/ticket")
    told(page)
    assert "The message is empty." in tied(page, "message")


@pytest.mark.parametrize(
    ("path", "field", "typed", "said"),
    [
        ("/track", "words", "aardvark", "You entered 1."),
        ("/recover", "code", "7KQ2", "twenty letters"),
        ("/new/report", "report", "", "nothing in it"),
    ],
)
async def test_problems_of_one_field_are_tied_to_it(
    visitor: Visitor, path: str, field: str, typed: str, said: str
) -> None:
    response = await visitor.post((await visitor.get(f"/en{path}")).form().set(**{field: typed}))
    assert response.headers["location"] == f"/en{path}#problems"
    page = await visitor.get(f"/en{path}")
    told(page)
    assert said in tied(page, field)


async def test_problems_of_the_check_page_lead_to_something(world: World) -> None:
    world.settings = replace(world.settings, challenge=True)
    visitor = Visitor(world)
    check = await visitor.write("anna@posteo.net")
    page = await visitor.submit(check.form().set(own_words="x"), op="send")
    told(page)
    assert "asked for" in tied(page, "challenge")
    assert "too many own words" in tied(page, "own_words")

    async def full(submission: object) -> None:
        raise SpoolUnavailable("full")

    world.settings = replace(world.settings, challenge=False)
    visitor = Visitor(world)
    check = await visitor.write("anna@posteo.net")
    world.spool.accept = full  # type: ignore[assignment, method-assign]
    page = await visitor.submit(check.form(), op="send")
    assert "We cannot keep anything safely" in page.text
    told(page)


async def test_deleting_without_the_tick_is_told_at_the_box(visitor: Visitor) -> None:
    await visitor.open_ticket("fine")
    response = await visitor.post((await visitor.get("/en/ticket/delete")).form())
    assert response.headers["location"] == "/en/ticket/delete#problems"
    page = await visitor.get("/en/ticket/delete")
    told(page)
    (box,) = [node for node in page.tree.iter("input") if node.get("id") == "sure"]
    assert box.get("aria-describedby") == "problems"


async def test_a_notice_in_another_language_is_marked(world: World) -> None:
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    visitor = Visitor(world)
    for path in ("", "/status", "/status/1", "/status/history"):
        for language, marked in (("ru", {"en"}), ("en", {None, "en"})):
            page = await visitor.get(f"/{language}{path}")
            nodes = [
                node
                for node in page.tree.iter()
                if node.tag != "title" and (node.text or "").strip() == "Mail is late"
            ]
            assert nodes, path
            assert {node.get("lang") for node in nodes} <= marked, (path, language)
