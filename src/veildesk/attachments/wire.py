"""What parent and worker say to each other over two pipes: one request, one answer.

Both are a length, a JSON head of that length, and raw bytes. The parent reads the answer as it would
read anything from a stranger: every word must be in a closed list, every size must add up, depth and
count are bounded, and whatever does not fit raises `BadAnswer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind
from veildesk.attachments.reasons import Refusal, Removed

__all__ = [
    "BadAnswer",
    "Item",
    "Request",
    "decode_item",
    "decode_request",
    "encode_item",
    "encode_request",
    "frame",
    "unframe",
]

_LENGTH = 8
_MAX_HEAD = 1024 * 1024


class BadAnswer(ValueError):
    """The other side's bytes are not in the agreed form."""


@dataclass(frozen=True, slots=True)
class Request:
    """One file to clean. `charset` is the declared one, a hint for text only; no name is sent.

    `whole` asks for everything that can be read in an office file, hidden or not, instead of its
    visible text alone. `originals` asks for office files, sound and film of archives as they were.
    """

    content: bytes = field(repr=False)
    charset: str = ""
    bounds: Bounds = field(default_factory=Bounds)
    whole: bool = False
    originals: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one file, or of one member of an archive.

    Either `refused`, or an image in `content`, or UTF-8 text in `content` with `text` true, or
    JPEG `pages` of a document (its text, if any, in `content` with `text` true), or `members`.
    `strings` is all that can be read in an office file beside its visible text, if it was asked for.
    `original` is a member of an archive as it was, for another cleaner; it is never delivered.
    """

    kind: Kind
    refused: Refusal | None = None
    content: bytes | None = field(default=None, repr=False)
    text: bool = False
    pages: tuple[bytes, ...] = field(default=(), repr=False)
    members: tuple[tuple[str, Item], ...] = field(default=(), repr=False)
    removed: tuple[Removed, ...] = ()
    strings: bytes | None = field(default=None, repr=False)
    original: bytes | None = field(default=None, repr=False)


def encode_request(request: Request) -> bytes:
    """Bytes for the worker's standard input."""
    head = {
        "charset": request.charset,
        "whole": request.whole,
        "originals": request.originals,
        "bounds": asdict(request.bounds),
        "size": len(request.content),
    }
    return frame(head, [request.content])


def decode_request(data: bytes) -> Request:
    """Read a request. Raises `BadAnswer`."""
    head, blobs = unframe(data)
    try:
        bounds = Bounds(**head["bounds"])
        content = next(_cut(blobs, [head["size"]]))
        return Request(
            content, str(head["charset"]), bounds, head["whole"] is True, head["originals"] is True
        )
    except (KeyError, TypeError) as error:
        raise BadAnswer("request") from error


def encode_item(item: Item) -> bytes:
    """Bytes for the worker's standard output."""
    blobs: list[bytes] = []
    return frame(_head_of(item, blobs), blobs)


def decode_item(data: bytes, members: int = 1000, depth: int = 4) -> Item:
    """Read an answer, trusting nothing. Raises `BadAnswer`."""
    head, blobs = unframe(data)
    sizes: list[int] = []
    try:
        _sizes(head, sizes, depth)
        if len(sizes) > members * 2:
            raise BadAnswer("too many parts")
        return _item_of(head, _cut(blobs, sizes))
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError, RecursionError) as error:
        raise BadAnswer("answer") from error


def frame(head: dict[str, Any], blobs: list[bytes]) -> bytes:
    """A length, a JSON head of that length, and raw bytes."""
    encoded = json.dumps(head).encode("ascii")
    return b"".join([len(encoded).to_bytes(_LENGTH), encoded, *blobs])


def unframe(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and the bytes behind it. Raises `BadAnswer`."""
    size = int.from_bytes(data[:_LENGTH])
    end = _LENGTH + size
    if len(data) < end or not 0 < size <= _MAX_HEAD:
        raise BadAnswer("length")
    try:
        head = json.loads(data[_LENGTH:end])
    except (ValueError, RecursionError) as error:
        raise BadAnswer("head") from error
    if not isinstance(head, dict):
        raise BadAnswer("head")
    return head, data[end:]


def _cut(blobs: bytes, sizes: list[int]) -> Iterator[bytes]:
    if any(type(size) is not int or size < 0 for size in sizes) or sum(sizes) != len(blobs):
        raise BadAnswer("sizes")
    at = 0
    for size in sizes:
        yield blobs[at : at + size]
        at += size


def _head_of(item: Item, blobs: list[bytes]) -> dict[str, Any]:
    head: dict[str, Any] = {
        "kind": item.kind.value,
        "refused": item.refused.value if item.refused else None,
        "text": item.text,
        "removed": [word.value for word in item.removed],
        "content": None if item.content is None else len(item.content),
        "pages": [len(page) for page in item.pages],
        "strings": None if item.strings is None else len(item.strings),
        "original": None if item.original is None else len(item.original),
    }
    if item.content is not None:
        blobs.append(item.content)
    blobs.extend(item.pages)
    if item.strings is not None:
        blobs.append(item.strings)
    if item.original is not None:
        blobs.append(item.original)
    head["members"] = [[name, _head_of(member, blobs)] for name, member in item.members]
    return head


def _sizes(head: dict[str, Any], sizes: list[int], depth: int) -> None:
    if depth <= 0:
        raise BadAnswer("too deep")
    if head["content"] is not None:
        sizes.append(head["content"])
    sizes.extend(head["pages"])
    if head.get("strings") is not None:
        sizes.append(head["strings"])
    if head.get("original") is not None:
        sizes.append(head["original"])
    for _, member in head["members"]:
        _sizes(member, sizes, depth - 1)


def _item_of(head: dict[str, Any], blobs: Iterator[bytes]) -> Item:
    content = None if head["content"] is None else next(blobs)
    pages = tuple(next(blobs) for _ in head["pages"])
    strings = None if head.get("strings") is None else next(blobs)
    original = None if head.get("original") is None else next(blobs)
    return Item(
        kind=Kind(head["kind"]),
        refused=None if head["refused"] is None else Refusal(head["refused"]),
        content=content,
        text=head["text"] is True,
        pages=pages,
        members=tuple((_name(name), _item_of(member, blobs)) for name, member in head["members"]),
        removed=tuple(Removed(word) for word in head["removed"]),
        strings=strings,
        original=original,
    )


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise BadAnswer("name")
    return name
