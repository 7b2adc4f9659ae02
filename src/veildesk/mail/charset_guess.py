"""The character set of text that is labelled wrongly or not at all.

Old programs, web forms and relays send Cyrillic, Chinese, Japanese and Korean text without a label, or as
"us-ascii", "iso-8859-1" or "utf-8". A guess is made only where the bytes speak clearly: letters stand in
runs that Western text never has, and read in the guessed set they are the letters its languages use most.
Linear in the first few kilobytes; nothing here raises.
"""

from __future__ import annotations

import re

__all__ = ["guess", "label_for"]

_LOOKED_AT = 8192
_HIGH = re.compile(rb"[\x80-\xff]")
_RUN = re.compile(rb"[\x80-\xff]{4}")
_AMONG_LETTERS = re.compile(rb"(?<=[A-Za-z])[\x80-\xff]|[\x80-\xff](?=[A-Za-z])")
_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\(D|\([JI])")
_CYRILLIC = ("cp1251", "koi8-u", "cp866", "iso8859-5")
# How often letters are in Russian, and those of its neighbours, in tenths of a percent.
_RANKED = (
    (110, "о"), (85, "е"), (80, "а"), (74, "и"), (66, "нт"), (55, "сі"), (45, "рвл"), (34, "км"), (29, "дпј"),
    (23, "уя"), (17, "ыьгзб"), (12, "чйх"), (8, "жш"), (5, "юцїў"), (3, "щэфє"), (1, "ъґ"),
)  # fmt: skip
_FREQUENCIES = {letter: count for count, letters in _RANKED for letter in letters}
_LEAST_FREQUENCY = 38
_COMMON_HAN = frozenset(
    "的一是不了在人有我他这個个們们中来來上大为為和国國地到以说說時时要就出会會可也你您对對生能"
    "那得于下自之年过過发發后後作里用请請帮幫助无無法打开開好更新应應程序式錢钱包密码碼忘记記"
)
_LEAST_DIFFERENT = 5
# Seven-bit sets that are valid UTF-8 as bytes, so that only their label tells them.
_SEVEN_BIT = frozenset({"utf-7", "unicode-1-1-utf-7", "hz", "hz-gb-2312", "iso-2022-kr", "iso-2022-cn"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,40}\Z")


def guess(data: bytes, least: int = 6) -> str | None:
    """The codec these bytes are clearly written in, None where it is not clear.

    UTF-8 is named only with at least one character beyond ASCII. For other sets at least `least` bytes beyond
    ASCII are needed, the more the better their label is.
    """
    head = data[:_LOOKED_AT]
    if b"\x1b$)C" in head:
        return "iso2022_kr"
    if _ESCAPE.search(head):
        return "iso2022_jp_ext"
    if not _HIGH.search(data):
        return None
    if _decodes(data, "utf-8"):
        return "utf-8"
    high = _HIGH.findall(head)
    if len(high) < least or len(set(high)) < _LEAST_DIFFERENT or not _RUN.search(head):
        return None
    # Accented letters stand among plain ones; letters of other scripts hardly ever do.
    western = len(_AMONG_LETTERS.findall(head)) * 6 > len(high)
    return _japanese(data) or (None if western else _cyrillic(head)) or _chinese_or_korean(data)


def _cyrillic(head: bytes) -> str | None:
    """The one whose reading has the letters that Slavic text has most, most of them in lower case."""
    found = {name: _familiar(head.decode(name, "replace")) for name in _CYRILLIC}
    best = max(found, key=lambda name: found[name])
    return best if found[best] >= _LEAST_FREQUENCY else None


def _familiar(text: str) -> float:
    beyond = [char for char in text if not char.isascii()]
    weights = (_FREQUENCIES.get(char, 0) or 0.85 * _FREQUENCIES.get(char.lower(), 0) for char in beyond)
    return sum(weights) / max(len(beyond), 1)


def _japanese(data: bytes) -> str | None:
    """Text with kana, which only Japanese has."""
    for name in ("cp932", "euc_jp"):
        if _decodes(data, name) and _between(data.decode(name), "\u3041", "\u30ff") >= 0.4:
            return name
    return None


def _chinese_or_korean(data: bytes) -> str | None:
    if _decodes(data, "cp949") and _between(data.decode("cp949"), "\uac00", "\ud7a3") >= 0.9:
        return "cp949"
    for name in ("gb18030", "cp950"):
        if _decodes(data, name) and _share(data.decode(name), _COMMON_HAN) >= 0.12:
            return name
    return None


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _share(text: str, wanted: frozenset[str]) -> float:
    """How many of the characters beyond ASCII are among these."""
    beyond = [char for char in text[:_LOOKED_AT] if not char.isascii()]
    return sum(char in wanted for char in beyond) / max(len(beyond), 1)


def _between(text: str, first: str, last: str) -> float:
    beyond = [char for char in text[:_LOOKED_AT] if not char.isascii()]
    return sum(first <= char <= last for char in beyond) / max(len(beyond), 1)


def label_for(text: bytes, declared: str) -> str:
    """The charset name for the bytes of a decrypted inline text: UTF-8 if it is that, else as declared."""
    name = declared.strip("\"' ").lower()
    if name in _SEVEN_BIT or not _decodes(text, "utf-8"):
        return name if _NAME.match(name) else "windows-1252"
    return "utf-8"
