"""PDF pages as pictures and their text, by poppler's tools; runs inside the sandbox only.

The document goes in and pages come out through pipes. Every page is scaled to a fixed longer side, so
a page of any declared size costs the same. Scripts, files within, form logic and links do not cross.
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
from veildesk.attachments.treat import Rendered, Renderer

__all__ = ["find_renderer"]

_PATH = "/usr/bin:/bin:/usr/local/bin"
_PPM = re.compile(rb"P6\n(\d{1,5}) (\d{1,5})\n255\n")
_STEP = 64 * 1024
_T = TypeVar("_T")


def find_renderer() -> Renderer | None:
    """The renderer if both tools are there."""
    draw, read = shutil.which("pdftoppm", path=_PATH), shutil.which("pdftotext", path=_PATH)
    if draw is None or read is None:
        return None

    def render(content: bytes, bounds: Bounds) -> Rendered:
        last = ["-q", "-l", str(bounds.pages + 1)]
        drawing = [draw, *last, "-scale-to", str(bounds.page_side), "-"]
        pages = _through(drawing, content, lambda out: tuple(_pages(out, bounds)))
        reading = [read, *last, "-enc", "UTF-8", "-nopgbrk", "-", "-"]
        text = _through(reading, content, lambda out: _text(out, bounds))
        if not pages:
            raise FileRefused(Refusal.DAMAGED)
        return Rendered(pages, text)

    return render


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


def _pages(out: IO[bytes], bounds: Bounds) -> Iterator[bytes]:
    """Read a row of PPM pictures and give each as JPEG. Raises `FileRefused` for too many."""
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
        page = encode_jpeg(Image.frombytes("RGB", (width, height), raw))
        size += len(page)
        if size > bounds.output_size:
            raise FileRefused(Refusal.TOO_LARGE)
        yield page


def _text(out: IO[bytes], bounds: Bounds) -> str:
    parts, size = [], 0
    while part := out.read(_STEP):
        size += len(part)
        if size > bounds.text_size:
            raise FileRefused(Refusal.TOO_LARGE)
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")
