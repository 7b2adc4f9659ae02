"""Archives are opened within bounds and put together anew, with redaction of everything that is text."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from testbed import attachment_files as files
from veildesk.attachments.assemble import assemble
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.finish import finish
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request
from veildesk.core.ports import Cleaned


def clean(name: str, content: bytes, **bounds: int) -> Cleaned:
    limits = Bounds(**bounds)  # type: ignore[arg-type]
    return assemble(name, treat(Request(content, bounds=limits)), limits)


def mask(text: str) -> str:
    return text.replace("anna@example.org", "[email-1]").replace("anna", "[name-1]")


def test_a_new_zip_tells_nothing_of_the_old() -> None:
    members = {
        "home/anna/anna.log": b"mail anna@example.org\r\n",
        "other/anna.log": b"second\n",
        "shot.png": files.encoded("PNG"),
        "anna.exe": b"MZ\x90\x00" + bytes(60),
        "__MACOSX/._a.log": b"litter",
    }
    done = finish(clean("anna.zip", files.zipped(members)), mask)
    assert (done.name, done.media_type, done.members, done.text) == (
        "[name-1].zip",
        "application/zip",
        (),
        False,
    )
    with zipfile.ZipFile(io.BytesIO(done.content or b"")) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
        assert all(info.extra == b"" and info.comment == b"" for info in archive.infolist())
    assert list(contents) == ["[name-1].log", "[name-1]-2.log", "shot.png", "left-out.txt"]
    assert contents["[name-1].log"] == b"mail [email-1]\n"
    assert contents["left-out.txt"].decode() == f"[name-1].exe: {Refusal.PROGRAM.sentence}\n"
    assert "files that cannot be cleaned" in done.removed
    assert finish(clean("anna.zip", files.zipped(members)), mask).content == done.content


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_is_opened_like_zip(mode: str) -> None:
    packed = files.tarred({"a.log": b"one\n", "d/b.log": b"two\n"}, mode)
    done = finish(clean("logs.tar.gz", packed), mask)
    assert done.name == "logs.zip"
    with zipfile.ZipFile(io.BytesIO(done.content or b"")) as archive:
        assert archive.namelist() == ["a.log", "b.log"]
    assert files.PLANT.encode() not in (done.content or b"")


def test_a_compressed_log_is_a_log() -> None:
    packed = io.BytesIO()
    with gzip.GzipFile("anna-secret.log", "wb", fileobj=packed, mtime=1) as stream:
        stream.write(b"line one\n" * 5)
    cleaned = clean("app.log.gz", packed.getvalue() + gzip.compress(b"line two\n"))
    assert (cleaned.name, cleaned.text) == ("app.log", True)
    assert cleaned.content == b"line one\n" * 5 + b"line two\n"


def test_nested_archives_are_put_together_too() -> None:
    inner = files.zipped({"a.txt": b"anna\n"})
    done = finish(clean("a.zip", files.zipped({"in.zip": inner, "b.txt": b"b"})), mask)
    with (
        zipfile.ZipFile(io.BytesIO(done.content or b"")) as outer,
        zipfile.ZipFile(io.BytesIO(outer.read("in.zip"))) as archive,
    ):
        assert archive.read("a.txt") == b"[name-1]\n"


def test_what_unpacks_too_far_is_not_opened() -> None:
    logs = files.zipped({"a.log": b"12345678\n" * 100, "b.log": b"x" * 1000})
    assert clean("a.zip", logs, unpacked=1500).refused == Refusal.BOMB.sentence
    assert clean("a.zip", logs, unpacked=2000).members
    assert clean("a.zip", logs, ratio=2, ratio_floor=100).refused == Refusal.BOMB.sentence
    assert clean("a.gz", gzip.compress(bytes(5000)), unpacked=4000).refused == Refusal.BOMB.sentence


def test_the_budget_is_shared_over_levels() -> None:
    inner = files.zipped({"a.log": b"x" * 900})
    outer = files.zipped({f"{n}.zip": inner for n in range(5)})
    assert clean("a.zip", outer, unpacked=4000).refused == Refusal.BOMB.sentence


@pytest.mark.parametrize("cut", [30, 60, 90])
def test_cut_archives_are_damaged(cut: int) -> None:
    for packed in (files.zipped({"a.log": b"x" * 500}), files.tarred({"a.log": b"x" * 500}, "w:gz")):
        result = clean("a", packed[:cut])
        assert result.refused == Refusal.DAMAGED.sentence


def test_a_refusal_keeps_its_reason_and_a_redacted_name() -> None:
    done = finish(clean("anna.svg", b"<svg/>"), mask)
    assert (done.name, done.content, done.refused) == ("[name-1].svg", None, Refusal.DRAWING.sentence)
