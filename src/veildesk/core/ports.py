"""The one list of what Veildesk needs from outside. One Protocol per role.

Every Protocol has a contract suite under tests/contract that runs over each implementation, fakes
included. Only `veildesk.service` knows concrete classes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from veildesk.core.connectors import (
    Acknowledges,
    Closes,
    Hints,
    Listens,
    SetsUp,
    VerifiesAnswers,
)
from veildesk.core.contact import KnownKey
from veildesk.core.engine import CertificateStatus, DecryptedData, DetachedSignature, Engine
from veildesk.core.notice import Board
from veildesk.core.submission import Accepted, PortalAnchor, SpareCode, Submission
from veildesk.core.thread_entry import SealedFile
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    RemoteFile,
    TicketChange,
    TicketEntry,
)
from veildesk.core.work import Reason, State, Work

__all__ = [
    "Acknowledges",
    "Backend",
    "CertificateStatus",
    "Cleaner",
    "Cleaned",
    "Clock",
    "Closes",
    "Contacts",
    "DecryptedData",
    "DetachedSignature",
    "Engine",
    "Hints",
    "Intake",
    "KeyLookup",
    "Listens",
    "Mailer",
    "NoticeArchive",
    "OnionService",
    "OnionState",
    "SetsUp",
    "Spool",
    "ThreadCipher",
    "ThreadKeys",
    "ThreadView",
    "VerifiesAnswers",
]


class Clock(Protocol):
    """Wall time for dates, monotonic time for waiting."""

    def now(self) -> int:
        """Seconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""


# --------------------------------------------------------------------------- keeping


