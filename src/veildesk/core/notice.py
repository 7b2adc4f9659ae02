"""Signed public statements: incident notices in the words of status pages, and what backs them.

All statements of one team form one numbered series. A heartbeat is no part of it: it only says, by a
key that is good for nothing else, which statement is the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Board",
    "Component",
    "ComponentState",
    "Handle",
    "Heartbeat",
    "Identity",
    "Impact",
    "IncidentState",
    "Kind",
    "MAINTENANCE_STATES",
    "Notice",
    "OVER",
    "PublishedNotice",
    "Statement",
    "Words",
]


class Kind(StrEnum):
    """What a statement is about. `IDENTITY` is the list of official addresses and keys."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"
    SECURITY = "security"
    POSTMORTEM = "post-mortem"
    IDENTITY = "identity"
    CANARY = "canary"


class IncidentState(StrEnum):
    """Where an incident or a maintenance stands."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "post-mortem"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"


MAINTENANCE_STATES = (
    IncidentState.SCHEDULED,
    IncidentState.IN_PROGRESS,
    IncidentState.VERIFYING,
    IncidentState.COMPLETED,
)
OVER = (IncidentState.RESOLVED, IncidentState.POSTMORTEM, IncidentState.COMPLETED)
"""States in which nothing goes on any more."""


class Impact(StrEnum):
    """How bad it is (severity)."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class ComponentState(StrEnum):
    """How a part of the service is. `UNKNOWN` when nobody can see it now."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded"
    PARTIAL_OUTAGE = "partial outage"
    MAJOR_OUTAGE = "major outage"
    MAINTENANCE = "under maintenance"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of a notice in one language, in the order they are read. All are plain text."""

    title: str
    action: str
    summary: str
    impact: str = ""
    affected: str = ""
    fix: str = ""
    references: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice before signing. `words` are by language, the first one is the main language.

    `incident` is the number of the statement that opened the story, None for one that opens it.
    `starts` and `ends` (seconds since 1970 UTC) are the window of a maintenance.
    """

    kind: Kind
    state: IncidentState
    severity: Impact
    words: Mapping[str, Words]
    incident: int | None = None
    components: tuple[str, ...] = ()
    starts: int | None = None
    ends: int | None = None

    def in_language(self, language: str) -> Words:
        """The texts in this language, else in the main one."""
        return self.words.get(language) or next(iter(self.words.values()))

    def language_of(self, language: str) -> str:
        """The language of the texts that `in_language` gives."""
        return language if self.words.get(language) else next(iter(self.words))

    @property
    def title(self) -> str:
        """The title in the main language."""
        return next(iter(self.words.values())).title


@dataclass(frozen=True, slots=True)
class Handle:
    """An account elsewhere. `risk` says in one sentence what that service learns about its users."""

    service: str
    name: str
    risk: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The list of official addresses, and which keys may speak.

    `signers` are full fingerprints of notice keys; `threshold` of them must sign a statement.
    `heartbeat_key` may sign heartbeats only.
    """

    signers: tuple[str, ...]
    threshold: int
    heartbeat_key: str | None
    support_key: str
    onions: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    handles: tuple[Handle, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """One text of the series. `content` fits `kind`: `Notice`, `Identity`, or `Words` of a canary.

    `number` counts from 1; `previous` is the SHA-256 of the file before, empty for the first. Times
    are seconds since 1970 UTC, whole minutes. `addresses` is the number of the list of official
    addresses in force, `where` the address it is served at.
    """

    number: int
    kind: Kind
    issued: int
    valid_until: int
    previous: str
    addresses: int
    where: str
    content: Notice | Identity | Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """ "Nothing newer than `head_number` was published." A new one comes by `next_by`."""

    number: int
    issued: int
    next_by: int
    head_number: int
    head_sha256: str


@dataclass(frozen=True, slots=True)
class PublishedNotice:
    """A statement as served. `signed_text` is the clear-signed file (RFC 9580 § 7), byte for byte.

    `sha256` is that of `signed_text` in UTF-8.
    """

    statement: Statement
    signed_text: str
    sha256: str

    @property
    def number(self) -> int:
        """Its number in the series."""
        return self.statement.number

    @property
    def issued(self) -> int:
        """Seconds since 1970 UTC."""
        return self.statement.issued

    @property
    def kind(self) -> Kind:
        """What it is about."""
        return self.statement.kind

    @property
    def notice(self) -> Notice:
        """The notice. Raises `TypeError` for a statement of another kind."""
        if not isinstance(self.statement.content, Notice):
            raise TypeError("not a notice")
        return self.statement.content

    @property
    def incident(self) -> int:
        """The number of the statement that opened this story."""
        return self.notice.incident or self.number


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the service as people name it. `since` is seconds since 1970 UTC, None if not known.

    `source` is "operator", "check" or "none".
    """

    name: str
    state: ComponentState
    since: int | None = None
    source: str = "none"


@dataclass(frozen=True, slots=True)
class Board:
    """All that a status page shows: the whole series in order and what stands beside it.

    `keys` are the armored public keys of all signers ever; `support_key` is the mail key, `support_next` the
    one that will replace it, `directory_key` its binary form for a Web Key Directory. `heartbeat`,
    `security_txt` and the `transitions` by role are exact clear-signed texts; `verifier` is the program for
    people who check themselves. `as_of` is when the components were looked at, seconds since 1970 UTC, 0
    when never.
    """

    statements: tuple[PublishedNotice, ...] = ()
    heartbeat: str | None = None
    components: tuple[Component, ...] = ()
    security_txt: str | None = None
    keys: bytes = field(default=b"", repr=False)
    verifier: bytes = field(default=b"", repr=False)
    as_of: int = 0
    support_key: bytes = field(default=b"", repr=False)
    support_next: bytes = field(default=b"", repr=False)
    directory_key: bytes = field(default=b"", repr=False)
    transitions: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def notices(self) -> tuple[PublishedNotice, ...]:
        """Statements about incidents and maintenance."""
        return tuple(item for item in self.statements if isinstance(item.statement.content, Notice))

    @property
    def latest_canary(self) -> PublishedNotice | None:
        """The newest canary."""
        return self.latest(Kind.CANARY)

    def latest(self, kind: Kind) -> PublishedNotice | None:
        """The newest statement of a kind."""
        return next((item for item in reversed(self.statements) if item.kind is kind), None)
