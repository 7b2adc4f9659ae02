# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Any input gets an answer, and in time that grows no faster than the input."""

from __future__ import annotations

import threading
import time

import pytest

from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import redact_text
from veildesk.redact.engine import find

_UNITS = (
    "a", "1", "@", ".", "a.", "a@", "a@a.", "1.", "1:", ":", "0x", "1A2b", "deadbeef", "/", "/home/a/", "\\", "\\n", "=", "=40", "%40", "%25",
    "&#64;", "-----BEGIN A-----\nAAAA\n", "-----BEGIN PRIVATE " + "KEY-----\n", "-", "abandon ", "zoo\n", "\n", "> ", "\n> ", "abcd1234abcd1234\n",
    " ", '"', "password: ", "token=abc123def456ghi ", "eyJ", "eyJhbGciOi.", "Cookie: a=b; ", "http://a:b@c ", "://a:", "?a=b", "&token=", "a\u200b",
    "１", "密码", "пароль ", "[email-1]", "[", "(at)", " dot ", "+1 ", "1 2 3 4 5 6 7 8 9 ", "DE89 3704 ", "1.2345,1.2345,", "1°", "lat ",
    "recovery codes: ", "\ud800", "\0", "\u202e", "4A", "[1,2,3,4,5,6,", "mysql -p", "regards, ", "a.a.local.", "aa:bb:cc:", "Bearer ", "dead beef ",
    "éa ", "=\n", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n", "1.2.3.4 ", "2001:db8::1 ", " # ", "x as password ", "login a@b.co ", "a@b.co:", "(password) VALUES ('a'), ", "| password | a1 |\n", "password? \n<a> ", "word 1: able\nword 2: ",
    "1.2.3.4 > ", "1-2-3-", "MAC=aa:bb:", "name: token\n value: ", "WIFI:S:a;T:b;", "password (", "AUTH PLAIN ", "docker login -p ", "a@b.c-", "xox", "sk-", "4111 1111 ", "\\u0041",
    "card 4111 ", "GPS 1.2345,", "GPS 1.\n2", "passport ", "passport 12 34 ", "sort code 12-34-56 ", "born on ", "ssn 123-", "123-45-6789 ", "Basic Ym9\n", "token=abc\n> ", "zo o zoo zoo zoo ", "oo\nzoo ",
    "1A2b3C4d5E6f7G8h9JkLmNpQr", "1A2b3C4d5E6f7G8h9JkLmNpQr ", "\n2026-11-22T10:00:01Z a b: ", "PW ", "ıſ", "123.456.789-00 ",
)  # fmt: skip


@pytest.mark.parametrize("unit", _UNITS, ids=ascii)
def test_time_grows_with_the_input(unit: str) -> None:
    find("warm up: é password")
    size = 12_000
    small = _seconds(unit * (size // len(unit)))
    large = _seconds(unit * (4 * size // len(unit)))
    assert large < 0.4 or large < 10 * small


def _seconds(text: str) -> float:
    best = 60.0
    for _ in range(2):
        start = time.process_time()
        find(text)
        best = min(best, time.process_time() - start)
    return best


def test_ten_megabytes_on_one_line() -> None:
    text = "x" * 5_000_000 + " mail anna@mail.example " + "y1" * 2_500_000
    assert [text[item.start : item.end] for item in find(text)] == ["anna@mail.example"]


def test_bytes_that_are_no_text() -> None:
    text = b"\xff\xfe\x00 anna@mail.example \x80\x00 10.1.2.3\xf0".decode("utf-8", "surrogateescape")
    masked = redact_text(text, MaskNumbering(b"k")).text
    assert masked.encode("utf-8", "surrogateescape") == b"\xff\xfe\x00 [email-1] \x80\x00 [ip-1]\xf0"


def test_lone_surrogates_and_nul_beside_a_value() -> None:
    assert [item.type for item in find("\ud800anna@mail.example\udfff\0" + "45.6.7.8\0")] == ["EMAIL", "IPV4"]


def test_many_threads_at_once() -> None:
    text = "from 45.6.7.8 to anna@mail.example, DE89370400440532013000"
    expected = find(text)
    wrong: list[object] = []

    def work() -> None:
        wrong.extend(1 for _ in range(50) if find(text) != expected)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
