"""Status pages: exact signed bytes, honest summaries."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from portal.fakes import World, settings
from portal.visitor import Visitor
from veildesk.core.notice import Board, Impact, IncidentState
from veildesk.portal.status_site import StatusSite


async def test_signed_text_is_served_byte_for_byte(visitor: Visitor, world: World) -> None:
    item = world.notices.add("Störung bei Mail", IncidentState.IDENTIFIED)
    response = await visitor.client.get("/status/1.asc")
    assert response.content == item.signed_text.encode()
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await visitor.client.get("/status/2.asc")).status_code == 404


async def test_summary_follows_the_newest_notice_of_each_incident(visitor: Visitor, world: World) -> None:
    assert "No known incidents." in (await visitor.get("/en/status")).text
    world.notices.add("Mail", IncidentState.INVESTIGATING, Impact.MINOR)
    world.notices.add("Login", IncidentState.INVESTIGATING, Impact.CRITICAL)
    page = await visitor.get("/en/status")
    assert "Critical disruption" in page.text
    assert "Investigating" in (await visitor.get("/en")).text
    world.notices.add("Login", IncidentState.RESOLVED)
    page = await visitor.get("/en/status")
    assert "Minor disruption" in page.text
    assert (await visitor.client.get("/status.json")).json()["summaryStatus"] == "minor"
    world.notices.add("Mail", IncidentState.POSTMORTEM)
    assert "No known incidents." in (await visitor.get("/en/status")).text


async def test_unreadable_notices_are_never_all_is_well(visitor: Visitor, world: World) -> None:
    world.notices.broken = True
    page = await visitor.get("/en/status")
    assert "We cannot tell" in page.text
    assert (await visitor.client.get("/status.json")).json()["summaryStatus"] == "unknown"
    assert (await visitor.get("/en")).status == 200


async def test_a_notice_page_names_the_action_first(visitor: Visitor, world: World) -> None:
    world.notices.add("Mail", IncidentState.INVESTIGATING)
    world.notices.add("Mail", IncidentState.RESOLVED)
    page = await visitor.get("/en/status/2")
    assert page.text.index("What you should do") < page.text.index("What happened")
    assert "Investigating" in page.text


async def test_feed_has_an_entry_for_every_notice(visitor: Visitor, world: World) -> None:
    assert (await visitor.client.get("/status.atom")).status_code == 200
    first = world.notices.add("Mail & <login>", IncidentState.INVESTIGATING)
    world.notices.add("Mail & <login>", IncidentState.RESOLVED)
    response = await visitor.client.get("/status.atom")
    assert response.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(response.content)
    space = {"a": "http://www.w3.org/2005/Atom"}
    titles = [node.text for node in feed.findall("a:entry/a:title", space)]
    assert titles == ["Mail & <login> (resolved)", "Mail & <login> (investigating)"]
    assert feed.findall("a:entry/a:content", space)[1].text == first.signed_text
    assert len({node.text for node in feed.findall("a:entry/a:id", space)}) == 2


@pytest.mark.parametrize("board", [None, Board()])
def test_the_status_site_is_made_before_anything_was_published(board: Board | None) -> None:
    files = StatusSite(settings(status_only=True)).files(board)
    assert b"support.asc" in files["en/verify/index.html"]
    assert files["en/index.html"] == files["en/status/index.html"]
