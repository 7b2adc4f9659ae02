"""A rate before a helpdesk: a burst, then a steady flow; what is above it is sent away, never lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from veildesk.core.errors import BackendUnavailable
from veildesk.service.gates import Gate


class Clock:
    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> int:
        return int(self.seconds)


async def _let_in(gate: Gate, count: int) -> int:
    entered = 0
    for _ in range(count):
        with contextlib.suppress(BackendUnavailable):
            async with gate.enter():
                entered += 1
    return entered


async def test_a_burst_then_a_steady_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.seconds += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    gate = Gate(clock, per_minute=60, patience=0.0)
    assert await _let_in(gate, 50) == 10
    assert waits == []
    for _ in range(30):
        clock.seconds += 1
        assert await _let_in(gate, 3) == 1
    # A long calm does not save up more than one burst.
    clock.seconds += 3600
    assert await _let_in(gate, 50) == 10
    assert not gate.paused
    with pytest.raises(BackendUnavailable, match="rate"):
        async with gate.enter():
            pass
    patient = Gate(clock, per_minute=60, patience=2.5)
    begun = clock.seconds
    assert await _let_in(patient, 30) == 30
    assert clock.seconds - begun == pytest.approx(20)


async def test_without_a_rate_nothing_waits() -> None:
    assert await _let_in(Gate(Clock()), 1000) == 1000
