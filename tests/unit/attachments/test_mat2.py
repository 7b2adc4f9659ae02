"""Office files, sound and film lose what names people, as tools that are not ours see it."""

from __future__ import annotations

import asyncio
import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from testbed import attachment_files as files
from testbed.namespaces import bubblewrap_works
from veildesk.attachments.finish import finish
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.mat2 import ending_for_mat2
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.core.finding import MaskNumbering
from veildesk.core.ports import Cleaned
from veildesk.redact.apply import redact_text

TEXT = "The wallet stops with error 0x80070005.\nVersion 2.1.3 on Windows 10.0.19045.3570"


def delivered(name: str, content: bytes) -> Cleaned:
    """What an agent would get."""
    cleaned = asyncio.run(SandboxCleaner().clean(name, "", content))
    return finish(cleaned, lambda text: redact_text(text, MaskNumbering(b"k")).text)


def seen_by(tool: list[str], name: str, content: bytes, folder: Path) -> str:
    path = folder / name
    path.write_bytes(content)
    return subprocess.run([*tool, str(path)], check=True, capture_output=True).stdout.decode(
        "utf-8", "replace"
    )


def test_a_document_without_findings_stays_a_document(tmp_path: Path) -> None:
    done = delivered("Bericht.docx", files.report_docx(TEXT, files.planted_image("JPEG", tmp_path)))
    if not bubblewrap_works():
        assert (done.name, done.text) == ("Bericht.txt", True)
        return
    assert (done.name, done.media_type.rpartition(".")[2]) == ("Bericht.docx", "document")
    assert done.content is not None
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        assert archive.testzip() is None
        assert "0x80070005" in archive.read("word/document.xml").decode()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        for name in archive.namelist():
            part = archive.read(name)
            assert files.PLANT.encode() not in part
            assert b"00AB12CD" not in part
            if name.endswith(".jpeg"):
                shown = seen_by(["exiftool", "-a", "-u", "-G"], "inner.jpeg", part, tmp_path)
                assert files.PLANT not in shown
                assert "GPS" not in shown
    assert files.PLANT not in seen_by(["exiftool", "-a", "-u", "-ee"], "a.docx", done.content, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda p: files.report_docx(TEXT + "\nanna@example.org", p), id="in its text"),
        pytest.param(lambda p: files.report_docx(TEXT, p, link="mailto:anna@example.org"), id="in a link"),
        pytest.param(
            lambda p: files.report_docx(TEXT, p, remote="http://x.example/p.png"), id="fetches a picture"
        ),
    ],
)
def test_else_its_redacted_text_is_delivered(content: object, tmp_path: Path) -> None:
    done = delivered("a.docx", content(files.planted_image("JPEG", tmp_path)))  # type: ignore[operator]
    assert (done.name, done.text) == ("a.txt", True)
    assert b"anna@" not in (done.content or b"")


@pytest.mark.parametrize("ending", ["mp3", "flac", "wav", "mp4", "avi"])
def test_sound_and_film_lose_their_tags(ending: str, tmp_path: Path) -> None:
    content = files.recording(ending, tmp_path)
    done = delivered(f"crash.{ending}", content)
    if not bubblewrap_works():
        assert done.refused == Refusal.AUDIO_VIDEO.sentence
        return
    assert (done.name, done.refused) == (f"crash.{ending}", None)
    assert done.content is not None
    shown = seen_by(["exiftool", "-a", "-u", "-ee", "-G"], f"b.{ending}", done.content, tmp_path)
    assert files.PLANT not in shown
    assert "GPS" not in shown
    assert "52 deg" not in shown
    probed = seen_by(
        ["ffprobe", "-loglevel", "error", "-show_format", "-show_streams"],
        f"b.{ending}",
        done.content,
        tmp_path,
    )
    assert files.PLANT not in probed
    assert probed.count("[STREAM]") == (2 if ending in ("mp4", "avi") else 1)


def test_sound_in_an_archive_is_not_delivered(tmp_path: Path) -> None:
    archive = files.zipped({"a.log": b"ok", "b.mp3": files.recording("mp3", tmp_path)})
    done = delivered("all.zip", archive)
    assert done.content is not None
    with zipfile.ZipFile(io.BytesIO(done.content)) as members:
        assert sorted(members.namelist()) == ["a.log", "left-out.txt"]


def test_broken_film_is_refused() -> None:
    broken = b"\x00\x00\x00\x18ftypisom" + b"\x00" * 400
    assert delivered("a.mp4", broken).refused == Refusal.AUDIO_VIDEO.sentence


@pytest.mark.parametrize(
    ("head", "end"),
    [
        (b"fLaC", "flac"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"RIFF\x00\x00\x00\x00WAVE", "wav"),
        (b"RIFF\x00\x00\x00\x00AVI ", "avi"),
        (b"\x00\x00\x00\x18ftypqt  ", None),
        (b"\x1aE\xdf\xa3", None),
    ],
)
def test_the_ending_is_told_by_content(head: bytes, end: str | None) -> None:
    content = head + b"\x00" * 64
    assert tell(content) is Kind.AUDIO_VIDEO
    assert ending_for_mat2(Kind.AUDIO_VIDEO, content) == end