@runtime_checkable
class Intake(Protocol):
    """What listeners need: accept, durably."""

    async def accept(self, submission: Submission) -> Accepted:
        """Keep a submission. Returns only after it would survive a power cut (fsync).

        Raises `SpoolUnavailable`.
        """


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A portal ticket as far as the gateway can see it: sealed entries, oldest first."""

    ticket_id: str
    entries: tuple[bytes, ...] = field(repr=False)
    wrapped: bytes | None = None
    state: str = "open"
    expires_day: int = 0


class Spool(Intake, Protocol):
    """Durable, sealed, replayable. Parts of a message are sealed blobs under its ticket's key.

    Part names in use: "raw" (incoming payload), "reply" (an agent's answer as collected), "note" (a fixed
    text that is to go out), "wire" (exact outgoing bytes). Ticket parts: "contact", "numbering".
    """

    async def claim(self, states: Collection[State], limit: int = 1, *, ahead: bool = False) -> list[Work]:
        """Claim work that is due, in order per ticket; claims end with this process.

        With `ahead` the commit by which this task ends a message may claim the one that its next `claim`
        returns; such a task calls `leave` when it stops.
        """

    async def leave(self) -> None:
        """The current task claims no more: what was claimed ahead for it is given back."""

    async def wait(self, timeout: float) -> None:
        """Return when there may be new work, at the latest after `timeout` seconds."""

    async def part(self, message_id: str, name: str) -> bytes | None:
        """A message's blob, opened; None if there is none."""

    async def ticket_part(self, ticket_id: str, name: str) -> bytes | None:
        """A ticket's blob, opened; None if there is none."""

    async def advance(
        self,
        work: Work,
        to: State,
        *,
        reason: Reason = Reason.NONE,
        parts: Mapping[str, bytes | None] | None = None,
        ticket_parts: Mapping[str, bytes | None] | None = None,
        backend_ref: str | None = None,
        marker: bytes | None = None,
        thread_entry: bytes | None = None,
    ) -> Work:
        """Change state and everything that belongs to it in one commit.

        `parts` with value None are deleted. `marker` is a keyed digest by which later messages find
        this ticket (`find_by_marker`). `thread_entry` is appended to the portal thread.
        """

    async def postpone(self, work: Work, reason: Reason, delay: float) -> None:
        """Count a failed attempt and make the work due again in `delay` seconds."""

    async def release(self, work: Work) -> None:
        """Give a claim back unchanged."""

    async def join(self, work: Work, ticket_id: str) -> Work:
        """Move an accepted message into another ticket, sealed anew under that ticket's key."""

    async def collect(
        self, ticket_id: str, dedup: bytes, parts: Mapping[str, bytes], cursor: tuple[str, str] | None
    ) -> Accepted:
        """Take over an outgoing answer (state COLLECTED) and store `cursor` (backend, position)."""

    async def cursor(self, backend: str) -> str | None:
        """Where the last poll of a backend ended."""

    async def set_cursor(self, backend: str, position: str) -> None:
        """Store a position without taking anything over."""

    async def find_by_marker(self, marker: bytes) -> str | None:
        """The ticket a marker belongs to."""

    async def forget_markers(self, ticket_id: str) -> int:
        """Let no marker lead to a mail ticket any more; returns how many did. Portal tickets keep theirs."""

    async def backend_ref(self, ticket_id: str) -> str | None:
        """The helpdesk's id of a ticket."""

    async def anchor(self, ticket_id: str) -> PortalAnchor | None:
        """The portal anchor of a ticket, None for mail."""

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        """A portal thread by the id derived from its words."""

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        """One sealed piece of a file of a thread (ticket part `core.thread_entry.piece_name`)."""

    async def spare(self, digest: bytes) -> bytes | None:
        """What is sealed under a spare code (`SpareCode.sealed`), None if it is unknown or used."""

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        """Give a portal thread a new anchor: all `entries`, sealed anew, take the place of the old ones.

        All earlier spare codes are forgotten. False, and nothing is changed, when the thread has other
        entries by now or an answer sealed to the old anchor is on its way. Raises `WorkLost`.
        """

    async def erase(self, ticket_id: str) -> None:
        """Destroy a ticket's key first, then its rows and files."""

    async def expired(self, today: int, queue_days: Mapping[str, int] = ...) -> list[str]:
        """Tickets whose last day of retention is over, or of queues that keep less long: by name, days."""

    async def shorten(self, last_day: int) -> int:
        """Let no ticket's last day lie beyond this one; returns how many did."""

    async def listing(
        self,
        states: Collection[State] | None = None,
        *,
        message_id: str | None = None,
        ticket_id: str | None = None,
        since: int = 0,
    ) -> list[Work]:
        """Messages by state, of one ticket or just one if asked, accepted on day `since` or later."""

    async def counts(self) -> Mapping[str, int]:
        """Messages per state."""

    async def retry(self, message_id: str) -> Work:
        """Bring a parked, held or quarantined message back to the state it was in."""

    async def hasten(self, reason: Reason, queues: Collection[str] | None) -> int:
        """Make what is postponed for `reason`, of these queues or all, due at once; returns how many.

        It takes the place of the attempt that was to come: the last one is not counted, unless it was the
        only one. What is claimed, parked or held stays as it is.
        """


class Contacts(Protocol):
    """Certificates of other people, remembered beyond one ticket. Looking one up costs the same however
    many there are."""

    async def by_address(self, address: str) -> tuple[KnownKey, ...]:
        """Keys known for a lower-case address, the latest first, at most four."""

    async def by_key(self, fingerprint: str) -> KnownKey | None:
        """The certificate that holds a primary key or subkey with this fingerprint."""

    async def remember(self, key: KnownKey, replaces: str | None = None) -> None:
        """Store or refresh a key; one that it `replaces` (a fingerprint) is no longer found by address."""

    async def forget_before(self, day: int) -> int:
        """Forget keys last used before `day` (days since 1970 UTC); returns how many."""


class KeyLookup(Protocol):
    """Asks the network for the key of an address, in a way that tells it nothing about us."""

    async def find(self, address: str) -> tuple[KnownKey, ...]:
        """Keys published for the address, reduced to it; faults of any kind give none."""


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """Derived from ticket words: where the thread lies and what opens it.

    `spare_codes` come from the words too; they are empty when the keys came from a spare code.
    """

    lookup_id: bytes
    public_key: bytes
    private_key: bytes = field(repr=False)
    spare_codes: tuple[str, ...] = field(default=(), repr=False)


