"""The real store against a simple model: any order of operations, crashes and clock jumps in between.

Invariants: every acknowledged message is in exactly the state the model says, its content opens as long
as its ticket lives, no outside effect happens twice without having been looked up, nothing of an erased
ticket can be read.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import Reason, State, Work
from veildesk.spool import KeyRing, SqlSpool

T = TypeVar("T")
DAY = 86_400
MOVING = [State.ACCEPTED, State.DELIVERING]
EFFECT = State.DELIVERING


@dataclass
class Clock:
    at: int = 20_000 * DAY

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return float(self.at)


@dataclass
class Known:
    """What the model believes of one message."""

    ticket: str
    payload: bytes
    state: State = State.ACCEPTED
    parked_from: State | None = None
    delivered: int = 0


@dataclass
class Outside:
    """A helpdesk that appends whatever it is given."""

    keys: list[str] = field(default_factory=list)

    def deliver(self, key: str) -> None:
        if key not in self.keys:  # The look-up before every repetition.
            self.keys.append(key)


class SpoolMachine(RuleBasedStateMachine):
    claimed = Bundle("claimed")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.clock = Clock()
        KeyRing.create(self.root / "ring")
        self.known: dict[str, Known] = {}
        self.digests: dict[bytes, str] = {}
        self.erased: set[str] = set()
        self.outside = Outside()
        self.spool = self.open()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def open(self) -> SqlSpool:
        ring = KeyRing.load(self.root / "ring")
        return self.do(
            SqlSpool.open(self.root / "state", ring, self.clock, 30, min_free=0, reap_seconds=3600)
        )

    def teardown(self) -> None:
        self.do(self.spool.close())
        self.loop.close()
        shutil.rmtree(self.root)

    # ------------------------------------------------------------------ rules

    @rule(
        number=st.integers(0, 12),
        size=st.sampled_from([3, 700, 300_000]),
        thread=st.none() | st.integers(0, 2),
    )
    def accept(self, number: int, size: int, thread: int | None) -> None:
        digest = bytes([number]) * 32
        anchor = None if thread is None else PortalAnchor(bytes([thread]) * 32, b"p" * 32)
        payload = b"%d " % number * size
        channel = Channel.SMTP if anchor is None else Channel.PORTAL
        entry = None if anchor is None else b"entry"
        given = Submission(channel, digest, payload, anchor=anchor, thread_entry=entry)
        accepted = self.do(self.spool.accept(given))
        assert accepted.fresh == (digest not in self.digests)
        assert self.digests.setdefault(digest, accepted.message_id) == accepted.message_id
        if accepted.fresh:
            self.known[accepted.message_id] = Known(accepted.ticket_id, payload)

    @rule(target=claimed)
    def claim(self) -> Work | None:
        works = self.do(self.spool.claim(MOVING))
        for work in works:
            assert self.known[work.message_id].state is work.state
            return work
        return None

    @rule(work=consumes(claimed), crash=st.sampled_from(["", "intent", "effect"]))
    def deliver(self, work: Work | None, crash: str) -> None:
        """Two commits around the effect; the process may die between them."""
        if work is None or not self.mine(work):
            return None
        known = self.known[work.message_id]
        if work.state is State.ACCEPTED:
            work = self.do(self.spool.advance(work, EFFECT, parts={"entry": b"clean"}))
            known.state = EFFECT
        if crash == "intent":
            return self.crash()
        self.outside.deliver(work.message_id)
        known.delivered += 1
        if crash == "effect":
            return self.crash()
        self.do(self.spool.advance(work, State.DELIVERED, parts={"raw": None, "entry": None}))
        known.state = State.DELIVERED
        return None

    @rule(work=consumes(claimed), how=st.sampled_from(["park", "postpone", "release", "quarantine"]))
    def give_up(self, work: Work | None, how: str) -> None:
        if work is None or not self.mine(work):
            return
        known = self.known[work.message_id]
        if how == "park":
            self.do(self.spool.advance(work, State.PARKED, reason=Reason.BACKEND))
            known.state, known.parked_from = State.PARKED, work.state
        elif how == "postpone":
            self.do(self.spool.postpone(work, Reason.BACKEND_DOWN, 60))
        elif how == "quarantine" and work.state is State.ACCEPTED:
            self.do(self.spool.advance(work, State.QUARANTINED, reason=Reason.UNPARSABLE))
            known.state = State.QUARANTINED
        else:
            self.do(self.spool.release(work))

    @rule(pick=st.integers(0, 30))
    def retry(self, pick: int) -> None:
        waiting = [name for name, one in self.known.items() if one.state in (State.PARKED, State.QUARANTINED)]
        if waiting:
            name = waiting[pick % len(waiting)]
            known = self.known[name]
            back = self.do(self.spool.retry(name))
            assert back.state is (known.parked_from or State.ACCEPTED)
            known.state, known.parked_from = back.state, None

    @rule(pick=st.integers(0, 30))
    def erase(self, pick: int) -> None:
        tickets = sorted({known.ticket for known in self.known.values()})
        if tickets:
            ticket = tickets[pick % len(tickets)]
            self.do(self.spool.erase(ticket))
            self.erased |= {name for name, known in self.known.items() if known.ticket == ticket}
            self.known = {name: known for name, known in self.known.items() if known.ticket != ticket}

    @rule()
    def rotate(self) -> None:
        self.do(self.spool.rotate())

    @rule(seconds=st.sampled_from([-40 * DAY, -3600, 61, DAY, 10 * DAY]))
    def jump(self, seconds: int) -> None:
        self.clock.at += seconds

    @precondition(lambda self: self.known)
    @rule()
    def crash(self) -> None:
        """Leave without a word, as a killed process does: its lock is free, its claims are not given back."""
        self.do(self.spool._writer.close())
        self.spool._state.close()
        for task in self.spool._tasks:
            task.cancel()
        self.spool = self.open()

    def mine(self, work: Work) -> bool:
        """Whether the claim is still what it was: later rules may have erased or a crash freed it."""
        known = self.known.get(work.message_id)
        return known is not None and known.state is work.state

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def every_message_is_where_the_model_says(self) -> None:
        rows = {work.message_id: work for work in self.do(self.spool.listing())}
        assert set(rows) == set(self.known)
        for name, known in self.known.items():
            assert (rows[name].state, rows[name].parked_from) == (known.state, known.parked_from)

    @invariant()
    def content_opens_until_it_was_delivered_or_erased(self) -> None:
        for name, known in self.known.items():
            expected = None if known.state is State.DELIVERED else known.payload
            assert self.do(self.spool.part(name, "raw")) == expected
        for name in self.erased:
            assert self.do(self.spool.part(name, "raw")) is None

    @invariant()
    def no_effect_happened_twice(self) -> None:
        assert len(self.outside.keys) == len(set(self.outside.keys))
        for name, known in self.known.items():
            if known.state is State.DELIVERED:
                assert name in self.outside.keys


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
