"""What a connector may offer beside the six methods of `core.ports.Backend`. The gateway looks for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from veildesk.core.engine import Engine
from veildesk.core.ticket import AgentReply, CheckResult

__all__ = ["Acknowledges", "Closes", "Hints", "Listens", "SetsUp", "VerifiesAnswers"]


@runtime_checkable
class Acknowledges(Protocol):
    """A connector that wants to know when a reply was taken over durably."""

    async def acknowledge(self, reply: AgentReply) -> None:
        """The reply lies sealed in the spool now."""


@runtime_checkable
class Closes(Protocol):
    """A connector that holds connections."""

    async def close(self) -> None:
        """Let go of them."""


@runtime_checkable
class SetsUp(Protocol):
    """A connector that can make the fields and queues it needs."""

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """Make what is missing, or only look; returns what was made, is there, is missing, and what a person
        must do. Repeating it does no harm."""


@runtime_checkable
class Hints(Protocol):
    """A connector whose helpdesk can send webhooks. A webhook never carries content: it says "poll now"."""

    def hint(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether this is a genuine notice. Header names come in lower case."""


@runtime_checkable
class Listens(Protocol):
    """A connector that answers are handed to, beside those that it fetches."""

    async def listen(self, nudge: Callable[[], None]) -> None:
        """Listen until cancelled; `nudge` makes the gateway poll."""


@runtime_checkable
class VerifiesAnswers(Protocol):
    """A connector that checks agents' signatures."""

    def verify_with(self, engine: Engine) -> None:
        """Comes before the first poll."""
