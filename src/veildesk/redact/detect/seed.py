# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Recovery phrases: runs of words from the standard lists (BIP-39), however they are set out.

A run is hidden as a whole, numbers and marks between its words included. No valid checksum is demanded,
because a phrase with one word wrong is nearly as good to a thief. After words that announce a phrase a
shorter run is enough, and so are words of no known list.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from mnemonic import Mnemonic

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["FUNCTION", "RULES", "gap_ok", "list_words", "plain_word"]

_MIN_BARE = 9
_MIN_CUED = 4
_MAX_GAP = 14
_LONGEST = 24
_LENGTHS = (24, 21, 18, 15, 12)
_TOKEN = re.compile(
    r"[^\W\d_\u2e80-\uffdc]+(?:[\u0300-\u036f]+[^\W\d_\u2e80-\uffdc]*)*|(?:(?=[\u2e80-\uffdc])[^\W\d_])+(?:[\u0300-\u036f\u3099\u309a]+[^\W\d_]*)*"
)
_GAP = re.compile(
    r"[\s\d.,;:=)(\]\[\"'`´“”„«»>#*|/\\=_–—·•、，。；：+-]{1,14}|(?:\\n|\\t|<br ?/?>|&nbsp;)?(?:[\s\d.,;:\"'>-]|\\n|\\t|\\\"){0,12}"
)
_CUE = Keyword(keywords.SEED)
FUNCTION = frozenset(
    [
        "the",
        "a",
        "an",
        "is",
        "are",
        "was",
        "were",
        "to",
        "of",
        "and",
        "or",
        "i",
        "you",
        "it",
        "my",
        "your",
        "not",
        "no",
        "in",
        "on",
        "at",
        "for",
        "with",
        "that",
        "this",
        "from",
        "but",
        "if",
        "when",
        "then",
        "me",
        "we",
        "he",
        "she",
        "they",
        "be",
        "been",
        "have",
        "has",
        "had",
        "do",
        "does",
        "did",
        "can",
        "cannot",
        "will",
        "would",
        "der",
        "die",
        "das",
        "und",
        "ist",
        "nicht",
        "ich",
        "ein",
        "eine",
        "mit",
        "von",
        "zu",
        "auf",
        "für",
        "es",
        "sie",
        "el",
        "los",
        "las",
        "un",
        "una",
        "y",
        "que",
        "no",
        "es",
        "en",
        "con",
        "por",
        "para",
        "se",
        "mi",
        "lo",
        "и",
        "не",
        "на",
        "в",
        "с",
        "что",
        "это",
        "как",
        "по",
        "для",
        "я",
        "но",
        "la",
        "le",
        "les",
        "des",
        "et",
        "pas",
        "je",
    ]
)


def plain_word(word: str) -> str:
    """A word as the lists are compared: lower case, accents apart from their letters removed."""
    if word.isascii():
        return word.lower()
    folded = unicodedata.normalize("NFKD", word.lower()).replace("ı", "i")  # Turkish capitals lose their dot
    return "".join(char for char in folded if not 0x300 <= ord(char) <= 0x36F)


@cache
def list_words() -> dict[str, int]:
    """Plain word -> bit set of the lists that hold it; the Han lists have single characters."""
    lists: dict[str, int] = {}
    for number, language in enumerate(sorted(Mnemonic.list_languages())):
        for word in Mnemonic(language).wordlist:
            lists[plain_word(word)] = lists.get(plain_word(word), 0) | 1 << number
    return lists


_BREAK = re.compile(r"=?\r?\n(?:[ \t]?>)*[ \t]?")
_CUT = re.compile(rf"{_BREAK.pattern}|[ ]")


