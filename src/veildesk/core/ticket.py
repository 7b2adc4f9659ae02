"""What a helpdesk receives and gives back. Nothing here identifies a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from veildesk.core.work import Reason

__all__ = [
    "AgentReply",
    "CheckResult",
    "Deletion",
    "Delivered",
    "Erased",
    "Erasure",
    "File",
    "Level",
    "RemoteFile",
    "TicketChange",
    "TicketEntry",
]


@dataclass(frozen=True, slots=True)
class File:
    """A cleaned attachment for the helpdesk: safe base name, media type, bytes."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TicketEntry:
    """One clean message for the helpdesk.

    `thread` and `key` are opaque random tokens (letters and digits): `thread` names the ticket, `key`
    this message; delivering the same `key` twice leaves one message. `ref` is the helpdesk's own id of
    the ticket when it is known. `protection` is the line that tells agents how the message was
    encrypted and signed; `removed` counts what was hidden, by type, and `notices` are further lines
    about what was done to it. `place` is the helpdesk's own queue, empty for its usual one.
    """

    thread: str
    key: str
    subject: str
    text: str = field(repr=False)
    ref: str | None = None
    queue: str = "support"
    place: str = ""
    topic: str = ""
    language: str = ""
    priority: str = "normal"
    protection: str = ""
    removed: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where an entry lies in the helpdesk: `ref` of the ticket; `fresh` False if it was there."""

    ref: str
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of an agent's answer that still lies in the helpdesk.

    `handle` is what the connector needs to download it; `size` in bytes is the helpdesk's claim, None
    when it does not say.
    """

    name: str
    media_type: str
    handle: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class AgentReply:
    """A public answer of an agent.

    `thread` as in `TicketEntry`, empty for "nothing here for a user, but remember `cursor`"; `reply_id` is
    unique in that helpdesk; `cursor` is the position to store after this reply was taken over. `text` is
    plain text; HTML was already made text. `ref` is the helpdesk's id of the ticket it stands in, empty
    when the thread itself is proof: an answer whose ticket is not the thread's own is given to nobody.
    `remote` are files to download; `missing` are names of files that could not be taken over. `others` are
    the threads of other tickets that were merged into this one, "" for one that is none of ours: whom the
    agent meant is not certain then. `doubt` is why a person must look at it before it goes out.
    """

    thread: str
    reply_id: str
    cursor: str
    text: str = field(repr=False)
    files: tuple[File, ...] = ()
    ref: str = ""
    remote: tuple[RemoteFile, ...] = ()
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    doubt: Reason = Reason.NONE


@dataclass(frozen=True, slots=True)
class TicketChange:
    """What to change about a ticket beside its messages; None and empty mean "leave it".

    `note` is a remark for agents only, never shown to the user; the same `note_key` twice leaves one.
    `state` is "open" or "closed".
    """

    state: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    note: str = field(default="", repr=False)
    note_key: str = ""


class Erased(StrEnum):
    """Outcome of a request to erase. `KEPT` is never a helpdesk's: a legal hold forbids deleting."""

    GONE = "gone"
    REQUESTED = "requested"
    UNSUPPORTED = "unsupported"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of a ticket somebody deleted. `code` shows the outcome for 30 days, empty for none.

    `outcome` is about the helpdesk's copy; with `KEPT` nothing was deleted, until the day `kept_until`
    (YYYY-MM-DD) is over.
    """

    outcome: Erased
    code: str = ""
    kept_until: str = ""


@dataclass(frozen=True, slots=True)
class Erasure:
    """How far a deletion came, as it may be told to whoever has its code; our own copy is gone by then.

    `helpdesk` and `mailbox` are "gone", "requested", "unsupported" or "open"; `why` is a fixed word for what
    is not gone. `asked_day` counts days since 1970 UTC.
    """

    helpdesk: str
    mailbox: str
    why: str
    finished: bool
    attempts: int
    asked_day: int


class Level(StrEnum):
    """Level of a check. What could not be checked is `SKIP`, never `OK`."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of a doctor's report. `fix` says what to do next, empty when nothing is."""

    id: str
    title: str
    level: Level
    found: str = ""
    expected: str = ""
    fix: str = ""
