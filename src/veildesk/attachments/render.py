"""PDF pages as pictures and their text, by poppler's tools; runs inside the sandbox only.

The document goes in and pages come out through pipes. Every page is scaled to a fixed longer side, so
a page of any declared size costs the same, and shows what lies inside its crop box, as viewers do. Scripts,
files within, form logic and links do not cross. Text is read from the whole of a page.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

from PIL import Image

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.images import encode_jpeg
from veildesk.attachments.reasons import FileRefused, Refusal
from veildesk.attachments.shown import Word, is_shown, lines_of, page_words
from veildesk.attachments.treat import Rendered, Renderer

__all__ = ["find_renderer"]

_PATH = "/usr/bin:/bin:/usr/local/bin"
_PPM = re.compile(rb"P6\n(\d{1,5}) (\d{1,5})\n255\n")
_STEP = 64 * 1024
_LISTED = 12
"""So much longer is the listing of words and their boxes than the text itself."""

_T = TypeVar("_T")


def find_renderer() -> Renderer | None:
    """The renderer if both tools are there."""
    draw, read = shutil.which("pdftoppm", path=_PATH), shutil.which("pdftotext", path=_PATH)
    if draw is None or read is None:
        return None

    def render(content: bytes, bounds: Bounds) -> Rendered:
        last = ["-q", "-l", str(bounds.pages + 1)]
        reading = [read, *last, "-enc", "UTF-8", "-nopgbrk", "-", "-"]
        text = _through(reading, content, lambda out: _text(out, bounds.text_size))
        placing = [read, *last, "-enc", "UTF-8", "-bbox", "-cropbox", "-", "-"]
        words: list[list[Word]] = []
        if text.strip():
            listing = _through(placing, content, lambda out: _text(out, _LISTED * bounds.text_size))
            words = page_words(listing)
        page = _Shown(words)
        drawing = [draw, *last, "-cropbox", "-scale-to", str(bounds.page_side), "-"]
        pages = _through(drawing, content, lambda out: tuple(_pages(out, bounds, page.see)))
        if not pages:
            raise FileRefused(Refusal.DAMAGED)
        return Rendered(pages, text, page.text(text))

    return render


class _Shown:
    """Keeps the words that the pages seen so far show."""

    def __init__(self, words: list[list[Word]]) -> None:
        self._words = words
        self._pages: list[str] = []

    def see(self, picture: Image.Image) -> None:
        """Look at the next page."""
        at = len(self._pages)
        words = self._words[at] if at < len(self._words) else []
        self._pages.append(lines_of(word for word in words if is_shown(word, picture)))

    def text(self, whole: str) -> str | None:
        """The text that is shown, None if that is all there is in `whole`."""
        shown = "\n\n".join(self._pages)
        return None if len("".join(shown.split())) >= len("".join(whole.split())) else shown


def _through(arguments: list[str], content: bytes, take: Callable[[IO[bytes]], _T]) -> _T:
    """Give `content` to a tool and its output to `take`; a failed tool means a refused file."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"},
    )
    feeder = threading.Thread(target=_feed, args=(process, content), daemon=True)
    feeder.start()
    try:
        assert process.stdout is not None
        taken = take(process.stdout)
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        feeder.join()
    if status != 0:
        raise FileRefused(Refusal.PROTECTED if b"/Encrypt" in content else Refusal.DAMAGED)
    return taken


def _feed(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(content)
    with contextlib.suppress(OSError):
        process.stdin.close()


def _pages(out: IO[bytes], bounds: Bounds, see: Callable[[Image.Image], None]) -> Iterator[bytes]:
    """Read a row of PPM pictures, show and give each as JPEG. Raises `FileRefused` for too many."""
    count = size = 0
    while head := out.readline() + out.readline() + out.readline():
        match = _PPM.fullmatch(head)
        if match is None:
            raise FileRefused(Refusal.DAMAGED)
        width, height = int(match[1]), int(match[2])
        # The tool rounds up: a square page comes out one pixel longer than it was told.
        if not (0 < width <= bounds.page_side + 1 and 0 < height <= bounds.page_side + 1):
            raise FileRefused(Refusal.DAMAGED)
        raw = out.read(width * height * 3)
        count += 1
        if count > bounds.pages:
            raise FileRefused(Refusal.TOO_MANY_PAGES)
        if len(raw) != width * height * 3:
            raise FileRefused(Refusal.DAMAGED)
        picture = Image.frombytes("RGB", (width, height), raw)
        see(picture)
        page = encode_jpeg(picture)
        size += len(page)
        if size > bounds.output_size:
            raise FileRefused(Refusal.TOO_LARGE)
        yield page


def _text(out: IO[bytes], most: int) -> str:
    parts, size = [], 0
    while part := out.read(_STEP):
        size += len(part)
        if size > most:
            raise FileRefused(Refusal.TOO_LARGE)
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")
