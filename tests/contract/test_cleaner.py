"""What every `Cleaner` owes, sandboxed or not."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from testbed import attachment_files as files
from testbed.namespaces import bubblewrap_works
from veildesk.attachments.inprocess import InProcessCleaner
from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.core.ports import Cleaner
from veildesk.core.ticket import Level

PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEAAAAABYJ\n-----END PGP PUBLIC KEY BLOCK-----\n"


@pytest.fixture(params=["bubblewrap", "limits-only", "in-process"])
def cleaner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cleaner:
    if request.param == "in-process":
        return InProcessCleaner()
    if request.param == "limits-only":
        with monkeypatch.context() as patch:
            patch.setenv("PATH", str(tmp_path))
            return SandboxCleaner()
    return SandboxCleaner()


def metadata(content: bytes) -> dict[str, str]:
    """What exiftool sees beside the structure of the file."""
    told = subprocess.run(
        ["exiftool", "-a", "-u", "-G0", "-s", "-"], input=content, capture_output=True, check=True
    )
    lines = told.stdout.decode().splitlines()
    tags = dict(line.split(":", 1) for line in lines)
    return {
        tag: value
        for tag, value in tags.items()
        if not tag.startswith(("[File]", "[ExifTool]", "[Composite]"))
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
async def test_nothing_planted_in_an_image_is_left(cleaner: Cleaner, kind: str, tmp_path: Path) -> None:
    planted = files.planted_image(kind, tmp_path)
    assert files.PLANT.encode() in planted
    cleaned = await cleaner.clean(f"photo.{kind.lower()}", "image/whatever", planted)
    assert cleaned.refused is None
    assert cleaned.content is not None
    assert files.PLANT.encode() not in cleaned.content
    allowed = ("JFIF", "PNG")
    assert [tag for tag in metadata(cleaned.content) if tag.strip("[").split("]")[0] not in allowed] == []
    assert {"metadata", "location", "colour profile"} <= set(cleaned.removed)
    assert cleaned.name == ("photo.jpg" if kind == "JPEG" else "photo.png")
    with Image.open(io.BytesIO(cleaned.content)) as image:
        image.load()
        assert image.size == (96, 64)
        assert not image.getexif()
        assert not {"icc_profile", "exif", "xmp", "comment", "photoshop"} & image.info.keys()


async def test_a_turned_photo_stands_upright(cleaner: Cleaner, tmp_path: Path) -> None:
    cleaned = await cleaner.clean("a.jpg", "image/jpeg", files.planted_image("JPEG", tmp_path, orientation=6))
    with Image.open(io.BytesIO(cleaned.content or b"")) as image:
        assert image.size == (64, 96)
        red, green, _ = image.convert("RGB").getpixel((60, 4))  # type: ignore[misc]
        assert red > 200
        assert green < 80


async def test_text_is_marked_for_redaction(cleaner: Cleaner) -> None:
    cleaned = await cleaner.clean("app.log", "text/plain", b"\xef\xbb\xbfone\r\ntwo\x00\x1b[31m red\x1b[0m\n")
    assert cleaned.text is True
    assert cleaned.content == b"one\ntwo red\n"
    assert (cleaned.name, cleaned.media_type) == ("app.log", "text/plain")


async def test_the_declared_charset_counts_where_bytes_do_not_tell(cleaner: Cleaner) -> None:
    cleaned = await cleaner.clean("a.txt", 'text/plain; charset="koi8-r"', "Ошибка".encode("koi8-r"))
    assert (cleaned.content or b"").decode() == "Ошибка"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.svg", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "Vector drawings"),
        ("winmail.dat", b"\x78\x9f\x3e\x22" + bytes(40), "winmail.dat"),
        ("key.asc", PUBLIC_KEY.encode(), "names its owner"),
        ("movie.mp4", b"\x00\x00\x00\x18ftypisom" + bytes(40), "This audio or video"),
        ("setup.txt", b"MZ\x90\x00" + bytes(60), "Programs"),
        ("empty.txt", b"", "empty"),
        ("noise.png", bytes(range(256)) * 8, "kind of file"),
        ("big.txt", b"a" * (10 * 1024 * 1024 + 1), "larger"),
    ],
)
async def test_what_is_not_understood_is_refused(
    cleaner: Cleaner, name: str, content: bytes, words: str
) -> None:
    cleaned = await cleaner.clean(name, "text/plain", content)
    assert cleaned.content is None
    assert cleaned.refused is not None
    assert words in cleaned.refused
    assert cleaned.name == name


async def test_members_of_an_archive_come_apart(cleaner: Cleaner) -> None:
    members = {
        "logs/a.log": b"line\r\n",
        "shot.png": files.encoded("PNG"),
        "x.exe": b"MZ\x90\x00" + bytes(60),
    }
    cleaned = await cleaner.clean("all.zip", "application/zip", files.zipped(members))
    assert cleaned.content is None
    assert [(member.name, member.text, member.refused is None) for member in cleaned.members] == [
        ("a.log", True, True),
        ("shot.png", False, True),
        ("x.exe", False, False),
    ]


async def test_any_bytes_get_an_answer(cleaner: Cleaner) -> None:
    for content in (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"PK\x03\x04",
        b"%PDF-",
        b"\x1f\x8b\x08",
        b"GIF89a",
        b"BM",
    ):
        cleaned = await cleaner.clean("\u202egnp.\x00../../x", "", content + b"\x00\x01\x02\x03" * 20)
        assert cleaned.content is None
        assert cleaned.refused
        assert cleaned.name.isprintable()
        assert "/" not in cleaned.name


async def test_only_a_tried_sandbox_is_called_one(cleaner: Cleaner, request: pytest.FixtureRequest) -> None:
    result, *_ = await cleaner.check()  # type: ignore[attr-defined]
    sandboxed = Level.OK if bubblewrap_works() else Level.WARN
    expected = {"bubblewrap": sandboxed, "limits-only": Level.WARN, "in-process": Level.FAIL}
    assert result.level is expected[request.node.callspec.params["cleaner"]]
