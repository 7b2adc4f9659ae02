"""axe-core on every kind of page, light and dark, both languages, narrow and wide: no violations.

axe needs scripts, so these contexts allow them and the policy header is taken off; the pages are
the same as visitors get.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext

from portal.exported import fill
from portal.fakes import HOST, World
from portal.served import served
from portal.visitor import asked_word
from veildesk.core.ticket import File

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations
  .map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' | '))"""
PATHS = [
    "",
    "/help",
    "/help/answers",
    "/help/answers#lost",
    "/new",
    "/new/check",
    "/new/confirm",
    "/track",
    "/track/unknown",
    "/track?hidden=1",
    "/recover",
    "/recover/unknown",
    "/erasure",
    "/new/report",
    "/status",
    "/status/1",
    "/status/3",
    "/status/history",
    "/status/subscribe",
    "/verify",
    "/privacy",
    "/leave",
    "/nothing",
]


@pytest.fixture
def site(world: World) -> Iterator[str]:
    world.settings = replace(world.settings, challenge=True, circuits=True)
    world.parked = True
    with served(world, policy=False) as port:
        yield f"http://{HOST}:{port}"


@pytest.fixture(
    params=[("en", "light", 1000), ("en", "dark", 360), ("ru", "light", 360), ("ru", "dark", 1000)],
    ids=lambda value: "-".join(map(str, value)),
)
def visit(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[tuple[str, BrowserContext]]:
    language, scheme, width = request.param
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(20_000)
    yield language, context
    context.close()


def test_no_violations(visit: tuple[str, BrowserContext], site: str, world: World) -> None:
    language, context = visit
    fill(world)
    page = context.new_page()
    page.add_init_script(AXE)
    found: dict[str, list[str]] = {}

    def examine(name: str) -> None:
        violations = page.evaluate(RUN, TAGS)
        if violations:
            found[name] = violations

    def press(selector: str) -> None:
        with page.expect_navigation():
            page.locator(selector).click()

    page.goto(f"{site}/{language}/new")
    press("main form button")
    examine("new with problems")
    page.locator("#message").fill("anna@posteo.net, password: hunter2hunter2, eve@posteo.net")
    page.locator("#files").set_input_files(
        [
            {"name": "a.exe", "mimeType": "a/b", "buffer": b"MZ"},
            {"name": "a.txt", "mimeType": "a/b", "buffer": b"t"},
        ]
    )
    press("main form button")
    for path in PATHS:
        page.goto(f"{site}/{language}{path}")
        examine(path)
    page.goto(f"{site}/{language}/new/report")
    page.locator("#report").fill("version: 1\nuser: anna@posteo.net")
    press("main form button")
    examine("lines of a report")
    page.goto(f"{site}/{language}/new/check")
    words = page.locator("ol.words li").all_inner_texts()
    press("button[value=send]")
    examine("check with a word to type")
    page.locator("#challenge").fill(asked_word(page.locator("label[for=challenge]").inner_text(), words))
    for box in page.locator("[name=hide]").all():
        box.uncheck()
    press("button[value=send]")
    page.locator("main details summary").last.click()
    examine("confirm")
    press("button[value=send-hidden]")
    examine("receipt")
    inside = (
        "/ticket",
        "/ticket/words",
        "/ticket/proof",
        "/ticket/feedback",
        "/ticket/thanks",
        "/ticket/delete",
    )
    answer = world.answer(" ".join(words), "Look.", "signed", File("steps.txt", "text/plain", b"x" * 2000))
    thread = threading.Thread(target=asyncio.run, args=(answer,))
    thread.start()
    thread.join(10)
    for path in inside:
        page.goto(f"{site}/{language}{path}")
        for summary in page.locator("main details summary").all():
            summary.click()
        examine(path)
    cookies = context.cookies()
    context.clear_cookies()
    press("main form button.danger")
    examine("deleting without a session")
    context.add_cookies(cookies)
    page.goto(f"{site}/{language}/ticket/delete")
    press("main form button.danger")
    examine("delete without tick")
    page.locator("#sure").check()
    press("main form button.danger")
    examine("deleted")
    assert found == {}
