from __future__ import annotations

import math
import os
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.receipt import BITS, COUNT, WORDS, WordsMalformed, generate, parse

LINE = ("aardvark", "zucchini", "cup", "voyage", "hedgehog", "lantern", "python", "onion")


def distance(left: str, right: str) -> int:
    """Levenshtein."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def test_entropy_is_what_is_claimed() -> None:
    assert math.isclose(BITS, 8 * math.log2(1251))
    assert 82.3 < BITS < 82.4
    assert (COUNT, len(WORDS), len(set(WORDS))) == (8, 1251, 1251)


def test_words_are_plain_and_differ_by_their_first_three_letters() -> None:
    assert all(re.fullmatch(r"[a-z]{3,10}", word) for word in WORDS)
    assert len({word[:3] for word in WORDS}) == len(WORDS)


def test_any_two_words_differ_by_three_typing_errors() -> None:
    by_length: dict[int, list[str]] = {}
    for word in WORDS:
        by_length.setdefault(len(word), []).append(word)
    letters = {word: Counter(word) for word in WORDS}
    for index, left in enumerate(WORDS):
        for right in WORDS[index + 1 :]:
            if abs(len(left) - len(right)) > 2:
                continue
            common = sum((letters[left] & letters[right]).values())
            if max(len(left), len(right)) - common > 2:
                continue
            assert distance(left, right) >= 3, (left, right)


def test_drawing_is_unbiased_and_throws_away_the_rest() -> None:
    limit = 65536 - 65536 % len(WORDS)
    stream = iter([limit, 65535, 0, limit - 1, 1, 2, 3, 4, 5, 6])
    drawn = generate(lambda count: next(stream).to_bytes(count, "big"))
    assert drawn == (WORDS[0], WORDS[-1], *WORDS[1:7])


def test_drawn_words_can_be_read() -> None:
    for _ in range(50):
        words = generate(os.urandom)
        assert parse(" ".join(words)) == words


@pytest.mark.parametrize(
    "text",
    [
        "aardvark zucchini cup voyage hedgehog lantern python onion",
        "  AARDVARK\tZucchini\r\ncup,voyage;hedgehog . lantern-python_onion ",
        "1. aardvark 2. zucchini 3. cup 4. voyage 5. hedgehog 6. lantern 7. python 8. onion",
        "1 aardvark\n2 zucchini\n3 cup\n4 voyage\n5 hedgehog\n6 lantern\n7 python\n8 onion\n",
        "aar zuc cup voy hed lan pyt oni",
        "aardvar zucchini cup voyage hedghog lantren pyhton onoin",
        "ａａｒｄｖａｒｋ zucchini cup voyage hedgehog lantern python onion",
        "aardvark\u00a0zucchini\u200bcup\u2013voyage hedgehog lantern python onion",
    ],
)
def test_what_people_type_is_read(text: str) -> None:
    assert parse(text) == LINE


@pytest.mark.parametrize(
    ("text", "position", "count"),
    [
        ("", None, 0),
        ("aardvark", None, 1),
        (" ".join(LINE) + " cup", None, 9),
        ("qqq " + " ".join(LINE[1:]), 1, 8),
        (" ".join((*LINE[:7], "аardvark")), 8, 8),
        ("aa " + " ".join(LINE[1:]), 1, 8),
        ("aardvarkish " + " ".join(LINE[1:]), 1, 8),
        ("x" * 100, 1, 1),
    ],
)
def test_what_cannot_be_words_is_refused_with_its_place(text: str, position: int | None, count: int) -> None:
    with pytest.raises(WordsMalformed) as caught:
        parse(text)
    assert (caught.value.position, caught.value.count) == (position, count)
    assert "aardvark" not in str(caught.value)


def test_very_long_input_is_refused_quickly() -> None:
    with pytest.raises(WordsMalformed):
        parse(" ".join(LINE) + " " * 1000 + "cup")
    with pytest.raises(WordsMalformed):
        parse("a" * 10_000_000)


@given(
    st.sampled_from(WORDS),
    st.integers(0, 10),
    st.sampled_from("abcdefghijklmnopqrstuvwxyz"),
    st.integers(0, 2),
)
def test_every_single_typo_is_mended_to_the_word_meant_or_refused(
    word: str, place: int, letter: str, kind: int
) -> None:
    place = min(place, len(word) - 1)
    typed = (
        word[:place] + word[place + 1 :],
        word[:place] + letter + word[place:],
        word[:place] + letter + word[place + 1 :],
    )[kind]
    try:
        mended = parse(" ".join((typed, *LINE[1:])))[0]
    except WordsMalformed:
        assert len(typed) < 3
        return
    assert mended == word or (mended.startswith(typed) and len(typed) >= 3)


@given(st.text(max_size=600))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        words = parse(text)
    except WordsMalformed:
        return
    assert len(words) == COUNT
    assert set(words) <= set(WORDS)
