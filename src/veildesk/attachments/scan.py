"""Look again at what the worker made: is there anything in an image but the image?

Pure and strict: a JPEG may hold the segments a decoder needs and a bare JFIF header, a PNG its four
critical chunks and transparency. Everything else has a name here and means refusal. The parent runs
this on the worker's answer, so that a worker taken over by a file cannot pass metadata on.
"""

from __future__ import annotations

import re

from veildesk.attachments.kind import Kind

__all__ = ["frame", "leftovers"]

_PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_FRAME = frozenset((0xC0, 0xC1, 0xC2))
_TABLES = frozenset((0xC4, 0xDB, 0xDD))


def leftovers(kind: Kind, content: bytes) -> tuple[str, ...]:
    """Names of what is in a JPEG or PNG beside the image; "broken" when its structure is not sound."""
    try:
        if kind is Kind.JPEG:
            return tuple(_jpeg(content))
        if kind is Kind.PNG:
            return tuple(_png(content))
    except (IndexError, ValueError):
        return ("broken",)
    return ("not-an-image",)


def frame(content: bytes) -> tuple[int, int, int]:
    """Width and height in pixels and the number of components of a JPEG. Raises ValueError."""
    for marker, start, _ in _segments(content):
        if marker in _START_OF_FRAME:
            body = content[start : start + 6]
            return int.from_bytes(body[3:5]), int.from_bytes(body[1:3]), body[5]
    raise ValueError("no frame")


def _jpeg(content: bytes) -> list[str]:
    found, ended = [], False
    for marker, start, end in _segments(content):
        if marker == 0xD9:
            ended = True
            if end != len(content):
                found.append("trailing")
        elif marker == 0xE0 and content[start : start + 5] == b"JFIF\x00" and end - start == 14:
            if content[start + 12 : start + 14] != b"\x00\x00":
                found.append("thumbnail")
        elif marker not in _TABLES and marker not in _START_OF_FRAME and marker != 0xDA:
            found.append(f"segment-{marker:02x}")
    return found if ended else [*found, "broken"]


def _segments(content: bytes) -> list[tuple[int, int, int]]:
    """Markers with start and end of their bodies (ITU T.81 annex B), up to and with end of image."""
    if content[:2] != b"\xff\xd8":
        raise ValueError("no start")
    segments, at = [], 2
    while True:
        if content[at] != 0xFF:
            raise ValueError("no marker")
        marker = content[at + 1]
        if marker == 0xD9:
            segments.append((marker, at + 2, at + 2))
            return segments
        size = int.from_bytes(content[at + 2 : at + 4])
        end = at + 2 + size
        if size < 2 or end > len(content):
            raise ValueError("segment too long")
        segments.append((marker, at + 4, end))
        at = end
        if marker == 0xDA:
            following = _NEXT_MARKER.search(content, at)
            if following is None:
                raise ValueError("no end")
            at = following.start()


def _png(content: bytes) -> list[str]:
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no signature")
    found, at = [], 8
    while True:
        name = content[at + 4 : at + 8]
        at += 12 + int.from_bytes(content[at : at + 4])
        if len(name) != 4 or at > len(content):
            raise ValueError("chunk too long")
        if name not in _PNG_CHUNKS:
            found.append("chunk-" + name.hex())
        if name == b"IEND":
            return [*found, "trailing"] if at != len(content) else found
