"""HTML to plain text, for reading only: nothing is loaded, no markup leaves.

Scripts, styles, comments, form fields and elements hidden from the eye are dropped. A link is its text,
followed by its target when that differs. Quotations become lines that begin with "> ". A flat state
machine over tokens, so nesting costs no recursion and size costs linear time.
"""

from __future__ import annotations

import re
from collections import Counter

from veildesk.mail.charset import clean_line
from veildesk.mail.html_tokens import Data, EndTag, StartTag, tokenize

__all__ = ["html_to_text"]

_DROPPED = frozenset(
    {"script", "style", "head", "title", "template", "iframe", "object", "applet", "svg", "math", "noembed"}
    | {"audio", "video", "canvas", "select", "button", "textarea", "map", "noframes", "xml", "datalist"}
)
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "blockquote", "table"}
)
_BLOCKS = _PARAGRAPHS | {
    *("div", "section", "article", "header", "footer", "form", "hr", "address", "figure", "main", "nav"),
    *("aside", "br", "tr", "li", "dt", "dd", "caption", "fieldset", "center", "body"),
}
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed", "param", "source", "wbr"}
)
_CLOSED_BY_ITSELF = frozenset({"p", "li", "tr", "td", "th", "dt", "dd", "option"})
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|(?:font-size|opacity|max-height):0(?![.\d]*[1-9])"
)
_TARGETS = ("http://", "https://", "mailto:", "tel:", "xmpp:", "ftp://")
_HOST = re.compile(r"(https?://(?:[^/?#@\s]*@)?)([^/?#@:\s]+)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_MAX_QUOTE = 20


class _Writer:
    """Open elements, the line being written, and the lines done (quotation depth and text)."""

    def __init__(self, drop_class: str | None) -> None:
        self.lines: list[tuple[int, str]] = []
        self._drop_class = drop_class
        self._stack: list[tuple[str, bool]] = []
        self._open: Counter[str] = Counter()
        self._hidden = 0
        self._line: list[str] = []
        self._link: tuple[str, int] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "body" and self._open["head"]:
            self.end("head")
        if tag in _CLOSED_BY_ITSELF and self._stack and self._stack[-1][0] == tag:
            self.end(tag)
        if tag not in _VOID:
            hidden = tag in _DROPPED or self._is_hidden(attributes)
            if not self._hidden and not hidden:
                self._show(tag, attributes)
            self._stack.append((tag, hidden))
            self._open[tag] += 1
            self._hidden += hidden
        elif not self._hidden:
            self._show(tag, attributes)

    def _is_hidden(self, attributes: dict[str, str]) -> bool:
        if "hidden" in attributes:
            return True
        if self._drop_class is not None and self._drop_class in attributes.get("class", "").split():
            return True
        style = _BLANKS.sub("", attributes.get("style", "")).lower()
        return _HIDDEN_STYLE.search(style) is not None

    def _show(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _BLOCKS:
            self._break(blank=tag in _PARAGRAPHS, force=tag == "br")
        if tag == "li":
            self._line.append("* ")
        elif tag == "hr":
            self._line.append("---")
            self._break()
        elif tag in ("td", "th") and self._line:
            self._line.append(" ")
        elif tag == "a" and self._link is None:
            self._link = (attributes.get("href", ""), len(self._line))
        elif tag == "img" and (shown := clean_line(attributes.get("alt", ""))):
            self._line.append(f"[{shown[:200]}]")

    def end(self, tag: str) -> None:
        """Close an element and all that was left open in it; without such an element, nothing."""
        while self._open[tag]:
            name, hidden = self._stack.pop()
            self._hidden -= hidden
            if not self._hidden and not hidden:
                if name == "a":
                    self._end_link()
                if name in _BLOCKS:
                    self._break(blank=name in _PARAGRAPHS)
            self._open[name] -= 1
            if name == tag:
                return

    def _end_link(self) -> None:
        if self._link is None:
            return
        target, start = _plain_host(clean_line(self._link[0])), self._link[1]
        self._link = None
        if not target.lower().startswith(_TARGETS):
            return
        shown = clean_line("".join(self._line[start:])).rstrip("/")
        bare = re.sub(r"^(?:mailto|tel|xmpp):", "", target)
        if shown not in (bare.rstrip("/"), re.sub(r"^https?://", "", bare).rstrip("/")):
            self._line.append(f" <{bare[:2000]}>" if shown else f"<{bare[:2000]}>")

    def data(self, text: str) -> None:
        if self._hidden:
            return
        if not self._open["pre"]:
            self._line.append(_BLANKS.sub(" ", text))
            return
        for index, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if index:
                self._break(force=True)
            self._line.append(line)

    def _break(self, *, blank: bool = False, force: bool = False) -> None:
        text = "".join(self._line)
        if not self._open["pre"]:
            text = _BLANKS.sub(" ", text).strip(" ")
        self._line.clear()
        if self._link is not None:
            self._link = (self._link[0], 0)
        depth = min(self._open["blockquote"], _MAX_QUOTE)
        if text.strip() or force:
            self.lines.append((depth, text.rstrip()))
        if blank and self.lines and self.lines[-1][1]:
            self.lines.append((depth, ""))

    def finish(self) -> None:
        if not self._hidden:
            self._end_link()
            self._break()


def _plain_host(target: str) -> str:
    """A web address with its host as it is looked up (punycode), so that look-alikes show."""
    match = _HOST.match(target)
    if match is None or match.group(2).isascii():
        return target
    try:
        host = match.group(2)[:253].encode("idna").decode("ascii")
    except UnicodeError:
        host = "(unreadable host)"
    return match.group(1) + host + target[match.end() :]


def html_to_text(source: str, *, drop_class: str | None = None) -> str:
    """Readable text of an HTML document, LF line ends, no more than one blank line in a row.

    Elements of class `drop_class` are left out. Never raises.
    """
    writer = _Writer(drop_class)
    for token in tokenize(source):
        match token:
            case StartTag(name, attributes):
                writer.start(name, attributes)
            case EndTag(name):
                writer.end(name)
            case Data(text):
                writer.data(text)
    writer.finish()
    return _render(writer.lines)


def _render(lines: list[tuple[int, str]]) -> str:
    """Lines with their quotation marks; a blank line belongs to the outer of the two around it."""
    out: list[str] = []
    blank, last = False, 0
    for quote, text in lines:
        text = text.replace("\u00a0", " ").rstrip()
        if not text:
            blank = True
            continue
        if blank and out:
            out.append(("> " * min(last, quote)).rstrip())
        out.append("> " * quote + text)
        blank, last = False, quote
    return "\n".join(out)
