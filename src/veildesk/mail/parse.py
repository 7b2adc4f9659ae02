"""Bounded MIME parser: bytes to a tree of parts, in one pass, with byte positions.

Written for hostile input, where the standard library recurses or takes minutes: boundaries are found
by one scan over lines, limits hold before anything is kept, and no input raises anything but
`LimitExceeded` or `Unparsable`. Attached messages stay closed (`message/*` is a leaf), nothing is
reassembled or fetched. Positions let a signature be checked over the exact bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from veildesk.core.errors import Unparsable
from veildesk.core.limits import Limits
from veildesk.mail.charset import decode_bytes, decode_header
from veildesk.mail.limits_check import Budget, check_size
from veildesk.mail.parameters import parse_parameters
from veildesk.mail.transfer import decode_transfer

__all__ = ["HeaderField", "Part", "parse_mail", "read_header_block", "read_outer_header"]

_LINE = re.compile(rb"[^\r\n]*")
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MULTIPART = "multipart/"


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field: `name` as written, `value` unfolded raw bytes without surrounding blanks."""

    name: str
    value: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """The name in lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Part:
    """One entity of a mail.

    `content` holds the transfer-decoded bytes of a leaf, and of a multipart in which no part was
    found; else it is empty. `source[start:end]` is the whole entity without the line break that
    belongs to the next boundary (RFC 2046 § 5.1.1), `body_start` where its body begins. `defects`
    are fixed words.
    """

    headers: tuple[HeaderField, ...]
    media_type: str
    params: Mapping[str, str] = field(default_factory=dict)
    disposition: str = ""
    filename: str | None = None
    content_id: str | None = None
    content: bytes = field(default=b"", repr=False)
    children: tuple[Part, ...] = ()
    start: int = 0
    body_start: int = 0
    end: int = 0
    defects: tuple[str, ...] = ()
    _values: Mapping[str, list[bytes]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the fields by name once: a mail is asked for some thirty of them."""
        found: dict[str, list[bytes]] = {}
        for item in self.headers:
            found.setdefault(item.key, []).append(item.value)
        object.__setattr__(self, "_values", found)

    def values(self, name: str) -> tuple[bytes, ...]:
        """Raw values of all fields of this name, in order."""
        return tuple(self._values.get(name.lower(), ()))

    def value(self, name: str) -> bytes | None:
        """The raw value of the first field of this name."""
        return next(iter(self.values(name)), None)

    def leaves(self) -> tuple[Part, ...]:
        """All parts that hold content, in order."""
        if not self.children:
            return (self,)
        return tuple(leaf for child in self.children for leaf in child.leaves())


@dataclass(slots=True)
class _Node:
    start: int
    headers: tuple[HeaderField, ...]
    body_start: int
    media_type: str
    params: dict[str, str]
    defects: list[str]
    children: list[_Node] = field(default_factory=list)
    end: int = -1


def read_header_block(
    source: bytes, start: int, budget: Budget, boundaries: Mapping[bytes, int] | None = None
) -> tuple[tuple[HeaderField, ...], int, bool]:
    """Read fields from `start` on: the fields, where the body begins, and whether a blank line ended them.

    A line that is neither field nor continuation ends the block and belongs to the body, as does a
    boundary of an enclosing multipart.
    """
    lines: list[list[bytes]] = []
    names: list[str] = []
    pos, clean = start, False
    while pos < len(source):
        newline = source.find(b"\n", pos)
        stop = len(source) if newline < 0 else newline + 1
        line = source[pos:stop].rstrip(b"\r\n")
        if not line:
            pos, clean = stop, True
            break
        if boundaries and line.startswith(b"--") and _level(line[2:], boundaries) is not None:
            break
        if line[:1] in b" \t":
            if not lines:
                break
            lines[-1].append(line)
        else:
            match = _FIELD.match(line)
            if match is None:
                break
            names.append(match.group(1).decode("ascii"))
            lines.append([line[match.end() :]])
        pos = stop
        budget.header_block(pos - start, len(lines))
    fields = tuple(
        HeaderField(name, b"".join(folded).strip(b" \t")) for name, folded in zip(names, lines, strict=True)
    )
    for item in fields:
        budget.header_value(item.key, item.value)
    return fields, pos, clean


def _level(text: bytes, boundaries: Mapping[bytes, int]) -> int | None:
    """The level of the multipart whose boundary (or closing boundary) this line is."""
    text = text.rstrip(b" \t")
    level = boundaries.get(text)
    if level is None and text.endswith(b"--"):
        level = boundaries.get(text[:-2])
    return level


def parse_mail(raw: bytes, limits: Limits | None = None) -> Part:
    """The tree of parts of a mail or of a single MIME entity.

    Raises `LimitExceeded` for what is too large, deep or rich in parts, `Unparsable` for bytes that
    are no mail.
    """
    limits = limits or Limits()
    check_size(raw, limits)
    source = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
    budget = Budget(limits)
    start = _skip_envelope(source)
    root = _open_node(source, start, budget, {}, "text/plain")
    if not root.headers and _BINARY.search(source, 0, 4096):
        raise Unparsable("no-header")
    _scan(source, root, budget)
    return _freeze(source, root)


