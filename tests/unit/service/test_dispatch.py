"""Which helpdesk gets an entry, and what a slow or broken one does to the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from testbed.house import SteppedClock
from veildesk.core.errors import BackendRefused, BackendUnavailable, ConfigInvalid
from veildesk.core.ticket import TicketEntry
from veildesk.deliver.backends.memory import MemoryBackend
from veildesk.service.config import QueueConfig, RouteConfig, parse_config
from veildesk.service.dispatch import Dispatch
from veildesk.service.gates import Gate
from veildesk.service.routing import places_of, route

QUEUES = {"support": QueueConfig(backend="rt"), "abuse": QueueConfig(backend="znuny")}
ROUTES = {
    "german-payments": RouteConfig(topic="payments", language="de", backend="znuny", place="Zahlungen"),
    "payments": RouteConfig(topic="payments", place="Payments"),
    "abuse": RouteConfig(queue="abuse", place="Abuse"),
}
ENTRY = TicketEntry(thread="t" * 32, key="k" * 32, subject="", text="")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("rt", "")),
        ({"topic": "payments"}, ("rt", "Payments")),
        ({"topic": "Payments", "language": "DE"}, ("znuny", "Zahlungen")),
        ({"topic": "other", "language": "de"}, ("rt", "")),
        ({"queue": "abuse"}, ("znuny", "Abuse")),
        ({"queue": "unknown"}, None),
    ],
)
def test_routes_are_tried_in_order(changes: dict[str, str], expected: tuple[str, str] | None) -> None:
    assert route(replace(ENTRY, **changes), QUEUES, ROUTES) == expected


def test_answers_are_looked_for_wherever_routes_lead() -> None:
    assert places_of("rt", QUEUES, ROUTES) == ("Payments", "Abuse")
    assert set(places_of("znuny", QUEUES, ROUTES)) == {"Zahlungen", "Payments", "Abuse"}


def test_a_ticket_stays_where_it_is() -> None:
    backends = {name: MemoryBackend(name) for name in ("rt", "znuny")}
    dispatch = Dispatch(backends, QUEUES, ROUTES)
    entry = replace(ENTRY, topic="payments", language="de")
    assert dispatch.choose(entry, None)[0] == "znuny"
    name, there = dispatch.choose(entry, "rt/12")
    assert (name, there.ref) == ("rt", "12")
    name, there = dispatch.choose(entry, "rt/")
    assert (name, there.ref) == ("rt", None)
    name, there = dispatch.choose(entry, "gone/12")
    assert (name, there.ref) == ("znuny", None)
    with pytest.raises(BackendRefused):
        dispatch.choose(replace(ENTRY, queue="unknown"), None)


def test_a_route_to_nowhere_is_a_fault_of_the_configuration(tmp_path) -> None:
    raw = {
        "gateway": {"name": "d", "address": "a@b.example", "domain": "b.example"},
        "keys": {"home": "h", "support": "A" * 40, "notice": "B" * 40},
        "backends": {"maildir": {"kind": "maildir"}},
        "routes": {"x": {"backend": "nowhere"}},
    }
    with pytest.raises(ConfigInvalid, match=r"routes\.x"):
        parse_config(raw, tmp_path)


async def test_a_broken_helpdesk_is_asked_again_after_growing_pauses() -> None:
    clock, backend = SteppedClock(), MemoryBackend("rt")
    dispatch = Dispatch({"rt": backend}, QUEUES, {}, {"rt": Gate(clock, first=10.0, ceiling=100.0)})
    backend.outage = "down"
    pauses = []
    for _ in range(8):
        with pytest.raises(BackendUnavailable, match="down"):
            await dispatch.deliver("rt", ENTRY)
        calls, begin = backend.calls, clock.steps
        while dispatch.gates["rt"].paused:
            with pytest.raises(BackendUnavailable, match="paused"):
                await dispatch.deliver("rt", ENTRY)
            clock.steps += 0.5
        assert backend.calls == calls
        pauses.append(clock.steps - begin)
    assert pauses[0] <= 10.5
    assert pauses[1] > pauses[0]
    assert max(pauses) <= 100.5
    backend.outage = ""
    assert (await dispatch.deliver("rt", ENTRY)).fresh


async def test_a_slow_helpdesk_holds_few_and_the_others_none() -> None:
    class Slow(MemoryBackend):
        async def deliver(self, entry: TicketEntry):
            self.inside = getattr(self, "inside", 0) + 1
            await asyncio.Event().wait()

    slow, quick = Slow("rt"), MemoryBackend("znuny")
    gates = {name: Gate(SteppedClock(), limit=2, patience=0.01) for name in ("rt", "znuny")}
    dispatch = Dispatch({"rt": slow, "znuny": quick}, QUEUES, {}, gates)
    stuck = [asyncio.create_task(dispatch.deliver("rt", ENTRY)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BackendUnavailable, match="busy"):
        await dispatch.deliver("rt", ENTRY)
    assert slow.inside == 2
    assert (await dispatch.deliver("znuny", ENTRY)).fresh
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
