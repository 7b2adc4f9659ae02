"""What holds for every address of the portal, taken from the route table itself."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import html5lib
import httpx
import pytest
from starlette.routing import Route

from portal.fakes import HOST, World, settings
from portal.visitor import Visitor
from veildesk.core.notice import IncidentState
from veildesk.core.ticket import File
from veildesk.portal.app import create_app
from veildesk.portal.headers import HEADERS

ROUTES = [
    (route.path, method)
    for route in create_app(settings(), World(settings()).ports).routes
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
    if method != "HEAD"
]
FRAMING = {"content-length", "content-type"}
SOMETIMES = {"content-language", "set-cookie", "location", "content-disposition", "allow", "retry-after"}


def concrete(path: str) -> str:
    path = path.replace("message/{number:int}", "message/2").replace("{item:int}", "1")
    return path.replace("{number:int}", "1")


async def html_pages(visitor: Visitor) -> list[tuple[str, httpx.Response]]:
    """Every page of the route table that a visitor with a ticket sees."""
    pages = []
    for path in (path for path, method in ROUTES if method == "GET"):
        response = await visitor.client.get(concrete(path))
        if response.status_code == 303:  # Nothing is left to check or to open: on to what became of it.
            assert response.headers["location"].endswith(("/receipt", "/ticket")), path
            continue
        assert response.status_code in (200, 410), path
        if response.headers["content-type"].startswith("text/html"):
            pages.append((path, response))
    assert len(pages) >= 40
    return pages


@pytest.fixture
async def inside(world: World) -> Visitor:
    """A visitor with a ticket, an answer, a receipt and a draft."""
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    world.notices.add_everything()
    visitor = Visitor(world)
    words = await visitor.open_ticket("Nothing works")
    signed, file = "-----BEGIN PGP SIGNED MESSAGE-----\n", File("steps.txt", "text/plain", b"x" * 3000)
    await world.answer(words, "It does now", signed, file)
    return visitor


async def test_headers_are_exactly_the_table(inside: Visitor) -> None:
    for path, method in ROUTES:
        response = await inside.client.request(method, concrete(path))
        expected = dict(HEADERS)
        if path.startswith("/static/"):
            expected["cache-control"] = "max-age=31536000, immutable"
        rest = {name: value for name, value in response.headers.items() if name not in FRAMING | SOMETIMES}
        assert rest == expected, (method, path)


async def test_pages_bring_nothing_along(inside: Visitor) -> None:
    for path, response in await html_pages(inside):
        language = path.split("/")[1] or "en"
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(response.text)
        assert tree.get("lang") == language
        assert tree.get("dir") == "ltr"
        assert response.headers["content-language"] == language
        for node in tree.iter():
            assert node.tag not in {
                "script",
                "style",
                "svg",
                "iframe",
                "object",
                "video",
                "audio",
                "base",
            }
            assert not {name for name in node.attrib if name == "style" or name.startswith("on")}
            for name in ("href", "src", "action", "srcset", "formaction"):
                target = node.get(name)
                if target is not None:
                    assert not urlsplit(target).scheme, target
                    assert not urlsplit(target).netloc, target
                    assert target.startswith(("/", "#")), target
        assert not re.search(r"https?://", response.text)


async def test_pages_are_well_built(inside: Visitor) -> None:
    for _path, response in await html_pages(inside):
        tree = html5lib.parse(response.text, namespaceHTMLElements=False)
        ids = [node.get("id") for node in tree.iter() if node.get("id")]
        assert len(ids) == len(set(ids))
        assert len(list(tree.iter("h1"))) == 1
        title = "".join(tree.find(".//title").itertext())
        assert title.startswith("".join(tree.find(".//h1").itertext()))
        labelled = {node.get("for") for node in tree.iter("label")}
        for node in tree.iter():
            if node.tag in ("input", "textarea", "select") and node.get("type") != "hidden":
                assert node.get("id") in labelled
        for node in tree.iter():
            for reference in (node.get("aria-describedby") or "").split():
                assert reference in ids
            if node.tag == "a" and (node.get("href") or "").startswith("#"):
                assert node.get("href")[1:] in ids


async def test_words_codes_and_keys_are_left_to_right_in_any_language(inside: Visitor) -> None:
    seen = 0
    for _path, response in await html_pages(inside):
        tree = html5lib.parse(response.text, namespaceHTMLElements=False)
        for node in tree.iter():
            latin = node.tag == "pre" or "words" in (node.get("class") or "").split()
            if latin or (node.get("name") in ("words", "code", "challenge") and node.get("type") != "hidden"):
                seen += 1
                # A signed text is in its author's language; each of its lines has a direction of its own.
                signed = node.tag == "pre" and (node.text or "").startswith("-----BEGIN PGP")
                assert node.get("dir") == ("auto" if signed else "ltr"), (response.url, node.tag)
    assert seen > 10


async def test_links_lead_somewhere(inside: Visitor) -> None:
    targets = set()
    for _path, response in await html_pages(inside):
        tree = html5lib.parse(response.text, namespaceHTMLElements=False)
        targets |= {node.get("href").partition("#")[0] for node in tree.iter("a")}
    for target in targets - {""}:
        assert (await inside.client.get(target)).status_code in (200, 303, 410), target


async def test_posts_without_a_genuine_form_change_nothing(inside: Visitor) -> None:
    before = (len(inside.world.spool.submissions), list(inside.world.spool.erased))
    for path in (path for path, method in ROUTES if method == "POST"):
        for data in ({}, {"token": "0.0", "message": "x", "sure": "yes", "op": "send"}):
            response = await inside.client.post(path, data=data)
            assert response.status_code == (303 if path.endswith("/leave") else 403), path
    assert (len(inside.world.spool.submissions), inside.world.spool.erased) == before


async def test_unknown_paths_and_methods_are_pages_of_the_layout(visitor: Visitor) -> None:
    for path, status in (("/ru/nothing", 404), ("/xx", 404), ("/en/new/", 404)):
        response = await visitor.client.get(path)
        assert response.status_code == status
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
        assert "location" not in response.headers
    assert 'lang="ru"' in (await visitor.client.get("/ru/nothing")).text
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        response = await visitor.client.request(method, "/en/new")
        assert response.status_code == 405
        assert "<h1>" in response.text


async def test_the_first_page_speaks_the_visitors_language(visitor: Visitor) -> None:
    assert 'lang="en"' in (await visitor.client.get("/")).text
    response = await visitor.client.get("/", headers={"accept-language": "ru,en;q=0.5"})
    assert 'lang="ru"' in response.text
    assert response.status_code == 200


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1", "localhost", "", f"{HOST}.evil.example", f"a.{HOST}", "[::1]"]
)
async def test_other_hosts_learn_nothing(visitor: Visitor, host: str) -> None:
    response = await visitor.client.get("/en", headers={"host": host})
    assert response.status_code == 400
    assert response.text == "bad request\n"
    assert "location" not in response.headers
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


async def test_host_with_port_and_capitals_is_known(visitor: Visitor) -> None:
    for host in (f"{HOST}:80", HOST.upper()):
        assert (await visitor.client.get("/en", headers={"host": host})).status_code == 200


async def test_health_answers_on_loopback_name_only(visitor: Visitor) -> None:
    assert (await visitor.client.get("/healthz", headers={"host": "127.0.0.1"})).text == "ok\n"
    assert (await visitor.client.get("/healthz")).status_code == 404


async def test_two_host_headers_are_refused(visitor: Visitor) -> None:
    headers = [("host", HOST), ("host", "127.0.0.1")]
    request = visitor.client.build_request("GET", "/en", headers=headers)
    assert (await visitor.client.send(request)).status_code == 400


async def test_files(visitor: Visitor) -> None:
    key = await visitor.client.get("/keys/support.asc")
    assert key.content == visitor.world.settings.support_key
    assert key.headers["content-type"] == "application/pgp-keys"
    assert (await visitor.client.get("/robots.txt")).text.endswith("Disallow: /\n")
    style = re.search(r'href="(/static/[^"]+)"', (await visitor.client.get("/en")).text)
    assert style is not None
    content = (await visitor.client.get(style[1])).content
    assert len(content) <= 6000
    assert not re.search(rb"url\(|@import|@font-face|[^-]left:|[^-]right:|margin-left|padding-left", content)
