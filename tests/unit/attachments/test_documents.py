"""Office files give their visible text only; PDF becomes pictures and text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testbed import attachment_files as files
from veildesk.attachments.assemble import assemble
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.finish import finish
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.render import find_renderer
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request
from veildesk.core.ports import Cleaned


def clean(name: str, content: bytes, bounds: Bounds | None = None) -> Cleaned:
    bounds = bounds or Bounds()
    return assemble(name, treat(Request(content, bounds=bounds), find_renderer()), bounds)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.docx", files.docx(), "Firmware 2.1.3 fails.\nWrite to anna@example.org.\nleft\n\t\n"),
        ("a.xlsx", files.xlsx(), "[Errors]\nE42\t42\n"),
        ("a.pptx", files.pptx(), "Screen stays black\n"),
        ("a.odt", files.odt(), "Report\nSync   stops\nat block 7\n"),
    ],
)
def test_the_visible_text_of_office_files(name: str, content: bytes, text: str) -> None:
    cleaned = clean(name, content)
    assert (cleaned.content or b"").decode() == text
    assert cleaned.text
    assert cleaned.name == "a.txt"
    assert {"everything but the text", "hidden parts"} <= set(cleaned.removed)


def test_an_alternative_is_read_once() -> None:
    box = (
        "<mc:AlternateContent xmlns:mc='m'><mc:Choice><w:t>once</w:t></mc:Choice>"
        "<mc:Fallback><w:t>once</w:t></mc:Fallback></mc:AlternateContent>"
    )
    assert clean("a.docx", files.docx(f"<w:p><w:r>{box}</w:r></w:p>")).content == b"once\n"


def test_visible_is_what_says_it_is_not_hidden() -> None:
    body = "<w:p><w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>seen</w:t></w:r></w:p>"
    assert clean("a.docx", files.docx(body)).content == b"seen\n"


def test_an_encrypted_open_document_is_refused() -> None:
    members = {
        "mimetype": b"application/vnd.oasis.opendocument.text",
        "content.xml": b"\x93\x11\x08",
        "META-INF/manifest.xml": b"<m><encryption-data/></m>",
    }
    assert clean("a.odt", files.zipped(members, first="mimetype")).refused == Refusal.PROTECTED.sentence


def test_a_missing_part_is_damage() -> None:
    broken = files.zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
    assert clean("a.xlsx", broken).refused == Refusal.DAMAGED.sentence


def tool(arguments: list[str], content: bytes, tmp_path: Path) -> str:
    path = tmp_path / "out.pdf"
    path.write_bytes(content)
    return subprocess.run([*arguments, str(path), *(["-"] if arguments[0] == "pdftotext" else [])],
                          check=True, capture_output=True).stdout.decode()  # fmt: skip


def test_a_pdf_without_findings_is_delivered_as_pictures(tmp_path: Path) -> None:
    cleaned = clean("manual.pdf", files.pdf(pages=3))
    assert cleaned.text
    assert (cleaned.name, cleaned.content) == (
        "manual.txt",
        b"Firmware 2.1.3 fails\n\n" * 2 + b"Firmware 2.1.3 fails\n",
    )
    done = finish(cleaned, lambda text: text)
    assert (done.name, done.media_type, done.text) == ("manual.pdf", "application/pdf", False)
    assert done.content is not None
    assert files.PLANT.encode() not in done.content
    info = tool(["pdfinfo"], done.content, tmp_path)
    assert "Pages:           3" in info
    assert "JavaScript:      no" in info
    assert not {"Author", "Title", "Creator", "Producer", "CreationDate"} & {
        line.partition(":")[0] for line in info.splitlines()
    }
    assert tool(["pdftotext"], done.content, tmp_path).strip() == ""
    assert files.PLANT not in tool(["exiftool", "-a", "-u"], done.content, tmp_path)
    images = tool(["pdfimages", "-list"], done.content, tmp_path).splitlines()[2:]
    assert [line.split()[8] for line in images] == ["jpeg"] * 3


def test_a_pdf_with_findings_is_delivered_as_redacted_text() -> None:
    cleaned = clean("letter.pdf", files.pdf("Call anna@example.org"))
    done = finish(cleaned, lambda text: text.replace("anna@example.org", "[email-1]"))
    assert (done.name, done.content, done.rendered) == ("letter.txt", b"Call [email-1]\n", None)


def test_a_pdf_without_text_is_pictures_at_once() -> None:
    cleaned = clean("scan.pdf", files.pdf(""))
    assert (cleaned.name, cleaned.text, cleaned.media_type) == ("scan.pdf", False, "application/pdf")


@pytest.mark.parametrize("box", ["200 200", "842 595", "1 1", "14400 14400"])
def test_a_page_of_any_shape_is_drawn(box: str) -> None:
    page = files.pdf("It stops at step 4.", box=f"0 0 {box}")
    assert clean("a.pdf", page).refused is None


def test_the_same_pages_give_the_same_bytes() -> None:
    assert clean("a.pdf", files.pdf("")).content == clean("a.pdf", files.pdf("")).content


def test_pages_are_bounded_and_never_cut() -> None:
    assert clean("a.pdf", files.pdf(pages=4), Bounds(pages=3)).refused == Refusal.TOO_MANY_PAGES.sentence
    assert clean("a.pdf", files.pdf(pages=3), Bounds(pages=3)).rendered is not None


def test_without_a_renderer_pdf_is_refused() -> None:
    assert treat(Request(files.pdf())).refused is Refusal.NO_PDF
