"""A flat, linear tokenizer for HTML of mails.

The standard library's parser takes quadratic time on some unclosed constructs, which a stranger's mail
must not be able to cost us. This one follows the parts of the HTML standard (§ 13.2.5) that decide what
is markup and what is text: quotes in tags, comments, raw text elements. What is not closed at the end is
dropped. Every byte is looked at a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Data", "EndTag", "StartTag", "tokenize"]

_RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_TAG_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s=/>][^\s=/>]*)(\s*=\s*)?")
_UNQUOTED = re.compile(r"[^\s>]*")
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")
_MAX_ATTRIBUTES = 100


@dataclass(frozen=True, slots=True)
class StartTag:
    """An opening tag: lower-case name, first value of each attribute."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndTag:
    """A closing tag."""

    name: str


@dataclass(frozen=True, slots=True)
class Data:
    """Text between tags, character references resolved."""

    text: str


def tokenize(source: str) -> Iterator[StartTag | EndTag | Data]:
    """The tokens of a document in order; comments, declarations and raw text are left out."""
    pos = 0
    while pos < len(source):
        start = source.find("<", pos)
        if start < 0:
            yield Data(_unescape(source[pos:]))
            return
        if start > pos:
            yield Data(_unescape(source[pos:start]))
        follows = source[start + 1 : start + 2]
        if source.startswith("<!--", start):
            pos = _after(source, "-->", start + 2)
        elif follows in ("!", "?"):
            pos = _after(source, ">", start)
        elif follows == "/":
            name = _TAG_NAME.match(source, start + 2)
            pos = _after(source, ">", start)
            if name is not None and pos > 0:
                yield EndTag(name.group().lower())
        elif (name := _TAG_NAME.match(source, start + 1)) is not None:
            attributes, pos = _attributes(source, name.end())
            tag = name.group().lower()
            if pos > 0:
                yield StartTag(tag, attributes)
            if pos > 0 and tag in _RAW_TEXT:
                close = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(source, pos)
                pos = close.start() if close is not None else -1
        else:
            yield Data("<")
            pos = start + 1
        if pos < 0:
            return


def _after(source: str, mark: str, pos: int) -> int:
    end = source.find(mark, pos)
    return -1 if end < 0 else end + len(mark)


def _attributes(source: str, pos: int) -> tuple[dict[str, str], int]:
    """Attributes from `pos` to the end of the tag, and the position after it (-1: never closed)."""
    found: dict[str, str] = {}
    while pos < len(source):
        match = _ATTRIBUTE.match(source, pos)
        if match is None:
            return found, _after(source, ">", pos)
        pos = match.end()
        value = ""
        if match.group(2) is not None:
            quote = source[pos : pos + 1]
            if quote in ('"', "'") and quote:
                end = source.find(quote, pos + 1)
                if end < 0:
                    return found, -1
                value, pos = source[pos + 1 : end], end + 1
            else:
                bare = _UNQUOTED.match(source, pos)
                assert bare is not None
                value, pos = bare.group(), bare.end()
        if len(found) < _MAX_ATTRIBUTES:
            found.setdefault(match.group(1).lower(), _unescape(value))
    return found, -1


def _unescape(text: str) -> str:
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text
