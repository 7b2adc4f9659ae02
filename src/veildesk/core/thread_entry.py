"""One entry of a portal thread, as it lies sealed to the ticket's public key.

The plaintext is a JSON object, UTF-8:
`{"v": 1, "from": "user" | "support", "day": "YYYY-MM-DD", "id": hex, "text": ..., "attachments":
[{"name", "type", "size", "sha256"}], "numbering": {...} | null, "signed": clear-signed text | null,
"topic": ...}`.
`text` is what the agents got or wrote, masks included. `numbering` is there in the user's entries, so
that masks keep their numbers in later ones, and `topic`, so that later ones go the same way. `signed` is
there in support's and is the exact text that any OpenPGP program verifies.

A file that came with an answer is kept beside the thread, and its attachment has three fields more:
`"place"` (hex) and `"pieces"` say where it lies and in how many parts, `"key"` (base64) opens them. So it
is reached only by who can open the entry.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from veildesk.core.errors import Unparsable

__all__ = [
    "SealedFile",
    "ThreadEntry",
    "ThreadFile",
    "decode_thread_entry",
    "encode_thread_entry",
    "piece_name",
]

VERSION: Final = 1
_PLACE: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file under a key of its own, in pieces that are opened one by one."""

    key: bytes = field(repr=False)
    pieces: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ThreadFile:
    """A file that went with an entry: what it was called, its size in bytes and its SHA-256 (hex).

    `pieces` is 0 for one that is not kept here, as are all that the user sent.
    """

    name: str
    media_type: str
    size: int
    sha256: str
    place: str = ""
    pieces: int = 0
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """See the module text. `entry_id` is hex, empty when the author has none to give."""

    author: Literal["user", "support"]
    day: str
    text: str = field(repr=False)
    entry_id: str = ""
    files: tuple[ThreadFile, ...] = ()
    numbering: Mapping[str, Any] | None = field(default=None, repr=False)
    signed: str | None = field(default=None, repr=False)
    topic: str = ""


def piece_name(place: str, number: int) -> str:
    """The ticket part that holds a piece of a file. Raises `ValueError` for a place that is not one."""
    if not _PLACE.fullmatch(place) or not 0 <= number < 100_000:
        raise ValueError("not a place of a file")
    return f"file.{place}.{number:05d}"


def encode_thread_entry(entry: ThreadEntry) -> bytes:
    """The plaintext to seal."""
    body = {
        "v": VERSION,
        "from": entry.author,
        "day": entry.day,
        "id": entry.entry_id,
        "text": entry.text,
        "attachments": [_file_out(item) for item in entry.files],
        "numbering": None if entry.numbering is None else dict(entry.numbering),
        "signed": entry.signed,
        "topic": entry.topic,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_thread_entry(plaintext: bytes) -> ThreadEntry:
    """The entry in an unsealed plaintext. Raises `Unparsable`."""
    try:
        body: dict[str, Any] = json.loads(plaintext)
        if body["v"] != VERSION or body["from"] not in ("user", "support"):
            raise Unparsable("thread-entry-version")
        numbering, signed = body.get("numbering"), body.get("signed")
        return ThreadEntry(
            author=body["from"],
            day=str(body["day"]),
            text=str(body["text"]),
            entry_id=str(body.get("id", "")),
            files=tuple(_file_in(item) for item in body["attachments"]),
            numbering=None if numbering is None else dict(numbering),
            signed=None if signed is None else str(signed),
            topic=str(body.get("topic", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unparsable("thread-entry-form") from None


def _file_out(item: ThreadFile) -> dict[str, Any]:
    told = {"name": item.name, "type": item.media_type, "size": item.size, "sha256": item.sha256}
    if not item.pieces:
        return told
    return {**told, "place": item.place, "pieces": item.pieces, "key": base64.b64encode(item.key).decode()}


def _file_in(item: Mapping[str, Any]) -> ThreadFile:
    told = str(item["name"]), str(item["type"]), int(item["size"]), str(item["sha256"])
    if "place" not in item:
        return ThreadFile(*told)
    return ThreadFile(*told, str(item["place"]), int(item["pieces"]), base64.b64decode(item["key"]))
