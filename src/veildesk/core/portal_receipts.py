"""The two texts that support's key signs for a visitor of the portal, made from parameters and nothing else.

Pure. Whoever signs makes the text itself from these, so that no other text can be had signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from veildesk.core.ticket import Erasure

__all__ = ["LodgedFile", "LodgedMessage", "deletion_text", "lodging_text"]

_HELPDESK: Final = {
    "gone": "nothing is left",
    "requested": "asked for, not confirmed",
    "open": "asked for, not confirmed",
    "unsupported": "it cannot delete; a copy remains",
}
_MAILBOX: Final = {"gone": "nothing is left", "open": "asked for, not confirmed"}


@dataclass(frozen=True, slots=True)
class LodgedFile:
    """A file that went with a message: size in bytes, SHA-256 (32 bytes)."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class LodgedMessage:
    """A message as it was handed over: its day (YYYY-MM-DD, UTC) and the SHA-256 (32 bytes) of its text."""

    day: str
    sha256: bytes
    files: tuple[LodgedFile, ...] = ()


def lodging_text(organisation: str, messages: Sequence[LodgedMessage]) -> str:
    """A receipt of lodging. It names no file and no time of day, only days, lengths and hashes."""
    lines = [
        "Receipt of lodging",
        "",
        f"{organisation} received these messages through its portal and keeps them encrypted.",
        "SHA-256 is of the text as the ticket shows it (UTF-8, line ends LF) or of the file as it was added.",
    ]
    for number, message in enumerate(messages, 1):
        lines += ["", f"Message {number}, {message.day} (UTC)", f"SHA-256 {message.sha256.hex()}"]
        lines += [f"File, {item.size} bytes, SHA-256 {item.sha256.hex()}" for item in message.files]
    return "\n".join(lines) + "\n"


def deletion_text(organisation: str, code: str, job: Erasure) -> str:
    """A receipt of a deletion."""
    asked = datetime.fromtimestamp(job.asked_day * 86400, UTC).strftime("%Y-%m-%d")
    lines = [
        "Receipt of a deletion",
        "",
        f"{organisation} was asked on {asked} (UTC) to delete a ticket.",
        f"Code of the deletion: {code}",
        "",
        "Portal and gateway: the ticket's key was destroyed; nobody can read what was kept there.",
        f"Helpdesk: {_HELPDESK[job.helpdesk]}.",
        f"Mailbox it was sent to: {_MAILBOX.get(job.mailbox, 'a copy remains')}.",
    ]
    return "\n".join(lines) + "\n"
