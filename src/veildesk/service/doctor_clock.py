"""Doctor's checks of the clock: what is kept and deleted goes by it."""

from __future__ import annotations

import asyncio
from typing import Any

from veildesk.core.ticket import CheckResult, Level
from veildesk.ops.control import ask
from veildesk.ops.time_source import synchronised
from veildesk.service.clock_guard import ClockGuard
from veildesk.service.config import Config

__all__ = ["check_clock"]

_FIX = "set the clock; if it is right, 'veildesk clock --confirm'"


async def check_clock(config: Config) -> list[CheckResult]:
    """Whether a time service keeps it, and whether it leapt further than anything explains."""
    return [_kept(synchronised()), await _believed(config)]


def _kept(found: bool | None) -> CheckResult:
    title = "a time service keeps the clock right"
    if found:
        return CheckResult("clock.synchronised", title, Level.OK)
    fix = (
        "install one, such as systemd-timesyncd or chrony: signatures, retention and notices go by the clock"
    )
    if found is None:
        return CheckResult("clock.synchronised", title, Level.SKIP, "cannot be seen", "synchronised", fix)
    return CheckResult("clock.synchronised", title, Level.WARN, "not synchronised", "synchronised", fix)


async def _believed(config: Config) -> CheckResult:
    title = "the clock did not leap"
    told = await asyncio.to_thread(_told, config)
    if told is None:
        return CheckResult("clock.leap", title, Level.SKIP, "no store yet")
    if told.get("unreadable"):
        fix = "remove the file 'clock' in the state directory: the next start makes it anew"
        return CheckResult("clock.leap", title, Level.WARN, "its note cannot be read", "a note", fix)
    if told["clock"] == "ok":
        return CheckResult("clock.leap", title, Level.OK)
    found = f"{told['clock']} by {told['days']} days; retention goes by the time before"
    return CheckResult("clock.leap", title, Level.WARN, found, "no leap", _FIX)


def _told(config: Config) -> dict[str, Any] | None:
    """What the running gateway says, else what its note and the clock say now."""
    state = config.gateway.state_dir
    try:
        told: dict[str, Any] = ask(state / "control", {"command": "clock"}, 5.0)["result"]
    except (OSError, TimeoutError, ValueError, KeyError):
        if not (state / "clock").exists():
            return None
        guard = ClockGuard(state / "clock")
        return {**guard.compared(), "unreadable": guard.unreadable}
    return told