def read_outer_header(raw: bytes, limits: Limits | None = None) -> tuple[HeaderField, ...]:
    """The fields at the top of a mail, without looking at its body. Raises as `parse_mail` does."""
    limits = limits or Limits()
    check_size(raw, limits)
    source = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
    return read_header_block(source, _skip_envelope(source), Budget(limits))[0]


def _skip_envelope(source: bytes) -> int:
    """The start of the header, after a byte order mark and an mbox line."""
    start = 3 if source.startswith(b"\xef\xbb\xbf") else 0
    if source.startswith((b"From ", b">From "), start):
        return source.find(b"\n", start) + 1
    return start


def _first_token(value: bytes) -> str:
    """The one word of a field that has no more; some programs quote it or add a comment."""
    words = decode_bytes(value).replace('"', " ").partition("(")[0].replace(";", " ").split()
    return words[0].lower() if words else ""


def _open_node(
    source: bytes, start: int, budget: Budget, boundaries: Mapping[bytes, int], default: str
) -> _Node:
    headers, body_start, clean = read_header_block(source, start, budget, boundaries)
    declared = next((item.value for item in headers if item.key == "content-type"), None)
    media_type, params = parse_parameters(declared) if declared is not None else (default, {})
    defects = [] if clean else ["no-header-end"]
    if not _MEDIA_TYPE.fullmatch(media_type):
        defects.append("bad-content-type")
        media_type = "text/plain" if media_type in ("", "text") else "application/octet-stream"
    return _Node(start, headers, body_start, media_type, params, defects)


def _scan(source: bytes, root: _Node, budget: Budget) -> None:
    """Find all boundaries in one pass; an outer boundary ends whatever is open inside."""
    stack: list[tuple[_Node, bytes]] = []
    boundaries: dict[bytes, int] = {}
    _push(root, stack, boundaries)
    skip = root.body_start
    for begun, ended in _delimiters(source, root.body_start):
        if not stack:
            break
        if begun < skip:
            continue
        text = source[begun + 2 : ended].rstrip(b" \t")
        level = _level(text, boundaries)
        if level is None:
            continue
        end = _before_line_break(source, begun)
        while len(stack) > level + 1:
            node, boundary = stack.pop()
            del boundaries[boundary]
            _close_child(node, end)
        parent, boundary = stack[level]
        _close_child(parent, end)
        if text != boundary:
            stack.pop()
            del boundaries[boundary]
            continue
        begin = min(ended + (2 if source.startswith(b"\r\n", ended) else 1), len(source))
        default = "message/rfc822" if parent.media_type == "multipart/digest" else "text/plain"
        child = _open_node(source, begin, budget, boundaries, default)
        budget.part(len(stack))
        parent.children.append(child)
        skip = child.body_start
        _push(child, stack, boundaries)
    if stack:
        stack[0][0].defects.append("no-closing-boundary")


def _delimiters(source: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Begin and end (before CR or LF) of each line from `start` on that begins with two hyphens."""
    begins = start == 0 or source[start - 1] == 0x0A
    at = start if begins and source.startswith(b"--", start) else _after_break(source, start)
    while at >= 0:
        line = _LINE.match(source, at + 2)
        assert line is not None
        yield at, line.end()
        at = _after_break(source, line.end())


def _after_break(source: bytes, start: int) -> int:
    """The next line that begins with two hyphens after a line break from `start` on; -1 for none."""
    found = source.find(b"\n--", start)
    return found if found < 0 else found + 1


def _push(node: _Node, stack: list[tuple[_Node, bytes]], boundaries: dict[bytes, int]) -> None:
    boundary = node.params.get("boundary", "").rstrip().encode("utf-8", "replace")
    if node.media_type.startswith(_MULTIPART) and boundary and boundary not in boundaries:
        boundaries[boundary] = len(stack)
        stack.append((node, boundary))


def _close_child(parent: _Node, end: int) -> None:
    if parent.children and parent.children[-1].end < 0:
        parent.children[-1].end = end


def _before_line_break(source: bytes, pos: int) -> int:
    if pos > 0 and source[pos - 1] == 0x0A:
        pos -= 1
        if pos > 0 and source[pos - 1] == 0x0D:
            pos -= 1
    return pos


def _freeze(source: bytes, node: _Node, limit: int | None = None) -> Part:
    """Mutable nodes to parts; recursion is bounded by the depth limit."""
    end = node.end if node.end >= 0 else (len(source) if limit is None else limit)
    body_start = min(node.body_start, end)
    get = {item.key: item.value for item in reversed(node.headers)}.get
    children = tuple(_freeze(source, child, end) for child in node.children)
    disposition, extra = parse_parameters(get("content-disposition", b""))
    encoding = _first_token(get("content-transfer-encoding", b""))
    content = b""
    if not children:
        body = source[body_start:end]
        content = body if node.media_type.startswith(_MULTIPART) else decode_transfer(body, encoding)
        if node.media_type.startswith(_MULTIPART):
            node.defects.append("multipart-without-parts")
    content_id = get("content-id")
    return Part(
        headers=node.headers,
        media_type=node.media_type,
        params=node.params,
        disposition=disposition,
        filename=extra.get("filename") or node.params.get("name") or None,
        content_id=decode_header(content_id).strip("<> ") if content_id is not None else None,
        content=content,
        children=children,
        start=node.start,
        body_start=body_start,
        end=max(end, node.start),
        defects=tuple(node.defects),
    )
