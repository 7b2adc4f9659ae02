# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Leftovers of encodings and deliberate spelling-out, undone inside a view.

Quoted-printable (RFC 2045 § 6.7), percent (RFC 3986 § 2.1), HTML references, JSON and C escapes,
defanged dots and colons, and addresses spelled out as "name (at) host (dot) tld" in many languages.
A decoded piece is only ever used to find more: what the plain view finds stays found.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence

from veildesk.redact.detect import keywords
from veildesk.redact.view import Edit, View, edited

__all__ = ["AT_WORDS", "CASED_TRIGGERS", "DOT_WORDS", "TRIGGERS", "decoded_view", "decoded_views"]

AT_WORDS = (
    "at", "ät", "aet", "arroba", "arobase", "arrobas", "chiocciola", "собака", "собачка", "собак", "эт", "ат",
    "艾特", "圈a", "在", "小老鼠", "アット", "アットマーク", "골뱅이", "apenstaartje", "kukac", "malpa", "małpa",
    "zavinac", "zavináč", "snabel-a", "snabela", "krollalfa", "krøllalfa", "kissanhanta", "klammeraffe",
    "affenschwanz", "равлик", "равлик", "вухо", "маймунско а", "et", "a commerciale", "коммерческое at", "@", "＠",
)  # fmt: skip
DOT_WORDS = (
    "dot", "punkt", "punto", "ponto", "point", "punt", "piste", "tochka", "точка", "тчк", "крапка", "kropka",
    "tecka", "tečka", "bodka", "nokta", "点", "點", "ドット", "점", "точки", "d0t",
)  # fmt: skip

_SURE_AT_WORDS = (
    "arobase", "chiocciola", "apenstaartje", "małpa", "malpa", "zavináč", "zavinac", "arroba", "собака", "собачка", "アットマーク", "골뱅이", "snabel-a", "krøllalfa", "klammeraffe",
)  # fmt: skip
"""Of these none but an address is written before a domain."""

_SURE_AT = "|".join(sorted(map(re.escape, _SURE_AT_WORDS), key=len, reverse=True))
_AT = "|".join(sorted(map(re.escape, AT_WORDS), key=len, reverse=True))
_DOT = "|".join(sorted(map(re.escape, DOT_WORDS), key=len, reverse=True))

_RIMS = (
    ("[", "]"),
    ("(", ")"),
    ("{", "}"),
    ("<", ">"),
    ("_", "_"),
    ("*", "*"),
    ("|", "|"),
    ("[", ")"),
    ("(", "]"),
)


