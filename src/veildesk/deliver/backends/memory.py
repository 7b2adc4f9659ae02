"""A helpdesk in memory, for tests of everything around it. Passes the same contract as real ones.

`outage` makes it behave as helpdesks do on bad days: "down", "lost" (it keeps the entry, then the answer
gets lost on the way) or "refuse".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from veildesk.core.errors import BackendRefused, BackendUnavailable
from veildesk.core.shown import shown
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    File,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)

__all__ = ["MemoryBackend", "from_config"]


def from_config(name: str, settings: Mapping[str, Any]) -> MemoryBackend:
    """Any settings will do."""
    return MemoryBackend(name)


class MemoryBackend:
    """Implements `core.ports.Backend`.

    `tickets` maps thread to entries, `answers` are what agents wrote, `notes` maps thread to our remarks,
    `closed` holds threads.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.tickets: dict[str, list[TicketEntry]] = {}
        self.answers: list[AgentReply] = []
        self.notes: dict[str, dict[str, str]] = {}
        self.closed: set[str] = set()
        self.outage = ""
        self.calls = 0
        self.answered = 0

    async def check(self) -> list[CheckResult]:
        """Always sound."""
        return [CheckResult(f"backend.{self.name}", "helpdesk in memory", Level.OK)]

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Append unless the key is there."""
        self.calls += 1
        if self.outage == "down":
            raise BackendUnavailable("down")
        if self.outage == "refuse":
            raise BackendRefused("refuse")
        entries = self.tickets.setdefault(entry.thread, [])
        fresh = all(known.key != entry.key for known in entries)
        if fresh:
            entries.append(entry)
            self.closed.discard(entry.thread)
        if self.outage == "lost":
            raise BackendUnavailable("lost")
        return Delivered(ref=f"ref-{entry.thread}", fresh=fresh)

    def shown(self, thread: str) -> list[str]:
        """What agents read in a ticket."""
        return [shown(entry) for entry in self.tickets.get(thread, [])]

    def answer(self, thread: str, text: str, files: tuple[File, ...] = ()) -> AgentReply:
        """An agent answers."""
        self.answered += 1
        number = self.answered
        reply = AgentReply(
            thread=thread,
            reply_id=f"r{number}",
            cursor=str(number),
            text=text,
            files=files,
            ref=f"ref-{thread}",
        )
        self.answers.append(reply)
        return reply

    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Answers after the position."""
        if self.outage == "down":
            raise BackendUnavailable("down")
        for reply in list(self.answers):
            if cursor is None or int(reply.cursor) > int(cursor):
                yield reply

    def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Answers bring their files with them."""
        raise BackendRefused("no-such-file")

    async def update(self, ref: str, change: TicketChange) -> None:
        """Keep the remark; open or close."""
        if self.outage:
            raise BackendUnavailable(self.outage)
        thread = ref.removeprefix("ref-")
        if change.note:
            self.notes.setdefault(thread, {})[change.note_key] = change.note
        if change.state is not None:
            (self.closed.add if change.state == "closed" else self.closed.discard)(thread)

    async def erase(self, ref: str, thread: str) -> Erased:
        """Remove the thread."""
        if self.outage:
            raise BackendUnavailable(self.outage)
        self.tickets.pop(thread, None)
        self.notes.pop(thread, None)
        self.answers = [reply for reply in self.answers if reply.thread != thread]
        return Erased.GONE
