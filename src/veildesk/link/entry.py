"""A message of the portal on the link: its texts as one bounded JSON object, its files as they are.

The payload that the store keeps is written by the gateway from what was read here, so that no worker ever
reads a payload that a portal process wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from veildesk.core.errors import Unparsable
from veildesk.core.portal_entry import decode_numbering
from veildesk.core.submission import PortalEntry
from veildesk.link.frames import BadFrame
from veildesk.link.strict import WORD, listed, said, texts, word

__all__ = ["FILES", "entry_head", "read_entry", "read_head"]

FILES: Final = 32
_HEAD: Final = 2 * 1024 * 1024


def entry_head(entry: PortalEntry) -> dict[str, Any]:
    """All of a message but the contents of its files, as JSON values."""
    return {
        "text": entry.text,
        "topic": entry.topic,
        "language": entry.language,
        "kept": list(entry.kept),
        "own_words": list(entry.own_words),
        "confirmed": list(entry.confirmed),
        "counts": dict(entry.counts),
        "numbering": dict(entry.numbering),
        "files": [[name, media_type] for name, media_type, _ in entry.attachments],
    }


_NAMES: Final = frozenset(entry_head(PortalEntry("")))


def read_head(head: bytes) -> dict[str, Any]:
    """The JSON object of a head, with the right names and a list of files. Raises `BadFrame`."""
    if len(head) > _HEAD:
        raise BadFrame("head")
    try:
        told = json.loads(head.decode())
    except (ValueError, RecursionError):
        raise BadFrame("head") from None
    if not isinstance(told, dict) or told.keys() != _NAMES:
        raise BadFrame("head")
    listed(told["files"], FILES)
    return told


def read_entry(told: Mapping[str, Any], contents: Sequence[bytes]) -> PortalEntry:
    """The message of a head and the contents of its files. Raises `BadFrame`."""
    named = [_pair(item) for item in told["files"]]
    counts = told["counts"]
    if not isinstance(counts, dict) or len(counts) > 1000:
        raise BadFrame("counts")
    for name, count in counts.items():
        if not WORD.fullmatch(name) or type(count) is not int or not 0 <= count <= 1_000_000:
            raise BadFrame("counts")
    return PortalEntry(
        text=said(told["text"]),
        topic=word(told["topic"]),
        language=word(told["language"]),
        kept=texts(told["kept"]),
        own_words=texts(told["own_words"]),
        confirmed=texts(told["confirmed"]),
        counts=counts,
        numbering=_numbering(told["numbering"]),
        attachments=tuple((*one, content) for one, content in zip(named, contents, strict=True)),
    )


def _numbering(value: object) -> Mapping[str, Any]:
    """Mask numbers, and nothing beside them."""
    if not isinstance(value, dict) or value.keys() != {"key", "seen"} or not isinstance(value["seen"], dict):
        raise BadFrame("numbering")
    if not all(WORD.fullmatch(name) for name in value["seen"]):
        raise BadFrame("numbering")
    seen = {name: list(texts(digests)) for name, digests in value["seen"].items()}
    kept = {"key": said(value["key"], 128), "seen": seen}
    try:
        decode_numbering(kept)
    except Unparsable:
        raise BadFrame("numbering") from None
    return kept


def _pair(value: object) -> tuple[str, str]:
    both = listed(value, 2)
    if len(both) != 2:
        raise BadFrame("file")
    return said(both[0], 1024), said(both[1], 1024)
