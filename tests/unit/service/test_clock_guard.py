"""A clock that leaps: nothing is deleted by it before it is certain, and nothing stays for ever either."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from testbed.house import House, mail
from veildesk.core.ticket import Erased
from veildesk.ops.time_source import Moment, synchronised
from veildesk.service.clock_guard import ClockGuard, GuardedClock
from veildesk.service.eraser import Eraser
from veildesk.service.workers import Sweeper
from veildesk.spool.holds import Hold

DAY, HOUR = 86_400, 3600
NOW = 1_795_000_000


@dataclass
class Machine:
    """A machine whose clock a test sets wrong."""

    moment: Moment = field(default_factory=lambda: Moment(NOW, 5 * DAY, "first"))
    synchronised: bool | None = None

    def read(self) -> Moment:
        return self.moment

    def passes(self, seconds: int) -> None:
        self.moment = replace(self.moment, wall=self.moment.wall + seconds, up=self.moment.up + seconds)

    def leaps(self, seconds: int) -> None:
        self.moment = replace(self.moment, wall=self.moment.wall + seconds)

    def boots(self, off: int) -> None:
        self.moment = Moment(self.moment.wall + off, 30, os.urandom(4).hex())

    def guard(self, path: Path, before: int | None = None) -> ClockGuard:
        return ClockGuard(path / "clock", before, read=self.read, synchronised=lambda: self.synchronised)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def stay(machine: Machine, guard: ClockGuard, seconds: int) -> None:
    for _ in range(seconds // 600):
        machine.passes(600)
        guard.look()


def sweeper_of(house: House, guard: ClockGuard) -> Sweeper:
    eraser = Eraser(
        spool=house.spool,
        backends={"desk": house.backend},
        jobs=house.spool.erase_jobs,
        holds=house.spool.holds,
        clock=GuardedClock(guard.earliest),
        random_bytes=os.urandom,
    )
    return Sweeper(
        house.spool,
        {"desk": house.backend},
        GuardedClock(guard.earliest),
        contacts=house.spool.contacts,
        eraser=eraser,
        latest=guard.latest,
    )


async def test_a_clock_that_is_years_ahead_for_a_while_ends_no_ticket(
    house: House, machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = machine.guard(tmp_path)
    sweeper = sweeper_of(house, guard)
    (entry,) = await house.deliver(mail())
    machine.leaps(400 * DAY)
    assert await sweeper.sweep() == 0, "the sweep comes before anybody looked"
    guard.look()
    assert "clock-doubted leap_days=400" in caplog.text
    assert guard.told() == {"clock": "ahead", "days": 400, "synchronised": None}
    assert await sweeper.sweep() == 0
    stay(machine, guard, 20 * HOUR)
    machine.leaps(-400 * DAY)
    guard.look()
    assert guard.doubt is None
    assert await sweeper.sweep() == 0
    assert house.entries() == [entry]


@pytest.mark.parametrize(("synchronised", "hours"), [(True, 1), (None, 24), (False, 24)])
async def test_a_machine_that_was_off_for_weeks_deletes_soon_after(
    house: House, machine: Machine, tmp_path: Path, synchronised: bool | None, hours: int
) -> None:
    machine.guard(tmp_path).look()
    await house.deliver(mail())
    machine.boots(off=21 * DAY)
    machine.synchronised = synchronised
    guard = machine.guard(tmp_path)
    sweeper = sweeper_of(house, guard)
    guard.look()
    assert await sweeper.sweep() == 0
    stay(machine, guard, hours * HOUR - 600)
    assert await sweeper.sweep() == 0
    stay(machine, guard, 1200)
    assert guard.doubt is None
    assert await sweeper.sweep() == 1
    assert not house.entries()


async def test_a_restart_of_the_gateway_forgets_no_doubt_and_begins_none_anew(
    machine: Machine, tmp_path: Path
) -> None:
    machine.guard(tmp_path).look()
    machine.leaps(40 * DAY)
    for _ in range(11):
        guard = machine.guard(tmp_path)
        guard.look()
        assert guard.doubt is not None
        assert guard.earliest() < NOW + 3 * DAY
        stay(machine, guard, 2 * HOUR)
    stay(machine, guard, 3 * HOUR)
    assert guard.doubt is None
    assert guard.earliest() == machine.moment.wall


def test_a_time_server_that_is_wrong_by_years_is_given_the_day(machine: Machine, tmp_path: Path) -> None:
    guard = machine.guard(tmp_path)
    guard.look()
    machine.synchronised = True
    machine.leaps(1024 * 7 * DAY)  # a rollover of the week of GPS
    stay(machine, guard, 23 * HOUR)
    assert guard.doubt is not None
    stay(machine, guard, 2 * HOUR)
    assert guard.doubt is None


def test_an_operator_ends_the_doubt(machine: Machine, tmp_path: Path) -> None:
    guard = machine.guard(tmp_path)
    assert not guard.confirm()
    machine.leaps(40 * DAY)
    assert guard.confirm()
    assert guard.earliest() == machine.moment.wall
    assert machine.guard(tmp_path).earliest() == machine.moment.wall


@pytest.mark.parametrize("seconds", [HOUR, 47 * HOUR, -47 * HOUR, -HOUR])
def test_small_steps_and_short_stops_are_nobodys_business(
    machine: Machine, tmp_path: Path, seconds: int
) -> None:
    guard = machine.guard(tmp_path)
    guard.look()
    machine.leaps(seconds)
    guard.look()
    assert guard.doubt is None
    assert guard.earliest() == guard.latest() == machine.moment.wall
    machine.boots(off=seconds)
    assert machine.guard(tmp_path).earliest() == machine.moment.wall


def test_time_goes_on_while_the_clock_is_doubted(machine: Machine, tmp_path: Path) -> None:
    guard = machine.guard(tmp_path)
    guard.look()
    machine.leaps(-300 * DAY)
    stay(machine, guard, 10 * HOUR)
    assert guard.told()["clock"] == "behind"
    assert guard.latest() == NOW + 10 * HOUR
    machine.synchronised = True
    stay(machine, guard, 2 * HOUR)
    assert guard.latest() == machine.moment.wall, "it had been ahead before, and is right now"


async def test_wishes_to_delete_do_not_wait_and_holds_do_not_end(
    house: House, machine: Machine, tmp_path: Path
) -> None:
    guard = machine.guard(tmp_path)
    guard.look()
    eraser = sweeper_of(house, guard).eraser
    assert eraser is not None
    (wished,) = await house.deliver(mail())
    held = next(one for one in await house.deliver(mail()) if one.thread != wished.thread)
    await eraser.holds.add(Hold(held.thread, "court order", "2026-12-20"))
    machine.leaps(400 * DAY)
    guard.look()
    assert (await eraser.erase(wished.thread)).outcome is Erased.GONE
    assert (await eraser.erase(held.thread)).outcome is Erased.KEPT


async def test_what_came_while_the_clock_was_ahead_is_kept_no_longer_than_the_rest(
    house: House, machine: Machine, tmp_path: Path
) -> None:
    guard = machine.guard(tmp_path)
    sweeper = sweeper_of(house, guard)
    (before,) = await house.deliver(mail())
    house.clock.seconds += 400 * DAY
    after = next(one for one in await house.deliver(mail()) if one.thread != before.thread)
    house.clock.seconds -= 400 * DAY
    assert await sweeper.shorten() == 1
    assert await sweeper.shorten() == 0
    machine.passes(15 * DAY)
    assert await sweeper.sweep() == 1
    assert [one.thread for one in house.entries()] == [after.thread]
    machine.passes(2 * DAY)
    assert await sweeper.sweep() == 1


def test_a_note_that_cannot_be_read_or_written_stops_nothing(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "clock").write_bytes(b"{")
    guard = machine.guard(tmp_path, NOW - 400 * DAY)
    guard.look()
    assert guard.doubt is not None
    (tmp_path / "clock").unlink()
    gone = machine.guard(tmp_path / "gone")
    gone.look()
    assert gone.doubt is None


def test_the_note_tells_no_minutes(machine: Machine, tmp_path: Path) -> None:
    machine.guard(tmp_path).look()
    kept = json.loads((tmp_path / "clock").read_text())
    assert kept == {
        "last": {"wall": NOW // HOUR, "up": 5 * 24, "boot": "first"},
        "doubt": None,
    }
    assert (tmp_path / "clock").stat().st_mode & 0o777 == 0o600


def test_the_mark_of_the_time_service_counts_while_it_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "synchronized"
    monkeypatch.setattr("veildesk.ops.time_source._kernel", lambda: None)
    assert synchronised(mark) is None
    mark.touch()
    assert synchronised(mark) is True
    for other in (-3 * HOUR, 40 * DAY):
        os.utime(mark, (time.time() + other,) * 2)
        assert synchronised(mark) is None
