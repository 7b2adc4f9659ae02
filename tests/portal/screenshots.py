"""Draws the pictures in docs/images: `python -m portal.screenshots FOLDER` with `tests` on the path."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from portal.fakes import HOST, World, settings
from portal.served import served
from veildesk.core.notice import Impact, IncidentState

MESSAGE = """Since Monday I cannot log in. The app says "wrong time".

My account is anna.muster@posteo.net, the last login came from 84.17.52.9.
I tried the password: correct-horse-7 and also the one before.
"""
SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nPlease set the clock.\n"


def _save(page: Page, folder: Path, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    picture.convert("RGB").quantize(32).save(folder / f"portal-{name}.png", optimize=True)


def _answer(world: World, words: str) -> None:
    work = world.answer(words, "Please set the clock of your phone, then log in again.", SIGNED)
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


def draw(folder: Path) -> None:
    """Walk through the pages once and save each."""
    world = World(settings())
    world.notices.add("Mail arrives late", IncidentState.MONITORING, Impact.MINOR)
    with served(world) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--host-resolver-rules=MAP *.onion 127.0.0.1"],
        )
        page = browser.new_page(java_script_enabled=False, viewport={"width": 720, "height": 600})
        base = f"http://{HOST}:{port}/en"
        page.goto(f"{base}/new")
        _save(page, folder, "new")
        page.locator("#message").fill(MESSAGE)
        page.locator("#files").set_input_files(
            [{"name": "screen.jpg", "mimeType": "image/jpeg", "buffer": b"x" * 80_000 + b"GPS"}]
        )
        page.locator("main form button").click()
        page.wait_for_url("**/check")
        _save(page, folder, "check")
        words = " ".join(page.locator("ol.words li").all_inner_texts())
        page.locator("button[value=send]").click()
        page.wait_for_url("**/receipt")
        _save(page, folder, "receipt")
        _answer(world, words)
        paths = {
            "home": "",
            "ticket": "/ticket",
            "delete": "/ticket/delete",
            "track": "/track",
            "status": "/status",
            "notice": "/status/1",
            "verify": "/verify",
            "privacy": "/privacy",
            "help": "/help/answers",
            "error": "/nothing",
        }
        for name, path in paths.items():
            page.goto(f"{base}{path}")
            _save(page, folder, name)
        browser.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
