"""Draws the pictures in docs/images: `python -m portal.screenshots FOLDER` with `tests` on the path.

For looking at other forms of the pages: `python -m portal.screenshots FOLDER ru 360 dark`.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from portal.fakes import HOST, World, settings
from portal.served import served
from portal.visitor import asked_word
from veildesk.core.notice import Impact, IncidentState
from veildesk.core.ticket import File

MESSAGE = """Since Monday I cannot log in. The app says "wrong time".

My account is anna.muster@posteo.net, the last login came from 84.17.52.9.
I tried the password: correct-horse-7 and also the one before.
"""
REPORT = """App: Example Wallet
Version: 4.2.1
OS: Android 15
Serial: R58M123ABCD
Error: no answer from 84.17.52.9
User: anna
"""
SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nPlease set the clock.\n"
READ = {
    "home": "",
    "track": "/track",
    "track-unknown": "/track/unknown",
    "recover": "/recover",
    "status": "/status",
    "notice": "/status/1",
    "verify": "/verify",
    "privacy": "/privacy",
    "help": "/help",
    "help-answers": "/help/answers",
    "help-lost": "/help/answers#lost",
    "help-mail": "/help/encrypted-mail",
    "help-safely": "/help/writing-safely",
    "new": "/new",
    "report": "/new/report",
    "error": "/nothing",
    "leave": "/leave",
}
INSIDE = {
    "ticket": "/ticket",
    "words": "/ticket/words",
    "proof": "/ticket/proof",
    "feedback": "/ticket/feedback",
    "delete": "/ticket/delete",
}


def _save(page: Page, folder: Path, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    picture.convert("RGB").quantize(16).save(folder / f"portal-{name}.png", optimize=True)


def _answer(world: World, words: str) -> None:
    steps = File("steps-with-pictures.pdf", "application/pdf", b"x" * 240_000)
    work = world.answer(words, "Please set the clock of your phone, then log in again.", SIGNED, steps)
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


def _press(page: Page, selector: str) -> None:
    with page.expect_navigation():
        page.locator(selector).first.click()


def draw(folder: Path, language: str = "en", width: int = 720, scheme: str = "light") -> None:
    """Walk through the pages once and save each."""
    world = World(replace(settings(), challenge=True))
    world.notices.add("Mail arrives late", IncidentState.MONITORING, Impact.MINOR)
    with served(world) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--host-resolver-rules=MAP *.onion 127.0.0.1"],
        )
        page = browser.new_page(
            java_script_enabled=False,
            viewport={"width": width, "height": 600},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        base = f"http://{HOST}:{port}/{language}"
        for name, path in READ.items():
            page.goto(f"{base}{path}")
            _save(page, folder, name)
        words = _write(page, base, folder)
        _answer(world, words)
        for name, path in INSIDE.items():
            page.goto(f"{base}{path}")
            _save(page, folder, name)
        page.locator("#sure").check()
        _press(page, "button.danger")
        _save(page, folder, "deleted")
        browser.close()


def _write(page: Page, base: str, folder: Path) -> str:
    """From a report to the receipt; returns the ticket words."""
    page.goto(f"{base}/new/report")
    page.locator("#report").fill(REPORT)
    _press(page, "main form button")
    _save(page, folder, "report-lines")
    _press(page, "main form button")
    page.locator("#message").fill(MESSAGE)
    page.locator("#files").set_input_files(
        [{"name": "screen.jpg", "mimeType": "image/jpeg", "buffer": b"x" * 80_000 + b"GPS"}]
    )
    _press(page, "main form .row button")
    _save(page, folder, "check")
    words = page.locator("ol.words li").all_inner_texts()
    page.locator("#challenge").fill(asked_word(page.locator("label[for=challenge]").inner_text(), words))
    page.locator("[name=hide]").last.uncheck()
    _press(page, "button[value=send]")
    _save(page, folder, "confirm")
    _press(page, "button[value=send-hidden]")
    _save(page, folder, "receipt")
    return " ".join(words)


if __name__ == "__main__":
    language, width, scheme = [*sys.argv[2:], *("en", "720", "light")[len(sys.argv) - 2 :]]
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    draw(Path(sys.argv[1]), language, int(width), scheme)
