"""Character sets, encoded words and the cleaning of lines and texts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.mail.charset import clean_line, clean_text, decode_bytes, decode_header
from veildesk.mail.parameters import parse_parameters


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "日本語が正常に"),
        ("shift_jis", "件名テスト①"),
        ("ks_c_5601-1987", "고맙습니다"),
        ("gb18030", "测试𠀀"),
        ("gb2312", "测试"),
        ("koi8-r", "тест"),
        ("windows-1251", "программа"),
        ("windows-1252", "“quoted” €"),
        ("utf-7", "Grüße"),
        ("euc-jp", "日本語"),
        ("big5", "中文"),
        ("iso-8859-15", "€ äöü"),
    ],
)
def test_common_charsets(charset: str, text: str) -> None:
    codec = {"ks_c_5601-1987": "cp949", "shift_jis": "cp932"}.get(charset, charset)
    assert decode_bytes(text.encode(codec), charset) == text


@pytest.mark.parametrize(
    "charset", [None, "", "x-unknown", "us-ascii", "idna", "unicode_escape", "zlib", "rot13"]
)
def test_unknown_or_unsafe_charsets_fall_back(charset: str | None) -> None:
    assert decode_bytes("Grüße".encode(), charset) == "Grüße"
    assert decode_bytes(b"Gr\xfc\xdfe", charset) == "Grüße"


def test_vendor_characters_in_iso_2022_jp() -> None:
    assert decode_bytes(b"\x1b$B-!\x1b(B \x1b$B4]?t;z\x1b(B!", "iso-2022-jp") == "① 丸数字!"
    assert decode_bytes(b"\x1b$B\xff\x1b", "iso-2022-jp") is not None


def test_latin_1_with_control_bytes_is_windows_1252() -> None:
    assert decode_bytes(b"\x93hi\x94", "iso-8859-1") == "“hi”"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?q?a=0d=0aBcc:_x@example.org?=", "a Bcc: x@example.org"),
        (b"=?utf-8?b?w6Q=?= =?utf-8?b?w6Q=?=", "ää"),
        (b"=?utf-8?b?w6Q=?=\r\n plain", "ä plain"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?pA==?=", "ä"),
        (b"=?utf-8?q?foo?=.bar", "foo.bar"),
        (b"=?utf-8*de?q?f=C3=BC?=", "fü"),
        (b"=?utf-8?x?foo?=", "=?utf-8?x?foo?="),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        ("abc\u202egnp.exe".encode(), "abcgnp.exe"),
        (b"a\0b\x1b[31mc", "a b [31mc"),
    ],
)
def test_header_values(raw: bytes, text: str) -> None:
    assert decode_header(raw) == text


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"attachment; filename*=utf-8''Ma%C3%9Fnahmen%20Okt.html", "Maßnahmen Okt.html"),
        (b"attachment; filename*=Cp1252''Auftragsbest%E4tigung.pdf;", "Auftragsbestätigung.pdf"),
        (b"attachment; filename*0*=windows-1251''%EF%F0;\r\n filename*1*=%EE.HTM", "про.HTM"),
        (b'attachment; filename*1="b.txt"; filename*0="a"', "ab.txt"),
        (b"attachment; filename*0*=utf-8'en'%C3; filename*1*=%A4.txt", "ä.txt"),
        (b'attachment; filename="=?utf-8?Q?Ma=C3=9F?=.txt"', "Maß.txt"),
        (b'attachment; filename*="=?utf-8?Q?d=C3=A4?="', "dä"),
        (b"attachment; filename=\"plain.txt\"; filename*=utf-8''ext.txt", "ext.txt"),
        (b'attachment; filename="a;b\\"c.txt"; x=y', 'a;b"c.txt'),
        (b'attachment; filename="never closed', "never closed"),
        (b"attachment; ; =x; filename = spaced.txt ; y", "spaced.txt"),
        (b'attachment; x="y", filename="after a comma"', "after a comma"),
        (b'attachment; filename="a, b.txt" , x=y', "a, b.txt"),
        (b"attachment; filename=a, x=y.txt", "a, x=y.txt"),
    ],
)
def test_file_names_in_parameters(raw: bytes, name: str) -> None:
    main, params = parse_parameters(raw)
    assert main == "attachment"
    assert params["filename"] == name


@given(st.binary(max_size=300), st.text(max_size=20) | st.none())
def test_bytes_always_decode(data: bytes, charset: str | None) -> None:
    decode_bytes(data, charset).encode("utf-8", "surrogatepass")


@given(st.binary(max_size=300))
def test_header_values_are_clean_lines(raw: bytes) -> None:
    line = decode_header(raw)
    assert line == " ".join(line.split())
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in line)
    assert clean_line(line) == line
    parse_parameters(raw)


@given(st.text(max_size=300))
def test_text_is_clean(text: str) -> None:
    clean = clean_text(text)
    clean.encode("utf-8")
    assert "\r" not in clean
    assert clean_text(clean) == clean
