"""A message that was written but not sent: it lives in the visitor's sealed session only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from veildesk.core.finding import MaskNumbering
from veildesk.core.portal_entry import decode_numbering, encode_numbering
from veildesk.mail.charset import clean_text

__all__ = ["Draft", "DraftFile", "new_draft", "own_words"]


@dataclass(slots=True)
class DraftFile:
    """A file of a draft: it is in the session's blob `blob` under `key` (base64), as it was uploaded.

    Cleaning was tried once to tell what it will take out; the one whose result is delivered comes
    later, together with redaction. `refused` says why a file will not go (its content is forgotten
    then), `left_out` names the members of an archive that will not, each with the reason. `found`
    counts what will be hidden in a text, by type; None if there is no text or too much to tell now.
    """

    name: str
    media_type: str
    size: int
    sha256: str
    blob: str = ""
    key: str = field(default="", repr=False)
    removed: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    refused: str = ""
    text: bool = False
    found: dict[str, int] | None = None

    @property
    def key_bytes(self) -> bytes:
        """The key of the sealed content."""
        return base64.b64decode(self.key)


@dataclass(slots=True)
class Draft:
    """What the compose and check pages work on.

    `entry` (hex) and `words` are drawn when the draft begins and stay, so that sending twice is
    sending once. `kept` are values the user wants agents to see. `exposed` are the keys of secrets that
    were unticked, `confirmed` the values of those that were chosen again afterwards. `problems` are codes
    to show. `sent_as` is the SHA-256 (hex) of what was handed over without an answer, so that it may have
    arrived; empty otherwise.
    """

    entry: str
    words: str = field(repr=False)
    numbering: dict[str, Any] = field(repr=False)
    reply: bool = False
    topic: str = "other"
    message: str = field(default="", repr=False)
    steps: str = field(default="", repr=False)
    version: str = field(default="", repr=False)
    build: str = field(default="", repr=False)
    environment: str = field(default="", repr=False)
    own_words: list[str] = field(default_factory=list, repr=False)
    kept: list[str] = field(default_factory=list, repr=False)
    exposed: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list, repr=False)
    files: list[DraftFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sent_as: str = ""

    @property
    def text(self) -> str:
        """The message with the optional answers below it, as one text."""
        parts = [self.message.strip()]
        for label, value in (
            ("Steps", self.steps),
            ("Version", self.version),
            ("Build", self.build),
            ("Environment", self.environment),
        ):
            if value.strip():
                parts.append(f"{label}: {value.strip()}")
        return "\n\n".join(parts)

    @property
    def shown(self) -> str:
        """What a visitor saw of this draft when choosing: changes with text, topic and files."""
        seen = [self.topic, self.text, *(item.blob for item in self.files)]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]

    @property
    def mask_numbering(self) -> MaskNumbering:
        """Mask numbers to begin with."""
        return decode_numbering(self.numbering)

    def encode(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> Draft:
        """The inverse of `encode`."""
        fields = dict(value)
        fields["files"] = [DraftFile(**item) for item in fields["files"]]
        return cls(**fields)


def new_draft(entry: bytes, words: str, numbering: MaskNumbering, *, reply: bool) -> Draft:
    """An empty draft."""
    return Draft(entry=entry.hex(), words=words, numbering=encode_numbering(numbering), reply=reply)


def own_words(text: str) -> list[str]:
    """The user's own words to hide, one a line, without blanks and doubles."""
    lines = (" ".join(line.split()) for line in clean_text(text).splitlines())
    return list(dict.fromkeys(line for line in lines if line))
