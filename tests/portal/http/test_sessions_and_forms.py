"""Cookies, forms, other sites, floods, time."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from dataclasses import replace

import pytest

from portal.fakes import HOST, World
from portal.visitor import Page, Visitor
from veildesk.core.ports import ThreadKeys
from veildesk.portal.bucket import TokenBucket
from veildesk.portal.sessions import Session, SessionStore

MESSAGE = "Nothing works for alice@posteo.net"


async def test_cookie_has_no_secure_and_no_end_date(visitor: Visitor) -> None:
    cookie = (await visitor.client.get("/en/new")).headers["set-cookie"]
    assert re.fullmatch(r"visit=[A-Za-z0-9_-]{43}; HttpOnly; SameSite=Strict; Path=/", cookie)


@pytest.mark.parametrize(
    "path", ["/", "/en", "/en/help", "/en/status", "/en/verify", "/en/privacy", "/robots.txt"]
)
async def test_reading_sets_no_cookie(visitor: Visitor, path: str) -> None:
    assert "set-cookie" not in (await visitor.client.get(path)).headers


async def test_a_form_of_another_visitor_is_refused(world: World) -> None:
    first, second = Visitor(world), Visitor(world)
    second.app, second.client._transport = first.app, first.client._transport
    form = (await first.get("/en/new")).form().set(message=MESSAGE)
    await second.get("/en/new")
    response = await second.post(form)
    assert response.status_code == 403
    assert "alice@posteo.net" in response.text


async def test_a_form_for_something_else_is_refused(visitor: Visitor) -> None:
    token = (await visitor.get("/en/track")).form().get("token")
    response = await visitor.post((await visitor.get("/en/new")).form().set(message=MESSAGE, token=token))
    assert response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
async def test_other_sites_cannot_post(visitor: Visitor, headers: dict[str, str]) -> None:
    form = (await visitor.get("/en/new")).form().set(message=MESSAGE)
    visitor.client.headers.update(headers)
    assert (await visitor.post(form)).status_code == 403


async def test_own_origin_is_welcome(visitor: Visitor) -> None:
    form = (await visitor.get("/en/new")).form().set(message=MESSAGE)
    visitor.client.headers.update({"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"})
    assert (await visitor.post(form)).status_code == 303


async def test_a_form_lives_a_day(visitor: Visitor, world: World) -> None:
    form = (await visitor.get("/en/new")).form().set(message=MESSAGE)
    world.clock.advance(24 * 3600)
    assert (await visitor.post(form)).status_code == 303
    world.clock.advance(1)
    assert (await visitor.post(form)).status_code == 403


async def test_a_draft_ends_after_idle_and_total_time(visitor: Visitor, world: World) -> None:
    await visitor.write(MESSAGE)
    world.clock.advance(30 * 60)
    assert (await visitor.get("/en/new/check")).status == 200
    world.clock.advance(30 * 60 + 1)
    assert (await visitor.get("/en/new/check")).status == 410
    await visitor.write(MESSAGE)
    for _ in range(4):
        world.clock.advance(29 * 60)
        assert (await visitor.get("/en/new/check")).status == 200
    world.clock.advance(5 * 60)
    assert (await visitor.get("/en/new/check")).status == 410


async def test_leaving_ends_the_session_and_forgets_the_cookie(visitor: Visitor) -> None:
    await visitor.open_ticket(MESSAGE)
    response = await visitor.client.post("/en/leave")
    assert (response.status_code, response.headers["location"]) == (303, "/en/leave")
    assert response.headers["set-cookie"] == "visit=; HttpOnly; SameSite=Strict; Path=/"
    assert (await visitor.get("/en/ticket")).status == 410


async def test_a_flood_is_told_without_losing_anything_and_passes(world: World) -> None:
    world.settings = replace(world.settings, burst=3, rate=0.5, form_min_age=0)
    visitor = Visitor(world)
    form = (await visitor.get("/en/new")).form("/en/new").set(message=MESSAGE)
    for _ in range(2):
        await Visitor(world).open_ticket(MESSAGE)
    check = await visitor.submit(form)
    visitor.site.spend(2)
    told = await visitor.submit(check.form(), op="send")
    assert "Nothing was sent and nothing is lost" in told.text
    assert len(world.spool.submissions) == 2
    page = await visitor.get("/en/track")
    response = await visitor.post(page.form().set(words=check.form().get("words")))
    assert response.status_code == 429
    assert Page(response).form("/en/track").get("words") == check.form().get("words")
    world.clock.advance(3)
    assert (await visitor.submit(told.form(), op="send")).words == check.words


async def test_under_a_flood_a_new_message_is_given_back(world: World) -> None:
    visitor = Visitor(world)
    await visitor.open_ticket(MESSAGE)
    forms = [
        (await visitor.get("/en/new")).form("/en/new"),
        (await visitor.get("/en/ticket")).form("/en/ticket/reply"),
    ]
    visitor.site.bucket = TokenBucket(0.001, 1, world.clock.monotonic())
    visitor.site.spend()
    for form in forms:
        response = await visitor.post(form.set(message="a long story", own_words="Anna"))
        assert response.status_code == 429
        again = Page(response).form(form.action)
        assert (again.get("message"), again.get("own_words")) == ("a long story", "Anna")
        visitor.site.bucket = TokenBucket(1, 10, world.clock.monotonic())
        assert (await visitor.submit(again)).title == "Check before you send"
        visitor.site.bucket = TokenBucket(0.001, 1, world.clock.monotonic())
        visitor.site.spend()


async def test_few_wait_for_a_key_derivation_at_a_time(world: World) -> None:
    words = await Visitor(world).open_ticket(MESSAGE)
    world.settings = replace(world.settings, derivations=2)
    visitor, going_on, most = Visitor(world), asyncio.Event(), 0
    derive = world.cipher.derive

    async def slow(words: str) -> ThreadKeys:
        nonlocal most
        most = max(most, visitor.site.deriving)
        await going_on.wait()
        return await derive(words)

    world.cipher.derive = slow  # type: ignore[method-assign]
    form = (await visitor.get("/en/track")).form().set(words=words)
    answers = [
        asyncio.create_task(visitor.client.post("/en/track", data=dict(form.fields))) for _ in range(9)
    ]
    refused, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    assert {answer.result().status_code for answer in refused} == {429}
    going_on.set()
    codes = Counter(answer.status_code for answer in await asyncio.gather(*answers))
    assert codes == {303: 2, 429: 7}
    assert (most, visitor.site.deriving) == (2, 0)


async def test_under_load_forms_need_a_human_pace(world: World) -> None:
    world.settings = replace(world.settings, burst=10, rate=0.001)
    visitor = Visitor(world)
    for _ in range(4):
        await visitor.open_ticket(MESSAGE)
    form = (await visitor.get("/en/new")).form().set(message=MESSAGE)
    assert "Wait a few seconds" in (await visitor.submit(form)).text
    world.clock.advance(3)
    assert (await visitor.submit(form)).title == "Check before you send"


async def test_errors_tell_an_incident_number_and_nothing_else(
    visitor: Visitor, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def explode(lookup_id: bytes) -> None:
        raise RuntimeError("alice@posteo.net")

    await visitor.open_ticket(MESSAGE)
    world.spool.thread = explode  # type: ignore[method-assign]
    visitor.restart()
    page = (await visitor.get("/en/track")).form().set(words="aardvark " * 8)
    with caplog.at_level(logging.DEBUG):
        response = await visitor.post(page)
    assert response.status_code == 500
    incident = re.search(r"<bdi dir=\"ltr\">([0-9a-f]{12})</bdi>", response.text)
    assert incident is not None
    ours = [record.getMessage() for record in caplog.records if record.name == "veildesk.portal"]
    assert ours == [f"portal-error status=500 code=RuntimeError incident={incident[1]}"]
    assert "alice" not in caplog.text
    assert "alice" not in response.text


async def test_two_clicks_at_once_make_one_ticket(visitor: Visitor, world: World) -> None:
    import asyncio

    check = await visitor.write(MESSAGE, files=[("a.bin", b"x" * 100_000)])
    answers = await asyncio.gather(*(visitor.post(check.form(), op="send") for _ in range(5)))
    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, "/en/receipt")}
    assert len(world.spool.submissions) == 1
    assert world.spool.attempts == 1


async def test_a_stale_tab_does_not_send_another_draft(visitor: Visitor, world: World) -> None:
    first = await visitor.write("first")
    await visitor.submit(first.form(), op="discard")
    second = await visitor.write("second")
    response = await visitor.post(first.form(), op="send")
    assert response.status_code == 410
    assert world.spool.attempts == 0
    assert (await visitor.submit(second.form(), op="send")).words == second.words


async def test_a_new_draft_survives_opening_a_ticket_and_a_reply_does_not_change_tickets(
    visitor: Visitor, world: World
) -> None:
    one, two = await visitor.open_ticket("one"), await visitor.open_ticket("two")
    check = await visitor.write("third story", files=[("a.txt", b"abc")])
    page = await visitor.submit((await visitor.get("/en/track")).form().set(words=one))
    assert (await visitor.get("/en/new/check")).words == check.words
    await visitor.submit(page.form("/en/ticket/reply").set(message="for ticket one"))
    await visitor.submit((await visitor.get("/en/track")).form().set(words=two))
    assert (await visitor.get("/en/new/check")).status == 410
    assert len(world.spool.submissions) == 2


async def test_sent_is_told_once(visitor: Visitor) -> None:
    await visitor.open_ticket(MESSAGE)
    check = await visitor.submit(
        (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="more")
    )
    page = await visitor.submit(check.form(), op="send")
    assert "Your message was sent." in page.text
    assert "Your message was sent." not in (await visitor.get("/en/ticket")).text


async def test_a_reply_without_its_session_gives_the_text_back(visitor: Visitor, world: World) -> None:
    await visitor.open_ticket(MESSAGE)
    form = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="second thoughts")
    check = await visitor.submit(form)
    visitor.restart()
    for page in (await visitor.submit(form), await visitor.submit(check.form(), op="send")):
        assert "second thoughts" in page.response.text
        assert "This page sent nothing" in page.text
    assert len(world.spool.submissions) == 1


async def test_a_link_from_another_site_does_not_cost_an_open_draft(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    outside = Visitor(world, headers={"sec-fetch-site": "cross-site"})
    for path in ("/en/new", "/en/track"):
        arrival = await outside.get(path)
        assert "set-cookie" not in arrival.response.headers
        assert f'<a class="button" href="{path}">' in arrival.response.text
    posted = await outside.client.post("/en/new", data={"message": "forged"})
    assert posted.status_code == 403
    assert "set-cookie" not in posted.headers
    assert (await visitor.submit(check.form(), op="send")).words == check.words


def test_all_sessions_together_have_a_bound_and_the_idle_give_way() -> None:
    store = SessionStore(os.urandom, limit=100, idle=60.0, life=600.0, memory=50_000)
    visitors = [os.urandom(32) for _ in range(20)]
    for number, visitor in enumerate(visitors):
        store.save(Session(visitor, {"draft": "ж" * 5_000}), float(number))
        assert store.used <= 50_000
    assert store.load(visitors[0], 20.0).data == {}
    assert store.load(visitors[-1], 20.0).data == {"draft": "ж" * 5_000}
    store.save(Session(visitors[-1], {"draft": "a"}), 21.0)
    store.take(visitors[-2], 22.0)
    store.drop(visitors[-1])
    for visitor in visitors:
        store.drop(visitor)
    assert (store.used, len(store)) == (0, 0)
