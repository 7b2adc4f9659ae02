"""Chromium without scripts, from the first page to the deleted ticket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from portal.exported import exported, fill
from portal.fakes import World
from veildesk.core.notice import IncidentState
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.ticket import File

pytestmark = pytest.mark.browser

SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nGrüße\n-----BEGIN PGP SIGNATURE-----\n"


def elsewhere(work: Coroutine[object, object, None]) -> None:
    """Run a coroutine in another thread: this one belongs to the browser."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join(10)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1000, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def words_on(page: Page) -> list[str]:
    return page.locator("ol.words li").all_inner_texts()


def write(page: Page, site: str, message: str) -> list[str]:
    page.goto(f"{site}/en")
    page.get_by_role("main").get_by_role("link", name="Write to us").click()
    page.get_by_label("What happened?").fill(message)
    page.get_by_role("button", name="Go on to check").click()
    expect(page.locator("h1")).to_have_text("Check before you send")
    return words_on(page)


def test_whole_way(page: Page, site: str, world: World, tmp_path: Path) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{site}/en/new")
    page.get_by_label("What happened?").fill("I am anna@posteo.net\nand cannot log in")
    page.get_by_label("Files (optional)").set_input_files(
        [{"name": "shot.png", "mimeType": "image/png", "buffer": b"x" * 2_000_000 + b"GPS"}]
    )
    page.get_by_role("button", name="Go on to check").click()
    words = words_on(page)
    assert page.locator("mark").all_inner_texts() == ["[email-1]"]
    assert page.get_by_label("Hide anna@posteo.net").is_checked()
    assert "Removed: hidden data about the file, the place where it was taken" in page.inner_text("main")
    page.get_by_role("button", name="Send with these choices").click()
    expect(page.locator("h1")).to_have_text("We have your message")
    assert words_on(page) == words
    entry = decode_portal_entry(world.spool.only.payload)
    assert entry.text == "I am [email-1]\nand cannot log in"
    assert len(entry.attachments[0][2]) == 2_000_003

    page.get_by_role("button", name="I have the words: leave").click()
    expect(page.locator("h1")).to_have_text("You have left")
    page.goto(f"{site}/en/ticket")
    expect(page.locator("h1")).to_have_text("No ticket is open")

    steps = File("Шаги 1.txt", "text/plain", b"first this, then that\n" * 30_000)
    elsewhere(world.answer(" ".join(words), "Grüße", SIGNED, steps))
    page.goto(f"{site}/en/track")
    page.get_by_label("Your eight ticket words").fill("\n".join(words))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator("article")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Signed text as a file").click()
    download.value.save_as(tmp_path / "answer.asc")
    assert (tmp_path / "answer.asc").read_bytes() == SIGNED.encode()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download Шаги 1.txt").click()
    assert download.value.suggested_filename == "Шаги 1.txt"
    download.value.save_as(tmp_path / "steps.txt")
    assert (tmp_path / "steps.txt").read_bytes() == steps.content

    page.get_by_role("link", name="Delete it now").click()
    page.get_by_label("Yes, delete it. I know that this cannot be undone.").check()
    page.get_by_role("button", name="Delete now").click()
    expect(page.locator("h1")).to_have_text("Deleted")
    assert world.spool.threads == {}
    assert {url.removeprefix(site)[:1] for url in requested} == {"/"}
    assert all(url.startswith(site) for url in requested)


def test_back_never_loses_text_nor_sends_twice(page: Page, site: str, world: World) -> None:
    words = write(page, site, "a long story")
    page.go_back()
    assert page.get_by_label("What happened?").input_value().strip() == "a long story"
    page.go_forward()
    assert words_on(page) == words
    page.get_by_role("button", name="Send with these choices").click()
    expect(page.locator("h1")).to_have_text("We have your message")
    page.reload()
    assert words_on(page) == words
    page.go_back()
    expect(page.locator("h1")).to_have_text("We have your message")
    assert words_on(page) == words
    assert len(world.spool.submissions) == 1