def _in_rims(words: Sequence[str], rims: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """Each word in each kind of bracket, with and without spaces inside."""
    for form in sorted({form for word in words for form in keywords.spellings(word)}):
        for opening, closing in rims:
            for text in (form, f" {form} ") if opening.strip() else (form,):
                yield re.escape(opening + text + closing).encode()


CASED_TRIGGERS: tuple[bytes, ...] = (
    rb"=(?:40|2E|2D|3A|2B|2F|3D|5F)[A-Za-z0-9]",
    rb"=[0-9A-F][0-9A-F]=[0-9A-F][0-9A-F]",
)
TRIGGERS: tuple[bytes, ...] = (
    rb"[^\r\n=]=\r?\n[> ]{0,6}[^\r\n>]",
    rb"%[0-9a-f][0-9a-f]",
    rb"&#?[a-z0-9]{2,8};",
    rb"\\[\"/nrtux\\]",
    rb"[\[({<][ ]?(?:[.:@/]|://)[ ]?[\])}>]",
    rb"hxxps?",
    rb"<wbr",
    rb"<br",
    rb"[a-z0-9,. ]\\\r?\n",
    rb"[^ >\n]</?(?:span|font|mark|strong|em|nobr|code)[ >]",
    *_in_rims(AT_WORDS[:-2], _RIMS),
    *_in_rims(DOT_WORDS, (*_RIMS, (" ", " "))),
    rb"\x20(?:#|@|\xef\xbc\xa0)\x20",
    *(f" {form} ".encode() for word in _SURE_AT_WORDS for form in sorted(keywords.spellings(word))),
)
"""Byte patterns (case matters for the first few only), one of which fires wherever something may be undone."""

_LEFTOVER = re.compile(
    r"(?P<soft>(?<=[^\n\r=])=\r?\n(?:> ?)*(?=[^\r\n>])(?![\"']?[A-Za-z_][\w. -]{0,40}[\"']?[ \t]?[=:][^=]|-----|[0-9]{4}-[0-9]{2}-|=))"
    r"|(?P<qp>(?-i:(?:=[0-9A-F]{2})+))"
    r"|(?P<pct>(?:%(?:25){0,3}[0-9A-Fa-f]{2})+)"
    r"|(?P<ent>&(?:amp;)?(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});)"
    r"|(?P<esc>(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|(?-i:\\[\"/nrt\\]))"
    r"|(?P<fang>[ ]?[\[({<][ ]?(?P<mark>://|[.:@/])[ ]?[\])}>][ ]?)"
    r"|(?P<line>\\\r?\n[ \t]{0,12}|<br ?/?>(?:\r?\n)?)"
    r"|(?P<tag>(?:<wbr ?/?>)+|(?<=\w)(?:</?(?:span|font|mark|strong|em|nobr|code)(?:[ ][^<>\n]{0,160})?>)+(?=\w))"
    r"|(?P<hxxp>(?<![A-Za-z])hxxp(?=s?:))"
    rf"|(?P<at>[ ]{{0,2}}(?:[\[({{<][ ]?(?:{_AT})[ ]?[\])}}>]|(?P<rim>[_*|])(?:{_AT})(?P=rim))[ ]{{0,2}})"
    rf"|(?P<dot>[ ]{{0,2}}[\[({{<_*|][ ]?(?:{_DOT})[ ]?[\])}}>_*|][ ]{{0,2}})"
    rf"|(?P<word>(?<=\w)[ ](?:{_DOT})[ ](?=[\w-]{{2,24}}))"
    rf"|(?P<spaced>(?<=[\w.+-])[ ](?:{_AT}|\#)[ ]"
    rf"(?=[\w-]{{1,63}}(?:[ ](?:{_DOT})[ ]|[ ]?[\[({{<](?:{_DOT}|\.)[\])}}>][ ]?)[\w-]{{2,24}})"
    rf"|(?<=[\w.+-])[ ](?:{_SURE_AT})[ ](?=[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,3}}\.[a-z]{{2,12}}(?![\w-]))"
    r"|(?<=[\w.+-])[ ][#@][ ](?=[\w-]{1,63}[ ]?\.[ ]?[\w-]{2,24}))",
    re.IGNORECASE,
)

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "/": "/", "\\": "\\"}


def _bytes_text(pairs: bytes) -> str | None:
    """Decoded octets as text, None if they are not text."""
    try:
        text = pairs.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\r\n\t" for char in text) else None


def _escaped(piece: str) -> str | None:
    kind = piece[1].lower()  # the pattern does not mind case
    if kind == "u":
        units = b"".join(int(piece[i + 2 : i + 6], 16).to_bytes(2, "big") for i in range(0, len(piece), 6))
        return units.decode("utf-16-be", "replace")
    if kind == "x":
        return chr(int(piece[2:4], 16))
    return _ESCAPES[piece[1]]


def _replacement(match: re.Match[str]) -> str | None:
    """What a leftover stands for, None to leave it alone."""
    kind, piece = match.lastgroup, match[0]
    if kind == "mark" or match["fang"]:
        return match["mark"]
    if match["at"] or kind == "spaced":
        return "@"
    if kind in ("dot", "word"):
        return "."
    if kind == "line":
        return "\n"
    if kind in ("soft", "tag"):
        return ""
    if kind == "qp":
        return _bytes_text(bytes.fromhex(piece.replace("=", "")))
    if kind == "pct":
        return _bytes_text(bytes.fromhex(re.sub(r"%(?:25)*(?=..)", "", piece)))
    if kind == "ent":
        new = html.unescape(piece.replace("&amp;", "&"))
        if len(new) == 1 and unicodedata.category(new) == "Cf":
            return ""  # a soft hyphen or a character of no width
        return new if len(new) == 1 else None
    if kind == "hxxp":
        return "http"
    return _escaped(piece)


_NUMBER = re.compile(r"=[0-9]{2}(?=[0-9.])")
_ESCAPED = re.compile(r"\\[ux]|%[0-9A-Fa-f]{2}|&#?[0-9a-z]{2,7};")


def _edits(text: str, numbers: bool) -> Iterator[Edit]:
    for match in _LEFTOVER.finditer(text):
        new = None if numbers and _NUMBER.match(text, match.start()) else _replacement(match)
        if new is not None:
            yield Edit(match.start(), match.end(), new)


def decoded_view(text: str) -> View:
    """`text` with leftovers undone."""
    return edited(text, _edits(text, False))


def decoded_views(text: str) -> Iterator[View]:
    """`text` with leftovers undone; where "=20" stands beside other leftovers, also as a value that begins so."""
    yield decoded_view(text)
    if _NUMBER.search(text) and _ESCAPED.search(text):
        yield edited(text, _edits(text, True))
