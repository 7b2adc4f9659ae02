"""Forms as no browser would send them: always a page, never an error of ours, never a ticket."""

from __future__ import annotations

import random

import pytest

from portal.fakes import World
from portal.visitor import Visitor

VALUES = [
    "",
    " ",
    "x" * 5000,
    "%00",
    "\ufeff\u202e\u0000",
    "й" * 300,
    "💥" * 300,
    "-1",
    "hide:",
    "hide:EMAIL",
    "update",
    "../../x",
    "{{ 7*7 }}",
    "%(name)s",
    "[email-1]",
    "1e309",
    "ffffffffffffffff.0",
    "\r\nset-cookie: a=b",
    "aardvark " * 8,
]
NAMES = [
    "message",
    "topic",
    "op",
    "entry",
    "shown",
    "words",
    "seen",
    "hide",
    "own_words",
    "keep_file",
    "sure",
    "website",
]
FORMS = [("/en/new", "/en/new"), ("/en/new/check", "/en/new/check"), ("/en/track", "/en/track")]
FORMS += [("/en/ticket", "/en/ticket/reply"), ("/en/ticket/delete", "/en/ticket/delete")]


@pytest.mark.parametrize("seed", range(6))
async def test_odd_values_are_answered(world: World, seed: int) -> None:
    choose = random.Random(seed)
    visitor = Visitor(world)
    await visitor.open_ticket("A ticket to begin with")
    await visitor.write("A draft, anna@posteo.net")
    for _ in range(25):
        page, action = choose.choice(FORMS)
        response = await visitor.client.get(page, follow_redirects=True)
        token = response.text.partition('name="token" value="')[2].partition('"')[0]
        fields = [(choose.choice(NAMES), choose.choice(VALUES)) for _ in range(choose.randrange(12))]
        data: dict[str, list[str]] = {"token": [token]}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        data.pop("sure", None)
        answer = await visitor.client.post(action, data=data)
        assert answer.status_code in (303, 403, 410, 413), (action, fields)
        assert "set-cookie: a=b" not in str(answer.headers)
        shown = await visitor.client.get(answer.headers.get("location", "/en"), follow_redirects=True)
        assert shown.status_code in (200, 410)
        assert "49" not in shown.text.partition("<h1>")[2].partition("</h1>")[0]
        world.clock.advance(5)
    assert world.spool.erased == []


async def test_odd_cookies_are_ignored(visitor: Visitor) -> None:
    for cookie in (
        "visit=",
        "visit=x",
        "visit=" + "A" * 43,
        "visit=" + "!" * 43,
        "visit=" + "A" * 5000,
        "a;b=c;;",
    ):
        response = await visitor.client.get("/en/new", headers={"cookie": cookie})
        assert response.status_code == 200