def test_files_that_are_too_large_cost_no_text_and_can_be_gone_back_to(
    page: Page, site: str, tmp_path: Path
) -> None:
    (tmp_path / "film.bin").write_bytes(b"x" * 30_000_000)
    page.goto(f"{site}/en/new")
    page.get_by_label("What happened?").fill("a long story")
    page.get_by_label("Files (optional)").set_input_files(tmp_path / "film.bin")
    page.get_by_role("button", name="Go on to check").click()
    expect(page.locator("#problems")).to_contain_text("choose fewer or smaller files", timeout=60_000)
    page.get_by_role("button", name="Go on to check").click()
    expect(page.locator("h1")).to_have_text("Check before you send")
    page.go_back()
    assert page.get_by_label("What happened?").input_value().strip() == "a long story"


def test_enter_key_and_first_button_never_send_by_accident(page: Page, site: str, world: World) -> None:
    write(page, site, "bob@posteo.net and eve@posteo.net")
    page.get_by_label("Hide bob@posteo.net").focus()
    page.keyboard.press("Enter")
    assert world.spool.attempts == 0


def test_a_secret_needs_a_second_page(page: Page, site: str, world: World) -> None:
    write(page, site, "password: hunter2hunter2")
    page.locator("input[name=hide]").uncheck()
    page.get_by_role("button", name="Send with these choices").click()
    expect(page.locator("h1")).to_have_text("Secrets stay hidden")
    page.get_by_role("button", name="Send with secrets hidden").click()
    expect(page.locator("h1")).to_have_text("We have your message")
    assert "hunter2" not in decode_portal_entry(world.spool.only.payload).text


def test_decision_tree_sends_nothing_while_it_is_walked(page: Page, site: str) -> None:
    page.goto(f"{site}/en/help/answers")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    expect(page.get_by_role("heading", name="Lost words")).to_be_hidden()
    page.get_by_role("link", name="I lost my words").click()
    expect(page.get_by_role("heading", name="Lost words")).to_be_visible()
    expect(page.get_by_role("heading", name="What is the matter?")).to_be_hidden()
    page.go_back()
    expect(page.get_by_role("heading", name="What is the matter?")).to_be_visible()
    assert requested == []


def test_status_page_and_notice(page: Page, site: str, world: World) -> None:
    item = world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    page.goto(f"{site}/ru/status")
    page.get_by_role("link", name="Mail is late").click()
    page.get_by_role("link", name="Подписанный текст извещения").click()
    assert page.locator("pre").inner_text() == item.signed_text


