"""One whole journey in Gecko, the engine of Tor Browser: hardened, and with stock preferences.

Stock Firefox drops `Secure` cookies of plain-http onion sites; that the journey works there shows
that ours has none. The hardened one shows that no script, vector image or font is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from portal.exported import exported, fill
from portal.fakes import HOST, World, settings
from portal.gecko.firefox import SAFEST, STOCK, By, Marionette, firefox
from portal.served import served
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.ticket import File

pytestmark = pytest.mark.browser


def heading(browser: Marionette, wanted: str) -> None:
    """Find the page's heading; the driver waits for it."""
    browser.find_element(By.XPATH, f"//h1[text()='{wanted}']")


def press(browser: Marionette, label: str) -> None:
    browser.find_element(By.XPATH, f"//button[text()='{label}']").click()


def words_on(browser: Marionette) -> list[str]:
    return [item.text for item in browser.find_elements(By.CSS_SELECTOR, "ol.words li")]


def saving_to(folder: Path) -> Mapping[str, object]:
    """Preferences that keep downloads in a folder without asking."""
    folder.mkdir()
    return {
        "browser.download.folderList": 2,
        "browser.download.dir": str(folder),
        "browser.download.useDownloadDir": True,
        "browser.download.always_ask_before_handling_new_types": False,
    }


def saved(path: Path, size: int) -> bytes:
    """The file once the browser has it whole; nothing tells when that is, so it is looked at."""
    end = time.monotonic() + 60
    while time.monotonic() < end and not (path.exists() and path.stat().st_size == size):
        time.sleep(0.05)
    return path.read_bytes()


@pytest.mark.parametrize("preferences", [SAFEST, STOCK], ids=["safest", "stock"])
def test_journey(tmp_path: Path, preferences: Mapping[str, object]) -> None:
    world = World(settings())
    upload = tmp_path / "shot.png"
    upload.write_bytes(b"x" * 1_500_000 + b"GPS")
    preferences = {**preferences, **saving_to(tmp_path / "saved")}
    with served(world) as port, firefox(tmp_path / "profile", preferences) as browser:
        site = f"http://{HOST}:{port}"
        browser.navigate(f"{site}/en/new")
        browser.find_element(By.ID, "message").send_keys("I am anna@posteo.net")
        browser.find_element(By.ID, "files").send_keys(str(upload))
        press(browser, "Go on to check")
        heading(browser, "Check before you send")
        words = words_on(browser)
        assert len(words) == 8
        assert [mark.text for mark in browser.find_elements(By.TAG_NAME, "mark")] == ["[email-1]"]
        press(browser, "Send with these choices")
        heading(browser, "We have your message")
        assert words_on(browser) == words
        entry = decode_portal_entry(world.spool.only.payload)
        assert (entry.text, len(entry.attachments[0][2])) == ("I am [email-1]", 1_500_003)

        press(browser, "I have the words: leave")
        heading(browser, "You have left")
        steps = File("steps.txt", "text/plain", b"first this, then that\n" * 30_000)
        asyncio.run(world.answer(" ".join(words), "It works again.", "signed", steps))
        browser.navigate(f"{site}/en/track")
        browser.find_element(By.ID, "words").send_keys(" ".join(word[:3] for word in words))
        press(browser, "Open")
        heading(browser, "Your ticket")
        assert "It works again." in browser.find_element(By.TAG_NAME, "main").text

        assert hashlib.sha256(steps.content).hexdigest() in browser.find_element(By.TAG_NAME, "main").text
        browser.find_element(By.PARTIAL_LINK_TEXT, "Download").click()
        assert saved(tmp_path / "saved" / "steps.txt", len(steps.content)) == steps.content

        browser.go_back()
        browser.go_forward()
        heading(browser, "Your ticket")
        browser.navigate(f"{site}/en/help/answers")
        browser.find_element(By.LINK_TEXT, "I lost my words").click()
        assert browser.find_element(By.ID, "lost").is_displayed()
        assert not browser.find_element(By.ID, "start").is_displayed()


def test_the_status_site_in_the_safest_setting(tmp_path: Path) -> None:
    world = World(settings())
    fill(world)
    with exported(world, tmp_path / "www") as site, firefox(tmp_path / "profile", SAFEST) as browser:
        browser.navigate(site)
        heading(browser, "Status")
        assert "unknown: it cannot be seen" in browser.find_element(By.TAG_NAME, "main").text
        browser.find_element(By.LINK_TEXT, "Mail is late").click()
        heading(browser, "Mail is late")
        browser.find_element(By.LINK_TEXT, "History").click()
        heading(browser, "All statements")
        browser.navigate(f"{site}/en/verify")
        image = browser.find_element(By.TAG_NAME, "img")
        assert image.rect["width"] > 100