def _words(text: str, start: int, end: int, lists: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Words, those broken at a line end as one if only both halves together are in a list.

    Broken by a space, the left half must be no word of any list.
    """
    held: tuple[int, int] | None = None
    bits = 0
    for match in _TOKEN.finditer(text, start, end):
        span = match.span()
        if held is not None:
            both = lists.get(plain_word(text[held[0] : held[1]] + match[0]), 0)
            apart = bits & lists.get(plain_word(match[0]), 0)
            if both and not apart and _CUT.fullmatch(text, held[1], span[0]):
                yield held[0], span[1]
                held = None
                continue
            yield held
            held = None
        bits = lists.get(plain_word(match[0]), 0)
        if text[span[1] : span[1] + 1] in ("\n", "\r", "=") or (
            bits == 0 and text[span[1] : span[1] + 1] == " "
        ):
            held = span
        else:
            yield span
    if held is not None:
        yield held


_ASCII_TOKEN = re.compile(r"[A-Za-z]+")


def _long_runs(text: str, start: int, end: int) -> Iterator[Finding]:
    """Phrases long enough to need no announcing."""
    for low, high in _stretches(text, start, end, _MIN_BARE):
        yield from _word_runs(text, low, high)


def _told_runs(text: str, start: int, end: int) -> Iterator[Finding]:
    """Phrases near words that announce one."""
    for low, high in _stretches(text, start, end, _MIN_CUED):
        yield from _word_runs(text, low, high)


def _stretches(text: str, start: int, end: int, least: int) -> Iterator[tuple[int, int]]:
    """Where so many list words follow one another; most prose has not nearly as many.

    If a line break may have cut a list word in two, that is the whole of the window.
    """
    for _ in range(_LONGEST):  # a window may begin inside a word
        start -= start > 0 and text[start - 1].isalpha()
    lists = list_words()
    at = text.find("\n", start, end)
    while at >= 0:
        if _word_broken(text, at, lists):
            yield start, end
            return
        at = text.find("\n", at + 1, end)
    if text[start:end].isascii():
        token = _ASCII_TOKEN
        words = token.findall(text[start:end].lower())
    else:
        token = _TOKEN
        words = list(map(plain_word, token.findall(text, start, end)))
    known = bytes([word in lists for word in words])
    if any(words[at] + words[at + 1] in lists for at in map(_start, _AMONG.finditer(known))):
        yield start, end  # a space cuts a list word in two
        return
    if bytes([1]) * least not in known:
        return
    first = last = count = 0
    for match, in_list in zip(token.finditer(text, start, end), known, strict=True):
        if in_list:
            first, last, count = match.start() if count == 0 else first, match.end(), count + 1
            continue
        if count >= least:
            yield first, last
        count = 0
    if count >= least:
        yield first, last


_AMONG = re.compile(rb"(?<=\x01\x01\x01)\x00(?!\Z)|\x00(?=[\x00\x01]\x01\x01\x01)")
"""No list word beside three that are."""

_start = operator.methodcaller("start")


def _word_broken(text: str, newline: int, lists: dict[str, int]) -> bool:
    """Whether a line break cuts a list word in two."""
    if _NO_WORD.fullmatch(text[newline - 1 : newline + 2]):
        return False
    low = max(0, newline - _LONGEST)
    left = _LAST_WORD.search(text[low:newline])
    gap = _BREAK.match(text, low + left.end("word")) if left else None
    right = _TOKEN.match(text, gap.end()) if gap else None
    return bool(left and right and plain_word(left["word"] + right[0]) in lists)


_NO_WORD = re.compile(
    r"[\0-\x09\x0b\x0c\x0e-<>-@[-`{-\x7f]\n[\s\S]?|[\s\S]?\n[\0-\x08\n\x0b-\x1f!-=?-@[-`{-\x7f]?"
)
"""No letter, or what may stand for one, before or behind a line break."""

_LAST_WORD = re.compile(rf"(?P<word>{_TOKEN.pattern})=?\r?\Z")


def _word_runs(text: str, start: int, end: int) -> Iterator[Finding]:
    lists = list_words()
    run: list[tuple[int, int]] = []
    kinds = shape = 0
    for span in _words(text, start, end, lists):
        word = text[span[0] : span[1]]
        bits = lists.get(word) or lists.get(plain_word(_CUT.sub("", word)), 0)
        if not bits:
            if run:
                yield from _judged(text, run)
                run = []
            continue
        case = _case(word)
        if run and bits & kinds and case == shape and gap_ok(text, run[-1][1], span[0]):
            kinds &= bits
            run.append(span)
            continue
        yield from _judged(text, run)
        run, kinds, shape = [span], bits, case
    yield from _judged(text, run)


def _case(word: str) -> int:
    """0 for small letters or none, 1 for capitals, 2 for a capital first."""
    if word == word.lower():
        return 0
    return 1 if word.isupper() else 2


def gap_ok(text: str, start: int, end: int) -> bool:
    """Whether what stands between two words can stand inside a phrase; a colon after a word cannot."""
    return (
        end - start <= _MAX_GAP and text[start] not in ":：=" and _GAP.fullmatch(text, start, end) is not None
    )


def _judged(text: str, run: list[tuple[int, int]]) -> Iterator[Finding]:
    if len(run) < _MIN_CUED:
        return
    run = _cut(text, _late(text, run))
    if len(run) - 1 in _LENGTHS and _CUE.pattern.fullmatch(text, *run[0]):
        run = run[1:]
    words = [text[a:b].lower() for a, b in run]
    if len(run) < _MIN_BARE + (3 if all(len(word) == 1 for word in words) else 0):
        if not _announced(text, run):
            return
    elif len(set(words)) < 6 and len(run) < 12 and not _cued(text, run[0][0]):
        return
    if sum(word in FUNCTION for word in words) * 3 > len(words):
        return
    yield finding(_numbered(text, run), run[-1][1], "SEED", "bip39", 0.95)


_NUMBER = re.compile(r"(?<![0-9])0?1(?:[ ]?[.):=|-]|[ \t])[ \t]{0,2}\Z")


def _numbered(text: str, run: list[tuple[int, int]]) -> int:
    """Where a phrase begins: at the number of its first word if the words are numbered."""
    start = run[0][0]
    number = _NUMBER.search(text[max(0, start - 6) : start])
    return start - len(number[0]) if number and re.search(r"[0-9]", text[run[0][1] : run[1][0]]) else start


def _late(text: str, run: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Drop words of a sentence before the phrase, if the gap behind them is of another kind."""
    if _NUMBER.search(text[max(0, run[0][0] - 6) : run[0][0]]):
        return run  # the first word has its number
    middle = len(run) // 2
    usual = re.sub(r"\d+", "0", text[run[middle - 1][1] : run[middle][0]])
    for count in range(1, 4):
        if len(run) - count in _LENGTHS and len(run) not in _LENGTHS:
            gap = text[run[count - 1][1] : run[count][0]]
            if re.sub(r"\d+", "0", gap) != usual and re.search(r"[.;:!\n(\[\"]", gap):
                return run[count:]
    return run


def _cut(text: str, run: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """End a run at a usual length if another kind of gap follows there."""
    if len(run) in _LENGTHS:
        return run
    for size in _LENGTHS:
        if len(run) > size:
            gap = text[run[size - 1][1] : run[size][0]]
            usual = text[run[0][1] : run[1][0]]
            if re.sub(r"\d+", "0", gap) != re.sub(r"\d+", "0", usual) and (
                "\n" in gap or re.search(r"[.;:!]", gap)
            ):
                return run[:size]
    return run


def _announced(text: str, run: list[tuple[int, int]]) -> bool:
    """Whether a short run stands alone right after announcing words."""
    head = text[max(0, run[0][0] - 48) : run[0][0]]
    after = text[run[-1][1] : run[-1][1] + 2]
    return (
        len({text[a:b] for a, b in run}) > 2
        and _CUE.search(head, 0, len(head)) is not None
        and re.search(r"[:：\"“„«=][\s\d.)]*\Z", head) is not None
        and (not after.strip() or not re.match(r"\s?[^\W\d_]", after))
    )


def _cued(text: str, position: int) -> bool:
    return _CUE.search(text, max(0, position - 80), position) is not None


_LABEL = r"(?:word|wort|w|слово|palabra|mot|palavra|parola|słowo|slovo|kelime|seed|mnemonic|phrase|单词|词|단어|単語)"
_MARK = r"[ _#№.-]{0,3}"
_TELLS = r"[\"']?[ ]?(?:[:.)=：-]{1,2}|[ ]|[\"'],)[ ]?[\"']?"
_WORD = r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u3099\u309a]){0,14}"
_NEXT_LABEL = rf"[\"']?[\s,;|{{}}>]{{1,8}}[\"']?{_LABEL}{_MARK}[0-9]{{1,2}}{_TELLS}"
_LABELLED = re.compile(
    rf"{_LABEL}{_MARK}0?1{_TELLS}(?P<words>{_WORD}(?:{_NEXT_LABEL}{_WORD}){{8,23}})", re.IGNORECASE
)


