"""PDF files that hide or show more than their text: nothing planted comes out, nothing shown goes unread."""

from __future__ import annotations

import io
import subprocess
import zlib
from pathlib import Path

import pytest
from PIL import Image

from testbed import hostile_pdfs as pdfs
from testbed.hostile_pdfs import PLANT, SHOWN
from veildesk.attachments.assemble import assemble
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.finish import finish
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.render import find_renderer
from veildesk.attachments.shown import Word, is_shown, lines_of, page_words
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request
from veildesk.core.finding import MaskNumbering
from veildesk.core.ports import Cleaned
from veildesk.redact.apply import redact_text


def delivered(name: str, content: bytes) -> Cleaned:
    """The file as it leaves, redacted with the real engine."""
    cleaned = assemble(f"{name}.pdf", treat(Request(content), find_renderer()), Bounds())
    numbering = MaskNumbering(b"k" * 32)
    return finish(cleaned, lambda text: redact_text(text, numbering).text)


def read(content: bytes, path: Path) -> str:
    """All that independent tools find in a file."""
    path.write_bytes(content)
    found = ""
    for tool in (
        ["strings", "-a"],
        ["strings", "-a", "-el"],
        ["exiftool", "-a", "-u", "-ee"],
        ["unzip", "-p"],
    ):
        done = subprocess.run([*tool, str(path)], capture_output=True, check=False)
        found += done.stdout.decode("utf-8", "replace")
    if path.suffix == ".pdf":
        done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=False)
        found += done.stdout.decode("utf-8", "replace")
    for at in range(len(content)):
        if content.startswith(b"stream\n", at):
            try:
                found += zlib.decompressobj().decompress(content[at + 7 :]).decode("latin-1")
            except zlib.error:
                continue
    return found


@pytest.mark.parametrize("name", sorted(pdfs.hidden()))
def test_what_no_page_shows_comes_out_in_no_form(name: str, tmp_path: Path) -> None:
    done = delivered(name, pdfs.hidden()[name])
    assert done.content is not None
    found = read(done.content, tmp_path / done.name)
    assert PLANT not in found
    assert PLANT.partition("@")[0] not in found
    if done.media_type == "text/plain":
        assert done.content.decode() == f"{SHOWN}\n"


def test_what_lies_outside_the_crop_box_is_not_drawn() -> None:
    item = treat(Request(pdfs.hidden()["outside-crop-box"]), find_renderer())
    with Image.open(io.BytesIO(item.pages[0])) as page:
        assert page.width > page.height  # the box is wider than high, the whole page is not
        lower = page.convert("L").crop((0, page.height // 2, page.width, page.height))
        assert min(lower.tobytes()) > 200


@pytest.mark.parametrize("name", sorted(pdfs.visible()))
def test_what_a_page_shows_beside_its_text_is_redacted(name: str) -> None:
    done = delivered(name, pdfs.visible()[name])
    assert done.media_type == "text/plain"
    assert done.content is not None
    words = done.content.decode().split()
    assert set(words) == {*SHOWN.split(), "[email-1]"}


@pytest.mark.parametrize("name", sorted(pdfs.shaped()))
def test_a_broken_shape_is_drawn_or_refused(name: str) -> None:
    done = delivered(name, pdfs.shaped()[name])
    assert (done.content is None) == (done.refused is not None)
    assert done.content is None or done.content.startswith((b"%PDF-", SHOWN.encode()))


def test_a_password_is_a_refusal() -> None:
    assert delivered("locked", pdfs.protected("x")).refused == Refusal.PROTECTED.sentence


def test_a_file_that_opens_without_a_password_is_read() -> None:
    done = delivered("rights", pdfs.protected(""))
    assert (
        done.content == f"{SHOWN}\n\n[email-1]\n".encode() or done.content == f"{SHOWN}\n[email-1]\n".encode()
    )


def test_shown_is_what_has_contrast_in_the_middle_of_its_box() -> None:
    picture = Image.new("RGB", (600, 800), "white")
    word = Word("word", (10, 10, 60, 22), 800)
    assert not is_shown(word, picture)
    picture.paste((250, 250, 250), (20, 12, 30, 20))
    assert not is_shown(word, picture)
    picture.paste((200, 255, 255), (20, 12, 30, 20))
    assert is_shown(word, picture)
    assert not is_shown(Word("word", (700, 900, 760, 912), 800), picture)


def test_words_of_a_listing() -> None:
    word = '<word xMin="{}" yMin="{}" xMax="{}" yMax="{}">{}</word>\n'
    listing = (
        '<page width="612.0" height="792.0">\n'
        + word.format(1, 2, 9, 12, "a&amp;b")
        + word.format(12, 2.5, 19, 12.5, "c")
        + word.format(1, 20, 9, 30, "d")
        + '</page>\n<page width="9.0" height="9.0">\n</page>'
    )
    first, second = page_words(listing)
    assert lines_of(first) == "a&b c\nd"
    assert second == []
