"""What the portal needs from outside, and every number it works by.

The wiring fills both in. The portal holds no key that opens anything at rest, knows no helpdesk and
writes no file; the privacy page is made from these settings, so they must be the ones in force.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from veildesk.core.portal_receipts import LodgedMessage
from veildesk.core.ports import Cleaner, Clock, Intake, NoticeArchive, ThreadCipher, ThreadView
from veildesk.core.submission import PortalAnchor, SpareCode
from veildesk.core.ticket import Deletion, Erasure
from veildesk.redact.rules import RuleSet

__all__ = ["Eraser", "PortalPorts", "PortalSettings", "Receipts", "Threads", "TOPICS"]


TOPICS: Final = (
    "function",
    "outage",
    "payment",
    "onboarding",
    "security",
    "data-request",
    "other",
)
"""What a ticket can be about."""


class Threads(Protocol):
    """The part of the spool that holds portal threads."""

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        """A portal thread by the id derived from its words."""

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        """One sealed piece of a file of a thread."""

    async def spare(self, digest: bytes) -> bytes | None:
        """What is sealed under a spare code, None if it is unknown or used."""

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        """Give a thread new words; False when something came between. Raises `WorkLost`."""


class Eraser(Protocol):
    """Deletes a ticket: its key here at once, its copy in the helpdesk as far as that can."""

    async def __call__(self, lookup_id: bytes) -> Deletion:
        """Say truly what became of the helpdesk's copy. Deleting an unknown ticket is `GONE`."""


class Receipts(Protocol):
    """Receipts that are clear-signed with support's key; no other text is signed for the portal."""

    async def lodging(self, lookup_id: bytes, messages: Sequence[LodgedMessage]) -> str:
        """Of the messages of a thread, as the portal saw them. Raises `SpoolUnavailable`, also when the
        thread is not there or cannot have these messages, and `EngineUnavailable`."""

    async def deletion(self, code: str) -> str | None:
        """Of a deletion, by its code; None for an unknown one."""


async def _nothing(code: str) -> Erasure | None:
    return None


async def _fresh() -> None:
    """What is asked is always as it is now."""


@dataclass(frozen=True, slots=True)
class PortalPorts:
    """Roles handed in by the wiring. `random_bytes(n)` is a secure source such as `os.urandom`.

    `count` takes "yes", "partly" or "no" for the question
    whether an answer helped, and learns nothing else. `parking` tells whether new tickets wait for the
    operator before they are handed on.
    """

    intake: Intake
    threads: Threads
    cipher: ThreadCipher
    cleaner: Cleaner
    notices: NoticeArchive
    clock: Clock
    erase: Eraser
    random_bytes: Callable[[int], bytes]
    receipts: Receipts
    count: Callable[[str], Awaitable[None]]
    parking: Callable[[], bool] = lambda: False
    erasure: Callable[[str], Awaitable[Erasure | None]] = _nothing
    """What became of a deletion, by its code without spaces and hyphens."""
    subscription: Callable[[], Awaitable[str]] | None = None
    """Makes the token that a visitor mails in to get notices; None if there are none by mail."""
    refresh: Callable[[], Awaitable[None]] = _fresh
    """Brings `notices` and `parking` up to date where they are asked from afar; awaited before they show."""


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """Names, keys and limits. Sizes in bytes, times in seconds, `text_size` in code points.

    `queues` names the queue of a topic; topics that are not in it go to `queue`. At most `derivations`
    visitors wait for a key derivation.

    `hosts` are the lower-case names this site answers to, without port; those of them that are in
    `clearnet_hosts` point to `onion`, the address with ".onion". A `status_only` site has notices and keys
    and takes nothing in. With `challenge`, a new ticket is sent only with one of its words typed in.

    `rules` are the operator's own, so that the check page shows what agents get. With `circuits` tor tells
    circuits apart. `rotation_days` is how often the store's keys are changed and the old ones destroyed.

    `form_secret` (32 bytes) signs forms; if it survives a restart, so do the forms that people have open.
    `support_key` and `notices_key` are armored public keys. `rate` and `burst` bound costly requests of all
    visitors together, `circuit_rate` and `circuit_burst` those of one Tor circuit, where tor tells circuits
    apart; `posts` and `downloads` are how many forms are taken and files given out at the same time, `stall`
    how long a form may send nothing; `circuit_posts` of the forms may come on one circuit.
    `form_min_age` is asked for only while less than half of `burst` is left.
    """

    organisation: str
    hosts: tuple[str, ...]
    form_secret: bytes = field(repr=False)
    support_key: bytes = field(repr=False)
    support_fingerprint: str
    notices_key: bytes = field(repr=False)
    notices_fingerprint: str
    support_address: str | None = None
    notices_address: str | None = None
    languages: tuple[str, ...] = ("en", "ru")
    topics: tuple[str, ...] = TOPICS
    queue: str = "support"
    queues: Mapping[str, str] = field(default_factory=dict)
    open: bool = True
    challenge: bool = False
    clearnet_hosts: tuple[str, ...] = ()
    onion: str | None = None
    status_only: bool = False
    circuits: bool = False
    retention_days: int = 90
    rotation_days: int = 1
    rules: RuleSet = field(default_factory=RuleSet)
    text_size: int = 32_000
    own_words: int = 50
    files: int = 5
    file_size: int = 10 * 1024 * 1024
    upload_size: int = 25 * 1024 * 1024
    draft_memory: int = 256 * 1024 * 1024
    sessions: int = 2_000
    session_memory: int = 128 * 1024 * 1024
    session_idle: float = 30 * 60
    session_life: float = 2 * 60 * 60
    posts: int = 64
    downloads: int = 16
    stall: float = 60.0
    form_max_age: int = 24 * 60 * 60
    form_min_age: int = 3
    rate: float = 4.0
    burst: int = 80
    circuit_rate: float = 0.5
    circuit_burst: int = 20
    circuit_posts: int = 8
    derivations: int = 16

    def queue_of(self, topic: str) -> str:
        """Where messages of a topic go."""
        return self.queues.get(topic, self.queue)