def _labelled(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Words that stand each behind a label and a number ("word 1: ...")."""
    lists = list_words()
    words = re.split(_NEXT_LABEL, match["words"], flags=re.IGNORECASE)
    if sum(plain_word(word) in lists for word in words) * 5 >= len(words) * 4:
        yield finding(match.start("words"), match.end("words"), "SEED", "labelled", 0.95)


def _han_runs(text: str, start: int, end: int) -> Iterator[Finding]:
    """Chinese phrases written without gaps: only after a word that announces one."""
    lists = list_words()
    for cue in _CUE.finditer(text, start, end):
        run = re.compile(r"[\s:：是为為\"'“「]{0,6}(?P<han>[\u4e00-\u9fff]{11,26})(?![\u4e00-\u9fff])").match(
            text, cue.end()
        )
        if run and sum(char in lists for char in run["han"]) >= len(run["han"]) - 1:
            yield finding(run.start("han"), run.end("han"), "SEED", "bip39-han", 0.9)


_UNKNOWN = re.compile(
    r"[^\n:=：]{0,40}?[:=：\"“„«][ \t]*\n?(?P<run>[\"'“]?(?:[0-9]{1,2}[.):][ ]?)?[^\W\d_\u2e80-\uffdc]{2,16}(?:(?:[ ,;\n>-]{1,4}|[ \n>]{0,3}[0-9]{1,2}[.):-]?[ ]?)[^\W\d_\u2e80-\uffdc]{2,16}){10,26})"
)


def _unknown(text: str, start: int, end: int) -> Iterator[Finding]:
    """Phrases of other lists (Monero, SLIP-39): plain words after an announcing word, no prose."""
    for cue in _CUE.finditer(text, start, end):
        match = _UNKNOWN.match(text, cue.end())
        if match is None:
            continue
        words = [word.lower() for word in _TOKEN.findall(match["run"])]
        upper = sum(word[0].isupper() for word in _TOKEN.findall(match["run"]))
        lists = list_words()
        known = sum(plain_word(word) in lists for word in words)
        if (
            len(words) >= 11
            and known * 4 < len(words) * 3
            and not any(word in FUNCTION for word in words)
            and upper in (0, len(words))
        ):
            yield finding(match.start("run"), match.end("run"), "SEED", "phrase-word", 0.8)


_OTHER_RUN = re.compile(
    r"(?<![^\W_])[a-z]{3,12}(?:(?:[ ]|,[ ]?|[ ]?\r?\n(?:> ?)*)[a-z]{3,12}){19,40}(?![^\W_])"
)
_MONERO, _SHARES = 25, (20, 33)


def _other_lists(text: str, start: int, end: int) -> Iterator[Finding]:
    """Monero's phrases, whose last word is one of the others, and shares of SLIP-39, by their lengths alone."""
    for match in _OTHER_RUN.finditer(text, start, end):
        spans = [word.span() for word in re.finditer(r"[a-z]+", match[0])]
        words = [match[0][a:b] for a, b in spans]
        for at in range(max(1, len(words) - _MONERO + 1)):
            part = words[at : at + _MONERO]
            if (
                len(part) == _MONERO
                and part[-1] in part[:-1]
                and len(set(part)) >= 23
                and not FUNCTION.intersection(part)
            ):
                yield finding(
                    match.start() + spans[at][0],
                    match.start() + spans[at + _MONERO - 1][1],
                    "SEED",
                    "monero-words",
                    0.8,
                )
        lines = [at for at in range(1, len(spans)) if "\n" in match[0][spans[at - 1][1] : spans[at][0]]]
        for low, high in ((0, len(words)), *((at, len(words)) for at in lines), *((0, at) for at in lines)):
            if _is_share(words[low:high]):
                yield finding(
                    match.start() + spans[low][0],
                    match.start() + spans[high - 1][1],
                    "SEED",
                    "share-words",
                    0.7,
                )
                break


def _is_share(words: list[str]) -> bool:
    """Whether so many words can be a share: their number, their lengths, and no prose."""
    return (
        len(words) in _SHARES
        and all(4 <= len(word) <= 8 for word in words)
        and len(set(words)) >= len(words) - 2
        and not FUNCTION.intersection(words)
    )


_LETTER = rb"(?:[a-z]|[\xc3-\xf4][\x80-\xbf]{1,3})"
_LABELS = "(?:word|wort|слово|Слово|palabra|mot|palavra|parola|słowo|slovo|kelime|seed|mnemonic|phrase|单词|词|단어|単語)".encode()
_SEP = rb"(?:[\s,;.)>\"'|*/\\n_-]{1,5}|[\s.)\"',]{1,4}[0-9]{1,2}[\s.):-]{1,3})"
_NUMBERED = rb"[0-9][ \t.):|]{0,4}[a-z]{3,8}[ \t|]{1,14}[0-9]{1,2}[ \t.):|]{0,4}[a-z]{3,8}[^a-z]"
RULES = (
    Rule("bip39", (_NUMBERED, rb"[^a-z\x80-\xff](?:[a-z\x80-\xff]{3,}" + _SEP + rb"){8}", rb"(?:[a-z\x80-\xff]{3,20} ){4}[a-z\x80-\xff]{1,20}=?\r?\n[> ]{0,4}[a-z\x80-\xff]{1,20}(?: [a-z\x80-\xff]{3,20}){4}"),
         _long_runs, back=420, ahead=420),
    Rule("other-lists", (rb"[^a-z\x80-\xff](?:[a-z\x80-\xff]{3,}" + _SEP + rb"){8}", rb"(?:[a-z\x80-\xff]{3,20} ){4}[a-z\x80-\xff]{1,20}=?\r?\n[> ]{0,4}[a-z\x80-\xff]{1,20}(?: [a-z\x80-\xff]{3,20}){4}"),
         _other_lists, back=420, ahead=420),
    Rule("bip39-word", keywords.triggers(keywords.SEED_WORDS), _told_runs, back=420, ahead=420),
    Rule("labelled", (_LABELS + rb"[ _#.-]{0,3}0?1[^0-9a-z]",), pattern_search(_LABELLED, _labelled), back=24, ahead=1200),
    Rule("bip39-han", keywords.triggers(keywords.SEED_WORDS), _han_runs, back=24, ahead=8),
    Rule("phrase-word", keywords.triggers(keywords.SEED_WORDS), _unknown, back=40, ahead=60),
)  # fmt: skip
