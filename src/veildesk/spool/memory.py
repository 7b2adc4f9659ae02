"""`MemorySpool`: the same behaviour without a disk, for tests and for trying the gateway out.

It keeps everything in plain memory and loses it at the end. The contract suite runs over it and over the
real store alike.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from veildesk.core.errors import WorkLost
from veildesk.core.ports import Clock, ThreadView
from veildesk.core.submission import Accepted, Channel, PortalAnchor, SpareCode, Submission
from veildesk.core.thread_entry import piece_name
from veildesk.core.work import Direction, Reason, State, Work
from veildesk.spool.claiming import LONGEST_DELAY, check_transition, retried
from veildesk.spool.rewording import answer_under_way, spare_part
from veildesk.spool.schema import UNFINISHED
from veildesk.spool.wake import Wake

__all__ = ["MemorySpool"]

_DAY = 86_400


@dataclass(slots=True)
class _Ticket:
    expires_day: int
    parts: dict[str, bytes] = field(default_factory=dict)
    ref: str | None = None
    anchor: PortalAnchor | None = None
    entries: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Message:
    work: Work
    parts: dict[str, bytes]
    due_at: int = 0
    claimed: bool = False

    @property
    def moving(self) -> bool:
        return self.work.state.value in UNFINISHED


class MemorySpool:
    """A spool in memory for one event loop."""

    def __init__(self, clock: Clock, retention_days: int = 30) -> None:
        self._clock = clock
        self._retention_days = retention_days
        self._tickets: dict[str, _Ticket] = {}
        self._messages: dict[str, _Message] = {}
        self._dedup: dict[bytes, tuple[str, str]] = {}
        self._markers: dict[bytes, str] = {}
        self._cursors: dict[str, str] = {}
        self._wake = Wake()

    async def close(self) -> None:
        """Nothing to let go of."""

    async def accept(self, submission: Submission) -> Accepted:
        """Keep a submission."""
        if (known := self._dedup.get(submission.dedup)) is not None:
            return Accepted(*known, fresh=False)
        anchor = submission.anchor
        ticket_id = None if anchor is None else self._anchored(anchor.lookup_id)
        if ticket_id is None:
            ticket_id = secrets.token_hex(16)
            self._tickets[ticket_id] = _Ticket(0, anchor=anchor)
            self._put_spares(ticket_id, submission.spares)
        if anchor is not None and submission.thread_entry is not None:
            self._tickets[ticket_id].entries.append(submission.thread_entry)
        work = Work(
            submission.message_id,
            ticket_id,
            Direction.IN,
            submission.channel,
            State.ACCEPTED,
            queue=submission.queue,
        )
        return self._insert(work, submission.dedup, {"raw": submission.payload})

    def _insert(self, work: Work, dedup: bytes, parts: Mapping[str, bytes]) -> Accepted:
        work = replace(work, message_id=work.message_id or secrets.token_hex(16), accepted_day=self._today())
        self._messages[work.message_id] = _Message(work, dict(parts))
        self._dedup[dedup] = (work.message_id, work.ticket_id)
        self._tickets[work.ticket_id].expires_day = self._today() + self._retention_days
        self._wake.changed()
        return Accepted(work.message_id, work.ticket_id, fresh=True)

    async def collect(
        self, ticket_id: str, dedup: bytes, parts: Mapping[str, bytes], cursor: tuple[str, str] | None
    ) -> Accepted:
        """Take over an answer. Raises `WorkLost` when the ticket is gone."""
        if ticket_id not in self._tickets:
            raise WorkLost("ticket gone")
        if cursor is not None:
            self._cursors[cursor[0]] = cursor[1]
        if (known := self._dedup.get(dedup)) is not None:
            return Accepted(*known, fresh=False)
        work = Work("", ticket_id, Direction.OUT, Channel.BACKEND, State.COLLECTED, queue="")
        return self._insert(work, dedup, parts)

    async def leave(self) -> None:
        """Nothing is claimed ahead here."""

    async def claim(self, states: Collection[State], limit: int = 1, *, ahead: bool = False) -> list[Work]:
        """Claim due work in order per ticket."""
        self._wake.look()
        claimed: list[Work] = []
        busy: set[tuple[str, Direction]] = set()
        for entry in self._messages.values():
            place = (entry.work.ticket_id, entry.work.direction)
            if (
                entry.work.state in states
                and place not in busy
                and self._free(entry)
                and len(claimed) < limit
            ):
                entry.claimed = True
                claimed.append(entry.work)
            if entry.moving:
                busy.add(place)
        return claimed

    def _free(self, entry: _Message) -> bool:
        now = self._clock.now()
        return entry.moving and not entry.claimed and not now < entry.due_at <= now + LONGEST_DELAY

    async def wait(self, timeout: float) -> None:
        """Return when something changed since this task's last claim, or when work becomes due."""
        now = self._clock.now()
        waiting = [entry.due_at for entry in self._messages.values() if entry.moving and entry.due_at > now]
        await self._wake.wait(min([timeout, *(due - now for due in waiting)]))

    async def part(self, message_id: str, name: str) -> bytes | None:
        """A message's blob."""
        entry = self._messages.get(message_id)
        return None if entry is None else entry.parts.get(name)

    async def ticket_part(self, ticket_id: str, name: str) -> bytes | None:
        """A ticket's blob."""
        ticket = self._tickets.get(ticket_id)
        return None if ticket is None else ticket.parts.get(name)

    def _held(self, work: Work) -> _Message:
        entry = self._messages.get(work.message_id)
        if entry is None or (entry.work.ticket_id, entry.work.state) != (work.ticket_id, work.state):
            raise WorkLost("not there, or not ours")
        return entry

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
        """Change state with everything that belongs to it."""
        check_transition(work, to)
        entry = self._held(work)
        ticket = self._tickets[work.ticket_id]
        parked_from = work.state if to is State.PARKED else None
        entry.work = replace(entry.work, state=to, reason=reason, parked_from=parked_from)
        entry.due_at = 0
        entry.claimed = entry.claimed and entry.moving
        _merge(entry.parts, parts or {})
        _merge(ticket.parts, ticket_parts or {})
        ticket.ref = backend_ref or ticket.ref
        if marker is not None:
            self._markers.setdefault(marker, work.ticket_id)
        if thread_entry is not None:
            ticket.entries.append(thread_entry)
        self._wake.changed(but_me=to in (State.DELIVERING, State.SENDING))
        return entry.work

    async def postpone(self, work: Work, reason: Reason, delay: float) -> None:
        """Count a failed attempt; due again in `delay` seconds, a day at most."""
        entry = self._held(work)
        seconds = int(min(max(delay, 0.0), LONGEST_DELAY) + 0.999)
        entry.due_at = self._clock.now() + seconds if seconds else 0
        entry.claimed = False
        entry.work = replace(entry.work, attempts=entry.work.attempts + 1, reason=reason)
        self._wake.changed(but_me=True)

    async def release(self, work: Work) -> None:
        """Give a claim back unchanged."""
        if (entry := self._messages.get(work.message_id)) is not None:
            entry.claimed = False
            self._wake.changed(but_me=True)

    async def retry(self, message_id: str) -> Work:
        """Bring a message back, due at once."""
        entry = self._messages.get(message_id)
        if entry is None:
            raise WorkLost("not there")
        to = retried(entry.work)
        entry.work = replace(entry.work, state=to, reason=Reason.NONE, attempts=0, parked_from=None)
        entry.due_at = 0
        self._wake.changed()
        return entry.work

    async def hasten(self, reason: Reason, queues: Collection[str] | None) -> int:
        """Make postponed messages due at once; returns how many."""
        found = [
            entry
            for entry in self._messages.values()
            if entry.moving
            and not entry.claimed
            and entry.due_at > self._clock.now()
            and entry.work.reason is reason
            and (queues is None or entry.work.queue in queues)
        ]
        for entry in found:
            entry.due_at = 0
            entry.work = replace(entry.work, attempts=max(1, entry.work.attempts - 1))
        if found:
            self._wake.changed()
        return len(found)

    async def join(self, work: Work, ticket_id: str) -> Work:
        """Move a message into another ticket."""
        if ticket_id == work.ticket_id:
            return work
        entry = self._held(work)
        if ticket_id not in self._tickets:
            raise WorkLost("ticket gone")
        entry.work = replace(entry.work, ticket_id=ticket_id)
        self._dedup |= {
            digest: (message_id, ticket_id)
            for digest, (message_id, _) in self._dedup.items()
            if message_id == work.message_id
        }
        self._tickets[ticket_id].expires_day = self._today() + self._retention_days
        if not any(other.work.ticket_id == work.ticket_id for other in self._messages.values()):
            await self.erase(work.ticket_id)
        return entry.work

    async def cursor(self, backend: str) -> str | None:
        """Where the last poll of a backend ended."""
        return self._cursors.get(backend)

    async def set_cursor(self, backend: str, position: str) -> None:
        """Store a position."""
        self._cursors[backend] = position

    async def find_by_marker(self, marker: bytes) -> str | None:
        """The ticket a marker belongs to."""
        return self._markers.get(marker)

    async def forget_markers(self, ticket_id: str) -> int:
        """Let no marker lead to a mail ticket any more; returns how many did."""
        if await self.anchor(ticket_id) is not None:
            return 0
        before = len(self._markers)
        self._markers = {key: value for key, value in self._markers.items() if value != ticket_id}
        return before - len(self._markers)

    async def backend_ref(self, ticket_id: str) -> str | None:
        """The helpdesk's id of a ticket."""
        ticket = self._tickets.get(ticket_id)
        return None if ticket is None else ticket.ref

    async def anchor(self, ticket_id: str) -> PortalAnchor | None:
        """The portal anchor of a ticket."""
        ticket = self._tickets.get(ticket_id)
        return None if ticket is None else ticket.anchor

    def _anchored(self, lookup_id: bytes) -> str | None:
        for ticket_id, ticket in self._tickets.items():
            if ticket.anchor is not None and ticket.anchor.lookup_id == lookup_id:
                return ticket_id
        return None

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        """A portal thread."""
        if (ticket_id := self._anchored(lookup_id)) is None:
            return None
        ticket = self._tickets[ticket_id]
        return ThreadView(ticket_id, tuple(ticket.entries), expires_day=ticket.expires_day)

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        """One sealed piece of a file of a thread."""
        name, ticket_id = piece_name(place, number), self._anchored(lookup_id)
        return None if ticket_id is None else await self.ticket_part(ticket_id, name)

    async def spare(self, digest: bytes) -> bytes | None:
        """What is sealed under a spare code."""
        ticket_id = self._markers.get(digest)
        return None if ticket_id is None else await self.ticket_part(ticket_id, spare_part(digest))

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        """New words for a thread; False when something came between."""
        if (ticket_id := self._anchored(lookup_id)) is None:
            raise WorkLost("ticket gone")
        ticket = self._tickets[ticket_id]
        outgoing = [
            entry
            for entry in self._messages.values()
            if entry.work.ticket_id == ticket_id and entry.work.direction is Direction.OUT
        ]
        if len(entries) != len(ticket.entries) or any(
            answer_under_way(entry.work.state, entry.work.parked_from, entry.claimed) for entry in outgoing
        ):
            return False
        old = {name for name in ticket.parts if name.startswith("spare.")}
        self._markers = {key: value for key, value in self._markers.items() if spare_part(key) not in old}
        ticket.parts = {name: data for name, data in ticket.parts.items() if name not in old}
        ticket.anchor, ticket.entries = anchor, list(entries)
        self._put_spares(ticket_id, spares)
        return True

    def _put_spares(self, ticket_id: str, spares: Sequence[SpareCode]) -> None:
        for spare in spares:
            self._markers[spare.digest] = ticket_id
            self._tickets[ticket_id].parts[spare_part(spare.digest)] = spare.sealed

    async def erase(self, ticket_id: str) -> None:
        """Forget a ticket; only its idempotency keys stay."""
        self._tickets.pop(ticket_id, None)
        self._messages = {
            key: entry for key, entry in self._messages.items() if entry.work.ticket_id != ticket_id
        }
        self._markers = {key: value for key, value in self._markers.items() if value != ticket_id}
        self._wake.changed()

    async def expired(self, today: int, queue_days: Mapping[str, int] = MappingProxyType({})) -> list[str]:
        """Tickets whose last day lies before `today`, and early ones of queues."""
        over = [key for key, ticket in self._tickets.items() if ticket.expires_day < today]
        over.sort(key=lambda key: self._tickets[key].expires_day)
        works = [entry.work for entry in self._messages.values()]
        for queue, days in queue_days.items():
            for ticket in dict.fromkeys(work.ticket_id for work in works if work.queue == queue):
                last = max(work.accepted_day for work in works if work.ticket_id == ticket)
                over += [ticket] if last + days < today and ticket not in over else []
        return over

    async def shorten(self, last_day: int) -> int:
        """Let no ticket's last day lie beyond this one; returns how many did."""
        beyond = [ticket for ticket in self._tickets.values() if ticket.expires_day > last_day]
        for ticket in beyond:
            ticket.expires_day = last_day
        return len(beyond)

    async def listing(
        self,
        states: Collection[State] | None = None,
        *,
        message_id: str | None = None,
        ticket_id: str | None = None,
        since: int = 0,
    ) -> list[Work]:
        """Messages by state, oldest first."""
        works = [entry.work for entry in self._messages.values()]
        return [
            work
            for work in works
            if (states is None or work.state in states)
            and message_id in (None, work.message_id)
            and ticket_id in (None, work.ticket_id)
            and work.accepted_day >= since
        ]

    async def counts(self) -> Mapping[str, int]:
        """Messages per state."""
        numbers: dict[str, int] = {}
        for entry in self._messages.values():
            numbers[entry.work.state.value] = numbers.get(entry.work.state.value, 0) + 1
        return numbers

    def _today(self) -> int:
        return self._clock.now() // _DAY


def _merge(held: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for name, data in changes.items():
        if data is None:
            held.pop(name, None)
        else:
            held[name] = data
