"""Values that mail wrapping cut in two.

For each line break between two token characters, the last token of the line and the first of the next
are put together and shown to the exact rules only. A join counts if a whole value with a true checksum
or fixed shape spans the break, and only if the left half was no complete value by itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from veildesk.core.finding import Finding
from veildesk.redact.detect.domains import is_top_level
from veildesk.redact.view import Edit, View, edited

__all__ = ["COMPLETE", "SURE", "continued", "joined_findings"]

SURE = 0.9
"""From this confidence on a joined value is believed."""

COMPLETE = 0.95
"""From this confidence on a value is whole, and nothing is joined to it."""

_OUTDONE = frozenset({"ETH", "SOL", "TXID"})
"""Whole as they are, yet a private key may begin like them."""

InTurn = Callable[[str], Iterator[list[Finding]]]
"""Searches a short text with the exact rules, then, if asked on, with those that go by words."""

_BLOCKS = frozenset({"PEM", "PGP", "SEED"})
_CONTEXT = 60
_REACH = 200
_MAX_LINES = 24
_TAIL = re.compile(r"[A-Za-z0-9_.:+/@%=-]*")
_BREAK = re.compile(
    r"(?:[=\\]?\r?\n(?:[ \t]?[>|])*[ \t]{0,12}|<w?br ?/?>(?:\r?\n[ \t]{0,12})?)", re.IGNORECASE
)
_INDENTED = re.compile(r"[ \t]{3}|-\r?\n")
_HEAD = re.compile(r"[A-Za-z0-9_.:+/@%=-]+")


_STAMP = re.compile(
    r"[\[(<]?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}(?![0-9])|(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-6][0-9](?![:0-9a-f])"
)
"""How lines of a log begin: nothing goes on in such a line."""

_MIXED = re.compile(r"[0-9]|[a-z][A-Z]")
_LEAST = 25
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_UUID_LENGTH = 36
_LAST = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]*\Z")
_FIRST = re.compile(r"[A-Za-z0-9]*")
_SENTENCE = re.compile(r"(?=.*[g-z])[A-Z]?[a-z]{1,14}[.:]")
_NET = re.compile(r"(?:[0-9A-Fa-f]{1,4}[:.-]{1,2}){3}[0-9A-Fa-f]")
_PREFIX = re.compile(
    r"eyJ|AGE-|\.onion|A[KS]IA|gh[pousr]_|_pat_|xox|sk[-_]|[spr]k_|glpat|AIza|[0-9]:A|://|SG\.|npm_|pypi-|-KEY-"
)

_W, _N, _X = "[a-z0-9_.:-]", "[0-9]", "[0-9a-f]"
_WORTH = re.compile(
    "|".join(
        left + r"[^\n]*\n" + right
        for left, right in (
            (_W + "{14}", _W + "{2}"),
            (_W + "{10}", "[a-z0-9_.:]{5}"),
            (_W + "{4}", "[a-z0-9_-]{12}"),
            (_X + "{0,4}[.:]" + _X, _X + "{0,4}[.:]" + _X),
            (_X + "{0,4}:" + _X, _X + "{1,4}(?![0-9a-z])"),
            (_N + "{6}", _N + "{2}"),
            (_N, f"(?:{_N}{{0,4}} {_N}{{2}}|{_N}{{0,4}}-{_N}{{4}}|\\.{_N}{{2}})"),
            (_N + "{2}", _N + "{8}"),
            ("[a-z0-9_-]{8}", "[a-z0-9_-]{8}"),
            (_N + "{1,4}[ .-]" + _N, _N),
            ("[a-z0-9]{2}", "[a-z0-9]{18}"),
            (_X + "{2}", "(?:[0-9a-f:]{18}|[:.-]" + _X + "{2})"),
            ("[a-z0-9.-]{0,40}@", "[a-z0-9.-]{2}"),
            ("[a-z0-9_.-]", "[a-z0-9_.-]{0,20}@"),
            ("[a-z0-9_]", "[a-z0-9_:/+-]{11}"),
        )
    ),
    re.IGNORECASE | re.ASCII,
)
"""What stands before a break, read backwards, and after it, for a break worth a look."""

_BEGUN = re.compile(
    r"(?<![A-Za-z])(?:basic|bearer|token|key|secret|sig|signature|auth)[\"']?[ \t]{0,2}[:= ][ \t\"']{0,2}"
    r"[A-Za-z0-9+/_-]{0,24}\Z",
    re.IGNORECASE,
)
"""A value just begun behind a word for it."""

_NEAR = 44


_LINE = re.compile(rf"\n(?!{_STAMP.pattern})")
_TAG = re.compile(r"<w?br ?/?>", re.IGNORECASE)


def _breaks(text: str) -> Iterator[int]:
    """Line breaks that may have cut a value."""
    places = [match.start() for match in _LINE.finditer(text)]
    tags = [match.start() for match in _TAG.finditer(text)] if "<" in text else []
    for at in sorted(places + tags) if tags else places:
        end = _left_end(text, at)
        gap = _BREAK.match(text, end)
        end -= text[end - 1 : end] == "-"
        left = text[max(0, end - _NEAR, text.rfind("\n", 0, end) + 1) : end][::-1]
        if gap and _WORTH.match(f"{left}\n{text[gap.end() : gap.end() + _NEAR]}"):
            yield at


def _left_end(text: str, at: int) -> int:
    """Where what stands before the break at `at` ends: before a sign that the line goes on, too."""
    if text[at] != "\n":
        return at
    end = at - (text[at - 1 : at] == "\r")
    return end - (text[end - 1 : end] in ("=", "\\"))


def joined_findings(
    text: str,
    found: Sequence[Finding],
    in_turn: InTurn,
) -> Iterator[Finding]:
    """Findings that span line breaks of `text`."""
    breaks = list(_breaks(text))
    if not breaks:
        return
    complete = {item.end: item.type for item in found if item.confidence >= COMPLETE}
    begun = {item.start for item in found if item.confidence >= COMPLETE and item.type == "ONION"}
    blocks = sorted((item.start, item.end) for item in found if item.type in _BLOCKS)
    done = -1
    for at in breaks:
        while blocks and blocks[0][0] < at:
            done = max(done, blocks.pop(0)[1] - 1)
        if at > done:
            item, done = _at_break(text, at, complete, in_turn)
            if item is None and text[_left_end(text, at) - 1 : at].startswith("-"):
                item, done = _at_break(text, at, complete, in_turn, hyphens=1)
            if item is not None and not (item.type == "ONION" and at + 1 in begun):
                yield item


def _at_break(
    text: str,
    newline: int,
    complete: Mapping[int, str],
    in_turn: InTurn,
    hyphens: int = 0,
) -> tuple[Finding | None, int]:
    """(the value broken at `newline`, up to where breaks need no further look).

    So many `hyphens` before the break are taken for marks of hyphenation.
    """
    end = _left_end(text, newline) - hyphens
    tail = _TAIL.match(text[max(0, end - _REACH) : end][::-1])
    left = tail.end() if tail else 0
    whole = complete.get(end) or complete.get(end + 1)
    if whole is None and text[end - 1 : end] == "." and complete.get(end - 1) == "EMAIL":
        whole = "EMAIL" if is_top_level(text[:end].rpartition(".")[0].rpartition(".")[2]) else None
    if left < 2 - text[end - 1 : end].isdigit() or (whole and whole not in _OUTDONE):
        return None, newline
    if _UUID.match(text, max(0, end - _UUID_LENGTH), end):
        return None, newline  # whole as it is
    start, at = end - left, end
    breaks: list[tuple[int, int]] = []
    for count in range(1, _MAX_LINES + 1):
        gap = _BREAK.match(text, at + hyphens * (count == 1))
        head = _HEAD.match(text, gap.end(), gap.end() + _REACH) if gap else None
        if gap is None or head is None:
            break
        breaks.append((at, gap.end()))
        at = head.end() - (head[0].endswith("=") and text[head.end() : head.end() + 1] in ("\r", "\n"))
        last = text[at : at + 1] not in ("\r", "\n", "=") or head.end() - gap.end() < 30
        if (count <= 2 or last) and (
            _likely(text[start:end], head[0]) or _BEGUN.search(text, max(0, end - 40), end)
        ):
            item = _across(text, start, head.end(), breaks, in_turn)
            if item is not None and (whole is None or item.type == "PRIVKEY"):
                return item, item.end
        if last:
            break
    return None, at - 1 if len(breaks) > 3 else newline


def _likely(left: str, right: str) -> bool:
    """Whether a join could be anything at all: an address, a login, or a token of some length."""
    if "@" in left or "@" in right:
        return True
    if _SENTENCE.fullmatch(left):
        return False
    plain = _LAST.search(left)
    begin = _FIRST.match(right)
    if plain and begin and len(plain[0]) + len(begin[0]) >= _LEAST:
        return True
    if plain and begin and len(begin[0]) >= 20:
        return True
    if (
        right.startswith("onion")
        or ":AA" in right[:8]
        or (left[-1:].isdigit() and right[:1] in "0123456789.")
    ):
        return True
    return _PREFIX.search(left + right[:12]) is not None or _NET.search(left[-45:] + right[:45]) is not None


def _across(
    text: str, start: int, stop: int, breaks: list[tuple[int, int]], in_turn: InTurn
) -> Finding | None:
    """The value that spans all of `breaks` once they are taken out, if there is one."""
    low, high = max(0, start - _CONTEXT), min(len(text), stop + 20)
    view = edited(text[low:high], (Edit(a - low, b - low, "") for a, b in breaks))
    turns = in_turn(view.text)
    for item in _spanning(next(turns), view, low, breaks):
        if item.confidence < SURE or (item.type == "EMAIL" and not _address(text, item.start, item.end)):
            continue
        if (
            item.confidence < 1.0
            and item.type in ("EMAIL", "IPV4", "PHONE")
            and any(_INDENTED.search(text, *gap) for gap in breaks)
        ):
            continue
        if item.confidence == 1.0 or _MIXED.search(text[item.start : breaks[0][0]]):
            return item
    for item in _spanning(next(turns), view, low, breaks):
        left, right = text[item.start : breaks[0][0]], text[breaks[-1][1] : item.end]
        if item.type in _CONTINUED and _goes_on(left, right, item.type):
            return item
    return None


def _spanning(
    found: Iterable[Finding], view: View, low: int, breaks: list[tuple[int, int]]
) -> Iterator[Finding]:
    """Those of the findings in a view of `text[low:]` that begin before all breaks and end behind them."""
    for item in found:
        first, last = view.source(item.start, item.end)
        first, last = first + low, last + low
        if first < breaks[0][0] and last > breaks[-1][1]:
            yield Finding(first, last, item.type, item.rule, item.confidence, item.secret)


def _address(text: str, start: int, end: int) -> bool:
    """Whether a joined mail address can be one: a true top-level domain, and no decorator of a program."""
    if re.search(r"\.\r?\n[> \t]*[A-Z][a-z]+\Z", text[start:end]):
        return False  # a sentence ended there
    if re.match(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}\r?\n", text[start:end]):
        return False  # a row of a table ended there
    top = re.split(r"[.@]|=?\r?\n[> \t]*", text[start:end])[-1]
    return (is_top_level(top) or top.endswith("]")) and text[end : end + 1] != "("


_CONTINUED = frozenset({"API_TOKEN", "BASIC_AUTH", "BEARER", "COOKIE", "TOTP", "URL_TOKEN"})
_NEXT = re.compile(r"=?\r?\n(?:[ \t]?>)*[ \t]?(?P<rest>[A-Za-z0-9_+/=%-]{1,4000})(?=[\s\"';,&]|\Z)")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE32 = re.compile(r"[A-Z2-7]+")
_WHOLE_HEX = frozenset({32, 40, 64, 128})
_WHOLE_BASE32 = frozenset({16, 26, 32, 52, 64})
_TELLING = 8
_FULL = 4
"""A shorter rest counts only if it makes the whole of a usual length."""


def continued(text: str, found: Sequence[Finding]) -> Iterator[Finding]:
    """What goes on in the next line of a secret that only its keyword gives away.

    The next token must be of the same make and as random; a value of a usual full length is whole.
    """
    for item in found:
        if item.type not in _CONTINUED or (item.confidence >= COMPLETE and item.type != "API_TOKEN"):
            continue
        left = text[item.start : item.end]
        soft = left.endswith("=") and len(left) % 4 != 0
        match = _NEXT.match(text, item.end - soft)
        if match is not None and _goes_on(left[: len(left) - soft], match["rest"], item.type):
            yield Finding(item.start, match.end(), item.type, item.rule, item.confidence, item.secret)


def _goes_on(left: str, right: str, type_: str) -> bool:
    """Whether `right` can be the rest of the secret `left`."""
    if type_ == "BASIC_AUTH" and "\n" not in left:
        return _basic_rest(left, right)
    if left.endswith("=") or "\n" in left or re.search(r"=[^=]", right):
        return False
    size = len(left) + len(right)
    telling = len(left) >= _TELLING  # a few characters may be of any alphabet
    if telling and _HEX.fullmatch(left):
        whole = size in _WHOLE_HEX or len(right) >= _FULL
        return whole and len(left) not in _WHOLE_HEX and _HEX.fullmatch(right) is not None
    if telling and _BASE32.fullmatch(left):
        whole = size in _WHOLE_BASE32 if len(right) < _FULL else True
        known = len(left) not in (16, 32, 64) or len(right) in (16, 32)
        return whole and known and _BASE32.fullmatch(right) is not None
    if len(right) < _FULL or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9/-]+", right):
        return False
    kinds = [0 if char.isdigit() else 1 if char.islower() else 2 for char in right if char.isalnum()]
    return sum(a != b for a, b in pairwise(kinds)) >= 3 and right[-1:] != ":"


def _basic_rest(left: str, right: str) -> bool:
    """Whether both together are base64 of printable text with a colon, or the left half alone cannot be."""
    if left.endswith("="):
        return False
    try:
        text = base64.b64decode(left + right, validate=True).decode()
    except ValueError:
        return len(left) % 4 != 0 and len(right) >= _FULL
    return ":" in text and text.isprintable()
