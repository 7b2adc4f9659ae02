"""The same site without Tor, and a site that has notices and nothing else."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from starlette.routing import Route

from portal.fakes import HOST, World
from portal.visitor import Visitor
from veildesk.core.notice import IncidentState
from veildesk.portal.app import create_app
from veildesk.portal.headers import HEADERS

CLEARNET = {"host": "support.example.org"}


def with_clearnet(world: World) -> World:
    world.settings = replace(
        world.settings,
        hosts=(HOST, "support.example.org"),
        clearnet_hosts=("support.example.org",),
        onion=HOST,
    )
    return world


async def test_without_tor_pages_point_to_the_onion_and_say_so(world: World) -> None:
    visitor = Visitor(with_clearnet(world))
    for path in ("/en", "/ru/help/answers", "/en/nothing", "/en/ticket"):
        response = await visitor.client.get(path, headers=CLEARNET)
        assert response.headers["onion-location"] == f"http://{HOST}{path}"
        assert HOST in response.text
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert "You are not using Tor" in (await visitor.client.get("/en", headers=CLEARNET)).text


async def test_an_address_cannot_put_anything_else_into_the_header(world: World) -> None:
    visitor = Visitor(with_clearnet(world))
    for path in ("/en/%0d%0aset-cookie:%20a=b", "/en/%D0%B6", "/en/%00", "/en/%22%3e"):
        response = await visitor.client.get(path, headers=CLEARNET)
        assert response.status_code == 404
        location = response.headers["onion-location"]
        assert location.isascii()
        assert unquote(location) == f"http://{HOST}{unquote(path)}"
        assert not set(location) & set('\r\n\0"<> ')
        assert "set-cookie" not in response.headers


async def test_over_tor_nothing_of_it_is_seen(world: World) -> None:
    visitor = Visitor(with_clearnet(world))
    response = await visitor.client.get("/en/new")
    assert "onion-location" not in response.headers
    assert "You are not using Tor" not in response.text
    assert "Secure" not in response.headers["set-cookie"]


async def test_without_tor_the_cookie_is_for_encrypted_connections_only(world: World) -> None:
    visitor = Visitor(with_clearnet(world))
    cookie = (await visitor.client.get("/en/new", headers=CLEARNET)).headers["set-cookie"]
    assert cookie.endswith("; HttpOnly; SameSite=Strict; Path=/; Secure")


async def test_a_site_of_notices_has_nothing_that_takes_anything_in(world: World) -> None:
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    world.settings = replace(world.settings, status_only=True)
    world.notices.add_everything()
    routes = [r for r in create_app(world.settings, world.ports).routes if isinstance(r, Route)]
    assert {method for route in routes for method in route.methods} <= {"GET", "HEAD"}
    visitor = Visitor(world)
    for path in ("/", "/en", "/en/status", "/ru/status/1", "/en/verify"):
        page = await visitor.get(path)
        assert page.status == 200, path
        assert not list(page.tree.iter("form"))
        for node in page.tree.iter("a"):
            target = node.get("href").partition("#")[0]
            if target:
                assert (await visitor.client.get(target)).status_code == 200, target
    for path in ("/en/new", "/en/track", "/en/ticket", "/en/privacy", "/en/recover"):
        assert (await visitor.get(path)).status == 404
    for path in ("/status.json", "/status.atom", "/status/1.asc", "/keys/notices.asc"):
        assert (await visitor.client.get(path)).status_code == 200
