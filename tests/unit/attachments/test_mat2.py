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
from veildesk.attachments.reasons import Refusal, Removed
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


@pytest.mark.parametrize("ending", ["mov", "mkv", "webm", "m4a"])
def test_other_recordings_become_mp4(ending: str, tmp_path: Path) -> None:
    done = delivered(f"crash.{ending}", files.recording(ending, tmp_path))
    if not bubblewrap_works():
        assert done.refused == Refusal.AUDIO_VIDEO.sentence
        return
    assert (done.name, done.refused) == ("crash.mp4", None)
    assert done.content is not None
    assert files.PLANT.encode() not in done.content
    assert files.PLANT not in seen_by(["exiftool", "-a", "-u", "-ee", "-G"], "b.mp4", done.content, tmp_path)
    probed = seen_by(["ffprobe", "-loglevel", "error", "-show_streams"], "b.mp4", done.content, tmp_path)
    assert probed.count("[STREAM]") == (1 if ending == "m4a" else 2)


def test_files_in_an_archive_are_cleaned_like_those_outside(tmp_path: Path) -> None:
    photo = files.planted_image("JPEG", tmp_path)
    inner = files.zipped({"deep.flac": files.recording("flac", tmp_path)})
    told = files.report_docx(TEXT + "\nanna@example.org", photo)
    archive = files.zipped(
        {
            "a.log": b"ok",
            "b.mp3": files.recording("mp3", tmp_path),
            "clean.docx": files.report_docx(TEXT, photo),
            "told.docx": told,
            "inner.zip": inner,
            "c.exe": b"\x7fELF" + b"\x00" * 64,
        }
    )
    done = delivered("all.zip", archive)
    assert done.content is not None
    with zipfile.ZipFile(io.BytesIO(done.content)) as members:
        names = sorted(members.namelist())
        if not bubblewrap_works():
            assert "left-out.txt" in names
            return
        assert names == ["a.log", "b.mp3", "clean.docx", "inner.zip", "left-out.txt", "told.txt"]
        for name in names:
            assert files.PLANT.encode() not in members.read(name), name
        assert b"anna@" not in members.read("told.txt")
        assert b"c.exe" not in members.read("left-out.txt").replace(b"c.exe", b"", 1)
        shown = seen_by(["exiftool", "-a", "-u"], "b.mp3", members.read("b.mp3"), tmp_path)
        assert files.PLANT not in shown
        assert files.PLANT not in seen_by(
            ["exiftool", "-a", "-u", "-ee"], "c.docx", members.read("clean.docx"), tmp_path
        )
        with zipfile.ZipFile(io.BytesIO(members.read("inner.zip"))) as deeper:
            assert deeper.namelist() == ["deep.flac"]
            assert files.PLANT.encode() not in deeper.read("deep.flac")


def test_only_sound_in_an_archive(tmp_path: Path) -> None:
    done = delivered("all.zip", files.zipped({"b.mp3": files.recording("mp3", tmp_path)}))
    if bubblewrap_works():
        assert done.refused is None
        assert Removed.MEMBERS.value not in done.removed
    else:
        assert done.refused == Refusal.NOTHING_LEFT.sentence


def test_only_broken_sound_in_an_archive() -> None:
    done = delivered("all.zip", files.zipped({"b.mp3": b"ID3\x04" + b"\x00" * 400}))
    assert (done.content, done.refused) == (None, Refusal.NOTHING_LEFT.sentence)


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
        (b"\x00\x00\x00\x18ftypqt  ", "mp4"),
        (b"\x1aE\xdf\xa3", "mp4"),
        (b"\x00\x00\x00\x18ftypxxxx", None),
    ],
)
def test_the_ending_is_told_by_content(head: bytes, end: str | None) -> None:
    content = head + b"\x00" * 64
    assert tell(content) is Kind.AUDIO_VIDEO
    assert ending_for_mat2(Kind.AUDIO_VIDEO, content) == end
