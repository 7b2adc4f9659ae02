"""The words a reader would see in HTML and calendar files; pure, nothing is fetched or run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["calendar_text", "html_text"]

_SILENT = frozenset(
    ("script", "style", "head", "template", "noscript", "iframe", "object", "svg", "math", "select")
)
_INLINE = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
     "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time",
     "tt", "u", "var", "wbr")
)  # fmt: skip
_BLOCKS = frozenset(
    ("p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "ul", "ol", "section",
     "article", "header", "footer", "blockquote", "hr", "dt", "dd", "title")
)  # fmt: skip
_KEPT = frozenset(("SUMMARY", "DESCRIPTION", "DTSTART", "DTEND", "DUE", "STATUS", "METHOD", "RRULE"))
_FOLD = re.compile(r"\r?\n[ \t]")
_CALENDAR_ESCAPE = re.compile(r"\\([\\;,nN])")


class _Visible(HTMLParser):
    """Collects text outside of elements that show none. Link targets and attributes are dropped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in ("td", "th"):
            self.parts.append("\t")
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag not in _INLINE:
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        elif tag == "body":
            self._silent.clear()
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def html_text(markup: str) -> str:
    """Visible text of an HTML document, at most one empty line in a row."""
    parser = _Visible()
    parser.feed(markup)
    parser.close()
    lines = [re.sub(r"[ \xa0]{2,}", " ", line).strip() for line in "".join(parser.parts).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def calendar_text(text: str) -> str:
    """What an iCalendar file (RFC 5545) is about and when; people, places and identifiers are dropped."""
    lines = []
    for line in _FOLD.sub("", text).splitlines():
        head, _, value = line.partition(":")
        name = head.partition(";")[0].upper()
        if name in _KEPT:
            shown = _CALENDAR_ESCAPE.sub(lambda m: "\n" if m[1] in "nN" else m[1], value)
            lines.append(f"{name}: {shown}")
    return "\n".join(lines) + "\n" if lines else ""