class ThreadCipher(Protocol):
    """Keys from words, and sealing to them. The gateway at rest can seal but not open."""

    async def derive(self, words: str) -> ThreadKeys:
        """Exactly one Argon2id (RFC 9106) with the pepper, in a bounded queue."""

    def seal(self, public_key: bytes, data: bytes) -> bytes:
        """Seal one thread entry (HPKE, RFC 9180)."""

    def unseal(self, keys: ThreadKeys, sealed: bytes) -> bytes:
        """Open one thread entry. Raises `AuthenticationFailed`."""

    def seal_file(self, content: bytes) -> SealedFile:
        """Seal a file under a fresh key, which then goes into a sealed entry."""

    def open_piece(self, key: bytes, number: int, pieces: int, sealed: bytes) -> bytes:
        """Open piece `number` (from 0) of a file; the last has padding. Raises `AuthenticationFailed`."""

    def spares(self, keys: ThreadKeys) -> tuple[SpareCode, ...]:
        """What to keep so that each of the keys' spare codes leads to the thread."""

    def spare_digest(self, code: str) -> bytes:
        """By what a spare code is found. No slow derivation: a code has 100 bits."""

    def recall(self, code: str, sealed: bytes) -> ThreadKeys:
        """The keys that a spare code opens. Raises `AuthenticationFailed`."""


# --------------------------------------------------------------------------- attachments


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Outcome for one attachment: new content, or a public reason why it was refused.

    `removed` names what was stripped ("metadata", "location"); `text` is true when the content is
    text that must go through redaction. `rendered` is the same document as a file with the ending
    `rendered_as` (PDF: pictures of its pages; office: without metadata); it may take the place of
    `content` only when redaction found nothing in it, nor in `strings`, all else that can be read in it.
    `members` are the files of an opened archive, whose own `content` is None; `name` and the members'
    names need redaction too.
    """

    name: str
    media_type: str
    content: bytes | None = field(repr=False)
    refused: str | None = None
    removed: tuple[str, ...] = ()
    text: bool = False
    rendered: bytes | None = field(default=None, repr=False)
    members: tuple[Cleaned, ...] = ()
    rendered_as: str = "pdf"
    strings: str = field(default="", repr=False)


class Cleaner(Protocol):
    """Strips metadata from files in a sandbox; refuses what it does not understand."""

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        """Never raises for bad content: a refusal carries the reason. Raises `ScanUnavailable` when a
        malware scan that is switched on gives no verdict."""


# --------------------------------------------------------------------------- outside


class Backend(Protocol):
    """A helpdesk. Six methods; docs/backends.md walks through writing one.

    Every method raises `BackendUnavailable` (try again) or `BackendRefused` (do not).
    """

    name: str

    async def check(self) -> list[CheckResult]:
        """Credentials, rights, queue, fields, dangerous auto-replies. Changes nothing."""

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Create or append. The same `entry.key` twice leaves one message; a closed ticket is reopened."""

    def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Public answers of agents after `cursor`, oldest first; never private notes, never our own."""

    def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """The content of a file of an answer, in pieces."""

    async def update(self, ref: str, change: TicketChange) -> None:
        """Change what agents see beside the messages; what the helpdesk has no place for is left out."""

    async def erase(self, ref: str, thread: str) -> Erased:
        """Delete a ticket by the best means there are, and say truly which. Repeating it does no harm."""


class Mailer(Protocol):
    """Hands one finished mail to an outgoing server over a verified connection."""

    async def send(self, wire: bytes, sender: str, recipient: str) -> None:
        """Send exact bytes. Raises `SendFailed` (try again) or `SendRefused` (do not)."""


class NoticeArchive(Protocol):
    """Published statements and what stands beside them on a status page."""

    def board(self) -> Board:
        """Everything as it is now. Raises an error when the series cannot be read as a whole."""


@dataclass(frozen=True, slots=True)
class OnionState:
    """What tor says of our service. `address` includes ".onion".

    `trouble` is one stable word for why it is not published, empty when it is. With `another`, somebody
    else publishes the same address through another tor.
    """

    address: str
    connected: bool
    published: bool
    trouble: str = ""
    another: bool = False


class OnionService(Protocol):
    """One v3 onion service kept published."""

    address: str

    async def run(self) -> None:
        """Publish and keep published until cancelled."""

    async def wait_published(self, timeout: float) -> None:
        """Return when a directory has the descriptor. Raises `OnionUnavailable`."""

    def state(self) -> OnionState:
        """What is known now."""
