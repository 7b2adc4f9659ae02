"""Long texts piece by piece: the same result as at once, in memory that does not grow."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator

from unit.redact.samples import every
from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import redact_text
from veildesk.redact.engine import find
from veildesk.redact.stream import redact_stream


def _log(size: int, seed: int = 3) -> str:
    rng = random.Random(seed)
    samples = [sample.text for sample in every(seed)]
    lines: list[str] = []
    length = 0
    while length < size:
        line = f"2024-05-06 07:08:09,{rng.randrange(999):03d} INFO worker step {rng.randrange(10**6)} ok\n"
        if rng.random() < 0.05:
            line = rng.choice(samples) + "\n"
        lines.append(line)
        length += len(line)
    return "".join(lines)


def _cut(text: str, rng: random.Random) -> Iterator[str]:
    position = 0
    while position < len(text):
        step = rng.choice((1, 7, 100, 5000, 200_000))
        yield text[position : position + step]
        position += step


def test_same_as_at_once_however_it_is_cut() -> None:
    text = _log(700_000)
    whole = redact_text(text, MaskNumbering(b"k"))
    for seed in range(2):
        counts: Counter[str] = Counter()
        pieces = redact_stream(_cut(text, random.Random(seed)), MaskNumbering(b"k"), counts)
        assert "".join(pieces) == whole.text
        assert dict(counts) == dict(whole.counts)


def test_nothing_left_in_the_result() -> None:
    out = "".join(redact_stream([_log(300_000, 5)], MaskNumbering(b"k"), Counter()))
    assert find(out) == ()


def test_one_endless_line() -> None:
    text = "the of a " * 40_000 + "anna@mail.example " + "the of a " * 40_000
    out = "".join(redact_stream([text], MaskNumbering(b"k"), Counter()))
    assert out == text.replace("anna@mail.example", "[email-1]")


def test_empty_input() -> None:
    assert "".join(redact_stream([], MaskNumbering(b"k"), Counter())) == ""
    assert "".join(redact_stream(["", "a"], MaskNumbering(b"k"), Counter())) == "a"


def test_memory_stays_bounded() -> None:
    line = "2024-05-06 07:08:09 INFO worker ok from 45.6.7.8 for anna@mail.example\n"

    def endless() -> Iterator[str]:
        for _ in range(14):
            yield line * 1000

    list(redact_stream([line], MaskNumbering(b"k"), Counter()))
    tracemalloc.start()
    for _ in redact_stream(endless(), MaskNumbering(b"k"), Counter()):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * 1024 * 1024
