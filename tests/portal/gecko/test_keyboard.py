"""A whole walk without a mouse in hardened Firefox: every control is come to by Tab and pressed by a key.

What is looked at on the way is what a person without a mouse, or with a screen reader, stumbles over: where
the focus is after a mistake, what the Enter key does, and what going back and reloading say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from portal.fakes import HOST, World, settings
from portal.gecko.firefox import SAFEST, By, Keys, Marionette, MarionetteException, firefox
from portal.served import served
from veildesk.core.portal_entry import decode_portal_entry

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

PATIENCE = 120
"""Seconds for one step. The walk has hundreds of keys; on a machine that is busy it takes minutes in all."""


class Hands:
    """Keys only. What a key brings about is waited for by whoever pressed it."""

    def __init__(self, browser: Marionette) -> None:
        self.browser = browser
        browser.timeout.implicit = PATIENCE

    def key(self, keys: str) -> None:
        self.browser.actions.sequence("key", "keyboard").send_keys(keys).perform()

    def at(self) -> str:
        """The id of what has the focus, or its text."""
        element = self.browser.get_active_element()
        return element.get_attribute("id") or element.text

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is there; a page has fewer stops than this."""
        wanted = self.browser.find_element(By.CSS_SELECTOR, selector)
        for _ in range(90):
            if self.browser.get_active_element() == wanted:
                return
            self.key(Keys.TAB)
        raise AssertionError(f"no way by keyboard to {selector}")

    def press(self, selector: str, keys: str = Keys.ENTER) -> None:
        self.tab_to(selector)
        self.key(keys)

    def heading(self, wanted: str) -> None:
        self.browser.find_element(By.XPATH, f"//h1[text()='{wanted}']")
        self.until(lambda: self.browser.execute_script("return document.readyState") == "complete")

    def travel(self, how: Callable[[], object]) -> None:
        """Go back or reload, and wait until the page that was there is gone: the next may look the same."""
        before = self.browser.find_element(By.TAG_NAME, "h1")
        how()
        self.until(lambda: self.browser.find_element(By.TAG_NAME, "h1") != before)

    def until(self, holds: Callable[[], bool]) -> None:
        """Focus tells nobody that it moved, so it is looked at until it did."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(MarionetteException):  # The page is changing under the look.
                if holds():
                    return
            time.sleep(0.05)
        raise AssertionError((self.browser.title, self.at()))


def test_everything_is_done_by_keyboard(tmp_path: Path) -> None:
    world = World(settings())
    with served(world) as port, firefox(tmp_path / "profile", SAFEST) as browser:
        site, hands = f"http://{HOST}:{port}/en", Hands(browser)
        browser.navigate(f"{site}/new")
        hands.key(Keys.TAB)
        assert hands.at() == "Skip to the content"
        hands.key(Keys.ENTER)
        hands.until(lambda: browser.get_url().endswith("#main"))
        hands.key(Keys.TAB)
        assert hands.at() == "topic"

        # A mistake: its list has the focus, and leads to the field.
        hands.press("main form .row button")
        hands.until(lambda: hands.at() == "problems")
        hands.heading("Write to us")
        assert browser.title.startswith("Not done yet: ")
        hands.key(Keys.TAB + Keys.ENTER)
        hands.until(lambda: hands.at() == "message")
        hands.key("I am anna@posteo.net")
        hands.press("main form .row button")
        hands.heading("Check before you send")

        # Space ticks a box, Enter on it looks again and sends nothing.
        hands.press("input[name=hide]", Keys.SPACE)
        hands.key(Keys.ENTER)
        browser.find_element(By.CSS_SELECTOR, "input[name=hide]:not([checked])")
        assert world.spool.attempts == 0
        hands.press("input[name=hide]", Keys.SPACE)
        words = " ".join(item.text for item in browser.find_elements(By.CSS_SELECTOR, "ol.words li"))
        hands.press("button[value=send]")
        hands.heading("We have your message")
        assert decode_portal_entry(world.spool.only.payload).text == "I am [email-1]"
        hands.travel(browser.refresh)
        hands.heading("We have your message")
        hands.travel(browser.go_back)  # to the check page, whose draft is gone: it must not be called unsent
        hands.heading("We have your message")
        assert world.spool.attempts == 1

        asyncio.run(world.answer(words, "Set the clock.", "signed"))
        hands.press("main .button")
        hands.heading("Your ticket")
        assert "Set the clock." in browser.find_element(By.TAG_NAME, "main").text

        # Longer than the session: the text goes along when the ticket is opened again.
        hands.tab_to("#message")
        hands.key("It works now, thank you")
        world.clock.advance(3 * 3600)
        hands.press("main form .row button")
        hands.heading("Open your ticket again")
        hands.travel(browser.refresh)
        hands.heading("Open your ticket again")
        hands.travel(browser.go_back)
        hands.heading("No ticket is open")
        hands.travel(browser.go_forward)  # nothing has expired: the text is still there
        hands.heading("Open your ticket again")
        assert browser.find_element(By.ID, "message").get_property("value") == "It works now, thank you"
        hands.tab_to("#words")
        hands.key(words)
        hands.press("main form .row button")
        hands.heading("Your ticket")
        assert browser.find_element(By.ID, "message").get_property("value") == "It works now, thank you"
        hands.press("main form .row button")
        hands.heading("Check before you send")
        hands.press("button[value=send]")
        hands.heading("Your ticket")
        assert len(world.spool.submissions) == 2

        hands.press("a[href$='/ticket/delete']")
        hands.heading("Delete this ticket")
        hands.press("button.danger")
        hands.until(lambda: hands.at() == "problems")
        hands.heading("Delete this ticket")
        assert world.spool.erased == []
        hands.press("#sure", Keys.SPACE)
        hands.press("button.danger")
        hands.heading("Deleted")
        hands.press("main form button")
        hands.heading("You have left")
