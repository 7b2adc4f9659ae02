from __future__ import annotations

import os

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.finding import MaskNumbering
from veildesk.portal.body import safe_name
from veildesk.portal.bucket import TokenBucket
from veildesk.portal.forms import FormSigner
from veildesk.portal.redaction import examine
from veildesk.portal.render import day, moment
from veildesk.portal.serve import config
from veildesk.portal.views.compose import contains_words


def test_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == 0.5
    assert bucket.take(100.0, 3.0) == 0.0


def test_bucket_survives_a_clock_that_stands_still_or_goes_back() -> None:
    bucket = TokenBucket(1.0, 1, 100.0)
    assert bucket.take(50.0) == 0.0
    assert bucket.take(100.0) == 1.0
    assert bucket.busy(100.0)
    assert not bucket.busy(101.0)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (1.0, 0)])
def test_bucket_needs_sense(rate: float, burst: int) -> None:
    with pytest.raises(ValueError):
        TokenBucket(rate, burst, 0.0)


def test_form_tokens_are_bound_to_visitor_form_time_and_secret() -> None:
    signer, visitor = FormSigner(b"s" * 32, 100), os.urandom(32)
    token = signer.token(visitor, "new", 1000)
    assert signer.age(token, visitor, "new", 1100) == 100
    assert signer.age(token, visitor, "new", 1101) is None
    assert signer.age(token, visitor, "new", 999) is None
    assert signer.age(token, visitor, "check", 1000) is None
    assert signer.age(token, os.urandom(32), "new", 1000) is None
    assert FormSigner(b"t" * 32, 100).age(token, visitor, "new", 1000) is None
    assert signer.age("3e9" + token[3:], visitor, "new", 1001) is None


@given(st.text())
def test_any_token_is_answered(token: str) -> None:
    assert FormSigner(b"s" * 32, 100).age(token, b"v" * 32, "new", 1000) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError):
        FormSigner(b"short", 100)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("C:\\Users\\Ann\\photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("", "file"),
        ("...", "file"),
        ("a\r\nb\0.txt", "ab.txt"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("x" * 200 + ".tar", "x" * 76 + ".tar"),
        ("y" * 200, "y" * 80),
    ],
)
def test_file_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text())
def test_file_names_are_always_short_and_plain(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= 80
    assert not set(safe) & set("/\\\r\n\0\u202e")


def test_dates() -> None:
    assert day(0) == "1970-01-01"
    assert day(20_779) == "2026-11-22"
    assert moment(1_795_000_000) == "2026-11-18 11:06 UTC"


def test_server_tells_nothing_and_logs_no_visits() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    made = config(app, "/run/portal.sock")
    assert (made.uds, made.server_header, made.date_header) == ("/run/portal.sock", False, False)
    assert (made.access_log, made.proxy_headers, made.lifespan, made.ws) == (False, False, "off", "none")


def test_segments_give_the_masked_text() -> None:
    text = "a alice@posteo.net b [email-9] c bob@posteo.net"
    checked = examine(text, own_words=(), kept=(), numbering=MaskNumbering(b"k" * 32), salt="s")
    assert "".join(segment.text for segment in checked.segments) == checked.text
    assert [segment.text for segment in checked.segments if segment.mask] == ["[email-1]", "[email-2]"]


def test_looking_does_not_use_numbers_up() -> None:
    numbering = MaskNumbering(b"k" * 32)
    for _ in range(2):
        checked = examine("bob@posteo.net", own_words=(), kept=(), numbering=numbering, salt="s")
        assert checked.text == "[email-1]"
    assert numbering.seen == {}
    assert checked.numbering.seen != {}


@hypothesis.settings(deadline=None)  # the first look builds the search engine
@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    checked = examine(text, own_words=("ab",), kept=(), numbering=MaskNumbering(b"k" * 32), salt="s")
    assert "".join(segment.text for segment in checked.segments) == checked.text


@pytest.mark.parametrize(
    ("text", "given_away"),
    [
        ("cup voyage", False),
        ("so: aardvark zucchini cup voyage hedgehog lantern python onion!", True),
        ("AARDVARK-ZUCCHINI-CUP-VOYAGE-HEDGEHOG-LANTERN-PYTHON-ONION", True),
        ("aar zuc cup voy hed lan pyt oni", True),
        ("aardvark and zucchini", False),
    ],
)
def test_ticket_words_in_a_text(text: str, given_away: bool) -> None:
    words = "aardvark zucchini cup voyage hedgehog lantern python onion"
    assert contains_words(text, words) is given_away
