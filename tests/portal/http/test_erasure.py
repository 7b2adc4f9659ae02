"""What became of a deletion: by its code alone, the same page for every code that leads nowhere."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.ticket import Erasure

CODE = "abcdefgh23456789"
ASKED = Erasure("gone", "gone", "", True, 1, 20_000)


@pytest.fixture
def known(world: World) -> dict[str, Erasure]:
    return world.deletions


async def ask(visitor: Visitor, code: str, path: str = "erasure") -> httpx.Response:
    form = (await visitor.get("/en/erasure")).form("/en/erasure").set(code=code)
    form.action = f"/en/{path}"
    return await visitor.post(form)


async def show(visitor: Visitor, code: str, path: str = "erasure") -> str:
    answer = await ask(visitor, code, path)
    return (await visitor.get(answer.headers["location"])).text if answer.is_redirect else Page(answer).text


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (ASKED, ["nothing is left"]),
        (
            replace(ASKED, helpdesk="requested", why="host-command-needed"),
            ["access to its server", "2024-11-03"],
        ),
        (replace(ASKED, helpdesk="open", why="backend-unavailable"), ["has not answered yet"]),
        (replace(ASKED, helpdesk="unsupported", why="cannot-delete"), ["Refused", "A copy remains"]),
        (replace(ASKED, mailbox="open"), ["mailbox of our address", "has not answered yet"]),
    ],
    ids=["gone", "host", "silent", "refused", "mailbox"],
)
async def test_each_copy_is_told_truly(
    world: World, known: dict[str, Erasure], job: Erasure, says: list[str]
) -> None:
    known[CODE] = job
    text = await show(Visitor(world), " ABCD-EFGH 2345-6789 ")
    for words in ("2024-10-04", "key was destroyed", *says):
        assert words in text


async def test_codes_that_lead_nowhere_look_the_same(world: World, known: dict[str, Erasure]) -> None:
    known[CODE] = ASKED
    visitor = Visitor(world)
    pages = {await show(visitor, code) for code in ("zzzzzzzz23456789", "", "<b>", "a" * 60, "ticket words")}
    assert len(pages) == 1
    assert "There is no deletion with this code" in pages.pop()


async def test_a_receipt_is_made_only_for_who_presses_for_it(world: World, known: dict[str, Erasure]) -> None:
    known[CODE] = replace(ASKED, helpdesk="requested", why="host-command-needed")
    visitor = Visitor(world)
    text = await show(visitor, CODE)
    assert "BEGIN PGP" not in text
    assert "sees that you had a ticket here" in text
    receipt = await ask(visitor, CODE, "erasure/receipt")
    assert "attachment" in receipt.headers["content-disposition"]
    assert f"Code of the deletion: {CODE}" in receipt.text
    assert "Helpdesk: asked for, not confirmed." in receipt.text
    assert "There is no deletion" in await show(visitor, "nothing", "erasure/receipt")


async def test_a_form_of_another_page_or_none_is_refused(world: World, known: dict[str, Erasure]) -> None:
    known[CODE] = ASKED
    visitor = Visitor(world)
    for path in ("erasure", "erasure/receipt"):
        form = (await visitor.get("/en/erasure")).form("/en/erasure").set(code=CODE, token="")
        form.action = f"/en/{path}"
        answer = await visitor.post(form)
        assert answer.status_code == 403
        assert "key was destroyed" not in answer.text
