"""Names of attachments."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.mail.names import MAX_NAME, default_name, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.jpg", "photo.jpg"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nb.txt", "a b.txt"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("con.txt", "_con.txt"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("Maßnahmen.html", "Maßnahmen.html"),
        ("", "fallback"),
        (None, "fallback"),
        ("...", "fallback"),
        ("/", "fallback"),
    ],
)
def test_safe_names(name: str | None, safe: str) -> None:
    assert safe_name(name, "fallback") == safe


def test_long_names_keep_the_extension() -> None:
    name = safe_name("x" * 300 + ".pdf")
    assert len(name) == MAX_NAME
    assert name.endswith("x.pdf")


def test_default_names() -> None:
    assert default_name("image/jpeg", 2) == "attachment-2.jpg"
    assert default_name("x/y", 1) == "attachment-1.bin"


@given(st.text(max_size=300))
def test_any_name_becomes_harmless(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= MAX_NAME
    assert not set(safe) & set('/\\<>:"|?*')
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in safe)
    assert safe not in (".", "..")
    assert safe_name(safe) == safe
