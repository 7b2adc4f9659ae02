"""Kinds, names, text and the wire form, each alone."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from testbed import attachment_files as files
from veildesk.attachments.assemble import assemble
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.images import reencode
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.names import ending, refused_name, safe_name
from veildesk.attachments.pages import picture_pdf
from veildesk.attachments.reasons import FileRefused, Refusal, Removed
from veildesk.attachments.scan import leftovers
from veildesk.attachments.texts import declared_charset, decode, is_plain, plain
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import (
    BadAnswer,
    Item,
    Request,
    decode_item,
    decode_request,
    encode_item,
    encode_request,
)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"plain text", Kind.TEXT),
        ("Ошибка".encode("cp1251") * 9, Kind.TEXT),
        ("\ufeffhello".encode("utf-16"), Kind.TEXT),
        (b'{"a": 1}', Kind.TEXT),
        (b"<?xml version='1.0'?><log><line/></log>", Kind.TEXT),
        (b"<?xml version='1.0'?>\n<!-- c --><svg:svg xmlns:svg='x'/>", Kind.SVG),
        ("<svg/>".encode("utf-16"), Kind.SVG),
        (b"  <!DOCTYPE html><p>x", Kind.HTML),
        (b"<script>x</script>", Kind.HTML),
        (b"From: a b\nnot a header line\n", Kind.TEXT),
        (b"subject: x\n\nerror in from: field\n", Kind.TEXT),
        (b"\x99\x01\x0d\x04" + bytes(60), Kind.PUBLIC_KEY),
        (b"\xc6\x33\x04" + bytes(60), Kind.PUBLIC_KEY),
        (b"\x95\x01\x0d\x04" + bytes(60), Kind.PRIVATE_KEY),
        (b"-----BEGIN PGP MESSAGE-----\n\nx", Kind.PGP_DATA),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", Kind.PRIVATE_KEY),
        (b"see below\n-----BEGIN PGP MESSAGE-----\n\nx", Kind.TEXT),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", Kind.AUDIO_VIDEO),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Kind.WEBP),
        (b"\x00\x00\x00\x18ftypheic" + bytes(9), Kind.OTHER_IMAGE),
        (b"BMW motor control log", Kind.TEXT),
        (b"MZ is the mark of DOS programs", Kind.TEXT),
        (b"", Kind.EMPTY),
        (bytes(64), Kind.UNKNOWN),
    ],
)
def test_kinds_are_told_by_content(content: bytes, kind: Kind) -> None:
    assert tell(content) is kind


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_treated(content: bytes) -> None:
    item = decode_item(encode_item(treat(Request(content))))
    result = assemble("x", item, Bounds())
    assert (result.content is None) == (result.refused is not None)


@pytest.mark.parametrize(
    "head",
    [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"GIF89a", b"II*\x00", b"PK\x03\x04"],
)
@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_bytes_after_a_known_beginning_are_treated(head: bytes, content: bytes) -> None:
    item = treat(Request(head + content))
    assert item.refused is None or item.refused is not Refusal.FAILED


@pytest.mark.parametrize(
    ("given_name", "end", "safe"),
    [
        ("../../etc/passwd", "txt", "passwd.txt"),
        ("C:\\Users\\x\\a.log", "log", "a.log"),
        ("photo.PNG.exe", "jpg", "photo.PNG.jpg"),
        ("\u202egnp.exe", "png", "gnp.png"),
        ("a\x00b\nc.txt", "txt", "a_b_c.txt"),
        ("", "png", "file.png"),
        ("...", "png", "file.png"),
        ("con.txt", "txt", "file.txt"),
        ("отчёт об ошибке.txt", "txt", "отчёт об ошибке.txt"),
        ("IMG_20260102_030405.jpg", "jpg", "image.jpg"),
        ("Screenshot 2026-01-02 at 03.04.05.png", "png", "image.png"),
        ("log-2026-01-02.txt", "txt", "log-2026-01-02.txt"),
        ("<script>\"'`$(x);&|.txt", "txt", "script_(x).txt"),
        ("-rf.txt", "txt", "rf.txt"),
        ("backup.tar.gz", "zip", "backup.zip"),
        ("x" * 300 + ".log", "log", "x" * 76 + ".log"),
    ],
)
def test_names_become_safe(given_name: str, end: str, safe: str) -> None:
    assert safe_name(given_name, end) == safe


@given(st.text(max_size=120))
def test_any_name_becomes_safe(name: str) -> None:
    for safe in (safe_name(name, "txt"), refused_name(name)):
        assert safe.isprintable()
        assert not set(safe) & set('/\\:*?"<>|\x00')
        assert 0 < len(safe) <= 80
        assert len(safe.encode()) <= 255
        assert not safe.startswith((".", "-", " "))


def test_endings_of_text_are_harmless() -> None:
    assert ending(Kind.TEXT, "a.log") == "log"
    assert {ending(Kind.TEXT, name) for name in ("a.html", "a.svg", "a.bat", "a.csv", "a", "a.eml")} == {
        "txt"
    }


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("Größe".encode(), "", "Größe"),
        ("Größe".encode("cp1252"), "", "Größe"),
        ("Ошибка устройства".encode("cp1251"), "", "Ошибка устройства"),
        ("エラー".encode("shift_jis"), "shift_jis", "エラー"),
        ("Error 42: ö".encode("utf-16-be"), "", "Error 42: ö"),
        (b"\xef\xbb\xbfa", "koi8-r", "a"),
        ("Größe 5 größer ".encode() * 3 + b"\xff", "", "Größe 5 größer " * 3 + "\ufffd"),
    ],
)
def test_charsets(content: bytes, charset: str, text: str) -> None:
    assert decode(content, charset) == text


def test_only_real_charsets_are_believed() -> None:
    assert declared_charset("text/plain; charset=ISO-8859-2") == "ISO-8859-2"
    assert declared_charset("text/plain; charset=unicode_escape") == ""
    assert declared_charset("text/plain; charset=utf-7") == ""


@given(st.text(alphabet=st.characters(), max_size=60))
def test_plain_text_is_plain_and_stays(text: str) -> None:
    once, _ = plain(text)
    assert is_plain(once)
    assert plain(once) == (once, False)


def test_ten_megabytes_on_one_line() -> None:
    item = treat(Request(b"\x1b" * 1000 + b"a" * (10 * 1024 * 1024 - 2000)))
    assert item.text
    assert len(item.content or b"") > 10_000_000


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "YCbCr"])
def test_every_mode_of_pixels(mode: str) -> None:
    kind, name = (Kind.JPEG, "JPEG") if mode in ("CMYK", "YCbCr") else (Kind.PNG, "PNG")
    if mode in ("I;16", "I"):
        out = io.BytesIO()
        Image.new("I;16", (4, 4), 0x8000).save(out, "PNG")
        content = out.getvalue()
    else:
        content = files.encoded(name, mode)
    picture = reencode(kind, content, Bounds())
    with Image.open(io.BytesIO(picture.content)) as image:
        image.load()
        if mode in ("I;16", "I"):
            assert image.getpixel((0, 0)) == 0x80
        elif mode == "P":
            assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_an_animation_is_one_picture_and_says_so() -> None:
    out = io.BytesIO()
    frames = [Image.new("L", (8, 8), number) for number in (0, 99, 200)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert Removed.FRAMES in reencode(Kind.GIF, out.getvalue(), Bounds()).removed


def test_pixels_are_bounded() -> None:
    with pytest.raises(FileRefused) as caught:
        reencode(Kind.PNG, files.encoded("PNG"), Bounds(pixels=96 * 64 - 1))
    assert caught.value.reason is Refusal.TOO_MANY_PIXELS
    assert reencode(Kind.PNG, files.encoded("PNG"), Bounds(pixels=96 * 64)).kind is Kind.PNG


def test_scanning_finds_what_is_left() -> None:
    jpeg, png = files.encoded("JPEG"), files.encoded("PNG")
    assert leftovers(Kind.JPEG, jpeg) == ()
    assert leftovers(Kind.PNG, png) == ()
    assert leftovers(Kind.JPEG, files.encoded("JPEG", comment=b"x")) == ("segment-fe",)
    assert leftovers(Kind.JPEG, files.encoded("JPEG", exif=b"Exif\x00\x00II*\x00")) == ("segment-e1",)
    assert leftovers(Kind.JPEG, jpeg + b"x") == ("trailing",)
    assert leftovers(Kind.PNG, png + b"x") == ("trailing",)
    assert leftovers(Kind.JPEG, jpeg[:-2]) == ("broken",)
    assert leftovers(Kind.PNG, png[:-4]) == ("broken",)
    assert leftovers(Kind.PNG, files.encoded("PNG", dpi=(72, 72))) == ("chunk-70485973",)
    assert leftovers(Kind.TEXT, b"x") == ("not-an-image",)


def test_a_progressive_photo_scans_clean() -> None:
    assert leftovers(Kind.JPEG, files.encoded("JPEG", progressive=True)) == ()


def test_what_a_worker_must_not_hand_on() -> None:
    jpeg = files.encoded("JPEG")
    for item in (
        Item(Kind.JPEG, content=files.encoded("JPEG", comment=b"x")),
        Item(Kind.JPEG, content=files.encoded("PNG")),
        Item(Kind.PDF, content=b"%PDF-1.4"),
        Item(Kind.SVG, content=b"<svg/>"),
        Item(Kind.TEXT, content=b"a\x00", text=True),
        Item(Kind.TEXT, content=b"\xff", text=True),
        Item(Kind.TEXT),
        Item(Kind.PDF, pages=(b"no picture",)),
        Item(Kind.PDF, pages=(jpeg + b"x",)),
        Item(Kind.PDF, pages=(files.encoded("JPEG", "CMYK"),)),
        Item(Kind.JPEG, content=jpeg, pages=(jpeg,)),
        Item(Kind.JPEG, content=jpeg + bytes(30 * 1024 * 1024)),
    ):
        assert assemble("a", item, Bounds()).refused == Refusal.NOT_CLEAN.sentence


def test_the_wire_carries_everything_back() -> None:
    leaf = Item(Kind.JPEG, content=b"abc", removed=(Removed.LOCATION,))
    item = Item(
        Kind.ZIP, members=(("a", leaf), ("b", Item(Kind.PDF, content=b"t", text=True, pages=(b"1", b""))))
    )
    assert decode_item(encode_item(item)) == item
    request = Request(b"content", "koi8-r", Bounds(pages=3))
    assert decode_request(encode_request(request)) == request


@given(st.binary(max_size=200), st.integers(0, 400))
def test_broken_answers_are_noticed(junk: bytes, at: int) -> None:
    whole = encode_item(Item(Kind.ZIP, members=(("a", Item(Kind.TEXT, content=b"abc", text=True)),)))
    for broken in (junk, whole[:at] + junk + whole[at:]):
        if broken != whole:
            try:
                item = decode_item(broken)
            except BadAnswer:
                continue
            assert isinstance(item.kind, Kind)


def test_answers_too_deep_or_with_words_of_their_own_are_refused() -> None:
    item = Item(Kind.TEXT, content=b"a", text=True)
    for _ in range(5):
        item = Item(Kind.ZIP, members=(("a", item),))
    with pytest.raises(BadAnswer):
        decode_item(encode_item(item))
    foreign = encode_item(Item(Kind.TEXT, refused=Refusal.EMPTY)).replace(b'"empty"', b'"curse"')
    with pytest.raises(BadAnswer):
        decode_item(foreign)


def test_a_page_without_pixels_is_no_page() -> None:
    with pytest.raises(ValueError):
        picture_pdf([b"\xff\xd8\xff\xd9"])


def test_every_reason_has_one_sentence() -> None:
    for reason in Refusal:
        assert reason.sentence.endswith(".")
        assert "{" not in reason.sentence
