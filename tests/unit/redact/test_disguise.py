# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Every type through every disguise: a planted value never comes out."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

import pytest

from unit.redact.samples import Sample, every, named
from veildesk.redact.engine import find

_ONE_LINE = frozenset({"PEM", "PGP"})


def _zero_width(value: str, rng: random.Random) -> str:
    out = ""
    for char in value:
        out += char + (rng.choice("\u200b\u200c\u200d\ufeff\u00ad\u2060\u202d") if rng.random() < 0.2 else "")
    return out


def _full_width(value: str, rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


def _mathematical(value: str, rng: random.Random) -> str:
    return "".join(chr(0x1D7CE + int(c)) if c in "0123456789" else c for c in value)


def _no_break(value: str, rng: random.Random) -> str:
    return value.replace(" ", "\u00a0")


def _quoted_printable(value: str, rng: random.Random) -> str:
    return re.sub(r"[^\w\s]", lambda m: "".join(f"={b:02X}" for b in m[0].encode()), value)


def _percent(value: str, rng: random.Random) -> str:
    return re.sub(r"[^\w\s]", lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), value)


def _entities(value: str, rng: random.Random) -> str:
    return re.sub(r"[^\w\s]", lambda m: f"&#{ord(m[0])};", value)


def _json(value: str, rng: random.Random) -> str:
    return re.sub(r"[^\w\s]", lambda m: f"\\u{ord(m[0]):04x}", value)


def _json_slash(value: str, rng: random.Random) -> str:
    return value.replace("/", "\\/").replace("\n", "\\n")


def _quoted(value: str, rng: random.Random) -> str:
    return value.replace("\n", "\n> ")


def _styled_dash(value: str, rng: random.Random) -> str:
    return value.replace("-", "\u2011") if "BEGIN" not in value else value


def _right_to_left(value: str, rng: random.Random) -> str:
    return "\u202e" + value + "\u202c"


def _defanged(value: str, rng: random.Random) -> str:
    return re.sub(r"(?<=\w)[.](?=\w)", rng.choice(("[.]", "(.)", "[dot]")), value)


def _spelled(value: str, rng: random.Random) -> str:
    return re.sub(r"(?<=\w)@(?=\w)", rng.choice((" (at) ", " [at] ", "(at)")), value)


_SHORT = 14


def _broken(value: str, rng: random.Random, gap: str) -> str:
    """Broken at the end of a line, as mail programs do with what is too long for one."""
    if "\n" in value or len(value) < _SHORT:
        return value
    at = len(value) // 2
    at += bool(unicodedata.combining(value[at]))
    return value[:at] + gap + value[at:]


def _soft_break(value: str, rng: random.Random) -> str:
    return _broken(value, rng, "=\n")


def _hard_break(value: str, rng: random.Random) -> str:
    return _broken(value, rng, "\n")


def _quoted_break(value: str, rng: random.Random) -> str:
    return _broken(value, rng, "\n> ")


def _word_break(value: str, rng: random.Random) -> str:
    return _broken(value, rng, "<wbr>")


DISGUISES: list[Callable[[str, random.Random], str]] = [
    _zero_width, _full_width, _mathematical, _no_break, _quoted_printable, _percent, _entities, _json, _json_slash,
    _quoted, _styled_dash, _right_to_left, _defanged, _spelled, _soft_break, _hard_break, _quoted_break, _word_break,
]  # fmt: skip


def _covered(text: str, start: int, end: int) -> bool:
    hidden = bytearray(len(text))
    for item in find(text):
        hidden[item.start : item.end] = b"\1" * (item.end - item.start)
    return all(hidden[i] for i in range(start, end) if text[i].isalnum())


def _leaks(sample: Sample, disguise: Callable[[str, random.Random], str], rng: random.Random) -> bool:
    value = disguise(sample.value, rng)
    text = sample.head + value + sample.tail
    return not _covered(text, len(sample.head), len(sample.head) + len(value))


@pytest.mark.parametrize("disguise", DISGUISES, ids=lambda d: d.__name__.strip("_"))
def test_no_type_leaks_through(disguise: Callable[[str, random.Random], str]) -> None:
    rng = random.Random(disguise.__name__)
    leaks = [
        f"{sample.type}: {sample.head}{disguise(sample.value, rng)[:90]!r}"
        for seed in range(6)
        for sample in [*every(seed), *named(seed)]
        if _leaks(sample, disguise, rng)
    ]
    assert leaks == []


_FOLLOWS = (
    ". Thanks a lot", "! Yes", "? No", "; next", "。谢谢", "。 谢谢", ") ok", ", and more", ": so", "... well", '" he said',
    "' she said", ">", "]", "}. And", " - ok", " — ok", ".\nNext", ". Ошибка",
)  # fmt: skip


@pytest.mark.parametrize("follows", _FOLLOWS)
def test_whatever_follows_a_value_hides_no_less(follows: str) -> None:
    leaks = []
    for sample in [*every(1), *named(1)]:
        text = sample.head + sample.value + follows
        if not _covered(text, len(sample.head), len(sample.head) + len(sample.value)):
            leaks.append(f"{sample.type}: {text[-80:]!r}")
    assert leaks == []


def test_breaks_at_any_place_leak_next_to_nothing() -> None:
    """What is known by a word alone and broken in its last characters cannot always be told from a new word."""
    rng = random.Random("any place")
    made, leaks = 0, []
    for seed in range(10, 20):
        for sample in every(seed):
            if sample.type in _ONE_LINE or len(sample.value) < _SHORT + 2:
                continue
            for gap in ("\n", "=\n", "\n> ", "\r\n"):
                at = rng.randrange(4, len(sample.value) - 7)
                value = sample.value[:at] + gap + sample.value[at:]
                text = sample.head + value + sample.tail
                made += 1
                if not _covered(text, len(sample.head), len(sample.head) + len(value)):
                    leaks.append(f"{sample.type}: {text[:120]!r}")
    assert len(leaks) * 200 <= made, leaks


_GROUPED = frozenset({"BANK", "GPS", "PHONE", "SEED", "URL_TOKEN"})
"""Written in groups or known by a word alone: not always told from what begins anew after a wide gap."""


@pytest.mark.parametrize(
    "gap", ["\\\n", "-\n", "\n    ", "<br>"], ids=["continued", "hyphen", "indented", "tag"]
)
def test_unusual_breaks(gap: str) -> None:
    rng = random.Random(gap)
    leaks = set()
    for seed in range(3):
        for sample in [*every(seed), *named(seed)]:
            value = _broken(sample.value, rng, gap)
            text = sample.head + value + sample.tail
            if not _covered(text, len(sample.head), len(sample.head) + len(value)):
                leaks.add(sample.type)
    assert leaks - _GROUPED - _ONE_LINE == set()