@pytest.mark.parametrize(("language", "width"), [("en", 320), ("ru", 320), ("ru", 360), ("en", 1000)])
def test_no_page_scrolls_sideways(
    chromium: Browser, site: str, world: World, language: str, width: int
) -> None:
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    context = chromium.new_context(java_script_enabled=False, viewport={"width": width, "height": 700})
    page = context.new_page()
    write(page, site, "anna@posteo.net " + "w" * 300)
    for path in (
        "new/check",
        "new",
        "track",
        "status",
        "status/1",
        "verify",
        "privacy",
        "help",
        "nothing",
        "",
    ):
        page.goto(f"{site}/{language}/{path}".rstrip("/"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_print_shows_words_and_codes_and_no_buttons(page: Page, site: str) -> None:
    write(page, site, "hello")
    page.emulate_media(media="print")
    expect(page.locator("ol.words")).to_be_visible()
    for element in page.locator("button, nav, textarea").all():
        expect(element).to_be_hidden()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Send with these choices").click()
    page.emulate_media(media="print")
    expect(page.locator("ol.words")).to_be_visible()
    expect(page.locator("ul.words")).to_be_visible()
    for element in page.locator("button, nav").all():
        expect(element).to_be_hidden()


def test_keyboard_reaches_the_skip_link_first(page: Page, site: str) -> None:
    page.goto(f"{site}/en/new")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()


def test_lost_words_and_new_ones(page: Page, site: str, context: BrowserContext) -> None:
    words = write(page, site, "Nothing works")
    page.get_by_role("button", name="Send with these choices").click()
    code = page.locator("ul.words li").first.inner_text()
    page.get_by_role("button", name="I have the words: leave").click()

    page.get_by_role("link", name="Open my ticket").click()
    page.get_by_role("link", name="I lost my words").click()
    page.get_by_label("A spare code").fill(code.lower())
    page.get_by_role("button", name="Open").click()
    expect(page.locator("h1")).to_have_text("New ticket words")
    new = words_on(page)
    page.get_by_role("button", name="I wrote them down").click()
    expect(page.locator("h1")).to_have_text("Your new ticket words")
    assert words_on(page) == new != words
    page.get_by_role("link", name="Open the ticket").click()
    expect(page.locator("article")).to_contain_text("Nothing works")


def test_a_report_line_by_line(page: Page, site: str, world: World) -> None:
    page.goto(f"{site}/en/new")
    page.get_by_role("link", name="Add an error report safely").click()
    page.get_by_label("The report").fill("Version: 4.2\nUser: karlotta\nError: no answer")
    page.get_by_role("button", name="Go on to choose").click()
    assert page.get_by_label("Version: 4.2").is_checked()
    assert not page.get_by_label("User: karlotta").is_checked()
    page.get_by_label("Error: no answer").check()
    page.get_by_role("button", name="Put these lines").click()
    page.get_by_role("button", name="Go on to check").click()
    page.get_by_role("button", name="Send with these choices").click()
    assert decode_portal_entry(world.spool.only.payload).text == "Version: 4.2\nError: no answer"


@pytest.mark.parametrize("width", [320, 360, 1000])
def test_no_word_or_code_is_broken_or_covered(chromium: Browser, site: str, width: int) -> None:
    """A word that is read wrongly is a lost ticket."""
    context = chromium.new_context(java_script_enabled=False, viewport={"width": width, "height": 900})
    page = context.new_page()
    write(page, site, "Nothing works")
    page.get_by_role("button", name="Send with these choices").click()
    boxes = [item.bounding_box() for item in page.locator(".words li").all()]
    outer = [box.bounding_box() for box in page.locator(".words").all()]
    for number, box in enumerate(boxes):
        around = outer[0 if number < 8 else 1]
        assert box["x"] + box["width"] <= around["x"] + around["width"] <= width
        for other in boxes[:number]:
            assert (
                box["x"] >= other["x"] + other["width"] - 0.5
                or other["x"] >= box["x"] + box["width"] - 0.5
                or box["y"] >= other["y"] + other["height"] - 0.5
                or other["y"] >= box["y"] + box["height"] - 0.5
            )
    context.close()


def test_the_status_site_from_a_plain_web_server(page: Page, world: World, tmp_path: Path) -> None:
    fill(world)
    with exported(world, tmp_path / "www") as site:
        page.goto(site)
        expect(page.locator("main")).to_contain_text("unknown: it cannot be seen at the moment")
        expect(page.get_by_role("heading", name="Maintenance")).to_be_visible()
        page.get_by_role("link", name="Mail is late").click()
        expect(page.locator("h2").first).to_have_text("What you should do")
        page.get_by_role("link", name="History").click()
        expect(page.get_by_role("link", name="Report after the incident")).to_be_visible()
        page.get_by_role("link", name="Canary").click()
        page.get_by_role("navigation").get_by_role("link", name="Verify this site").click()
        picture = page.locator("img")
        expect(picture).to_be_visible()
        picture.evaluate("async node => { await node.decode() }")  # loaded, however late
        assert picture.evaluate("node => node.naturalWidth") > 100
        page.get_by_role("link", name="Русский").click()
        expect(page.locator("html")).to_have_attribute("lang", "ru")
        with page.expect_download() as download:
            page.goto(f"{site}/en/status/3")
            page.get_by_role("link", name="Signed text of this notice").click()
        assert download.value.path().read_text() == world.notices.items[2].signed_text
