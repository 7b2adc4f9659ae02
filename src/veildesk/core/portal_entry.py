"""`PortalEntry` as bytes: what the portal hands to the spool and the delivery worker reads.

A versioned JSON object, UTF-8, attachments in base64. The bytes are sealed by the spool; nothing
here touches a disk. Unknown versions are refused, never guessed.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from veildesk.core.errors import Unparsable
from veildesk.core.finding import MaskNumbering, in_order
from veildesk.core.submission import PortalEntry

__all__ = ["decode_numbering", "decode_portal_entry", "encode_numbering", "encode_portal_entry"]

VERSION: Final = 1


def encode_portal_entry(entry: PortalEntry) -> bytes:
    """The payload of a portal `Submission`."""
    body = {
        "v": VERSION,
        "text": entry.text,
        "topic": entry.topic,
        "language": entry.language,
        "kept": list(entry.kept),
        "own_words": list(entry.own_words),
        "confirmed": list(entry.confirmed),
        "counts": dict(entry.counts),
        "numbering": dict(entry.numbering),
        "attachments": [
            {"name": name, "type": media_type, "content": base64.b64encode(content).decode("ascii")}
            for name, media_type, content in entry.attachments
        ],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_portal_entry(payload: bytes) -> PortalEntry:
    """The entry in a payload. Raises `Unparsable` for anything `encode_portal_entry` did not make."""
    try:
        body: dict[str, Any] = json.loads(payload)
        if body["v"] != VERSION:
            raise Unparsable("portal-entry-version")
        return PortalEntry(
            text=str(body["text"]),
            topic=str(body["topic"]),
            language=str(body["language"]),
            kept=tuple(str(value) for value in body["kept"]),
            own_words=tuple(str(word) for word in body.get("own_words", ())),
            confirmed=tuple(str(value) for value in body.get("confirmed", ())),
            counts={str(name): int(count) for name, count in body["counts"].items()},
            numbering=dict(body["numbering"]),
            attachments=tuple(
                (str(item["name"]), str(item["type"]), base64.b64decode(item["content"], validate=True))
                for item in body["attachments"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise Unparsable("portal-entry-form") from None


def encode_numbering(numbering: MaskNumbering) -> dict[str, Any]:
    """A `MaskNumbering` as JSON values: `{"key": base64, "seen": {mask word: [digest, ...]}}`."""
    return {
        "key": base64.b64encode(numbering.key).decode("ascii"),
        "seen": {word: list(digests) for word, digests in numbering.seen.items()},
    }


def decode_numbering(value: Any) -> MaskNumbering:
    """The inverse of `encode_numbering`. Raises `Unparsable`."""
    try:
        return MaskNumbering(
            key=base64.b64decode(value["key"], validate=True),
            seen={str(word): in_order(digests) for word, digests in value["seen"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise Unparsable("numbering-form") from None
