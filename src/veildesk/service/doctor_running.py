"""Doctor's checks of the running gateway: whether it answers, also where people and programs reach it.

What cannot answer because the gateway is not running is "skip"; what does not although it runs is "fail".
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from veildesk.core.ticket import CheckResult, Level
from veildesk.ops.control import ask
from veildesk.service.config import Config

__all__ = ["check_running", "is_running"]

_SECONDS: Final = 15.0
_HEAD: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_CIRCUIT: Final = b"PROXY TCP6 fc00:dead:beef:4dad::ffff:1 ::1 1 80\r\n"
"""What tor puts before a connection where it exports circuits."""
_START: Final = "start it with 'veildesk run' and look again"
_HUNG: Final = "look into its log, then restart it"
_LATE_DAYS: Final = 2
"""Whole days between the day of a message and today: more than one day has passed for certain."""


def is_running(config: Config) -> bool:
    """Whether there is a process behind the control socket. Blocks."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(_SECONDS)
        try:
            one.connect(str(config.gateway.state_dir / "control"))
        except OSError:
            return False
    return True


async def check_running(config: Config) -> list[CheckResult]:
    """The gateway, what waits in it, and its sockets."""
    title = "the gateway runs"
    if not await asyncio.to_thread(is_running, config):
        return [
            CheckResult("gateway", title, Level.SKIP, "not running", "running", _START),
            *[
                CheckResult(name, f"{said} answers", Level.SKIP, "the gateway is not running")
                for name, said, _, _ in _sockets(config)
            ],
        ]
    path = config.gateway.state_dir / "control"
    try:
        status = (await asyncio.to_thread(ask, path, {"command": "status"}, _SECONDS))["result"]
    except (OSError, ValueError, KeyError):
        return [CheckResult("gateway", title, Level.FAIL, "it does not answer", "an answer", _HUNG)]
    results = [CheckResult("gateway", title, Level.OK), _waiting(status), _late(status), _deletions(status)]
    failing = [name for name, state in status.get("backends", {}).items() if state != "ok"]
    found, level = ", ".join(failing) or "all", Level.WARN if failing else Level.OK
    fix = "look with 'veildesk backend check NAME'" if failing else ""
    results.append(CheckResult("gateway.polls", "helpdesks answer the gateway", level, found, "all", fix))
    return results + [await _socket(*one) for one in _sockets(config)]


def _waiting(status: dict[str, Any]) -> CheckResult:
    waiting = {s: n for s, n in status["messages"].items() if s in ("parked", "held", "quarantined") and n}
    found = ", ".join(f"{n} {s}" for s, n in waiting.items()) or "none"
    level = Level.WARN if waiting else Level.OK
    fix = "look with 'veildesk spool list': the reason stands beside each" if waiting else ""
    return CheckResult("gateway.waiting", "nothing waits for a person", level, found, "none", fix)


def _late(status: dict[str, Any]) -> CheckResult:
    title = "no message has been on its way for days"
    under_way = ("accepted", "delivering", "collected", "sending")
    days = max((n for s, n in status.get("oldest_days", {}).items() if s in under_way), default=0)
    if days < _LATE_DAYS:
        return CheckResult("gateway.late", title, Level.OK)
    fix = "look with 'veildesk spool list' which reason they have"
    return CheckResult("gateway.late", title, Level.WARN, f"{days} days", "less than 2 days", fix)


def _deletions(status: dict[str, Any]) -> CheckResult:
    title = "deletions come to their end within a day or two"
    late = int(status.get("deletions", {}).get("late", 0))
    if not late:
        return CheckResult("gateway.deletions", title, Level.OK)
    fix = "the log says why (erase-incomplete); docs/retention.md"
    return CheckResult("gateway.deletions", title, Level.WARN, f"{late} not finished", "none", fix)


def _sockets(config: Config) -> list[tuple[str, str, Path, bytes]]:
    """Check, what it is, where it answers, and what is asked there."""
    found = []
    circuit = _CIRCUIT if config.onion is not None and config.onion.circuits else b""
    if config.portal is not None:
        found.append(("portal.answers", "the portal", config.portal.socket, circuit + _HEAD))
    if config.status is not None:
        found.append(("status.answers", "the status site", config.status.socket, circuit + _HEAD))
    if config.metrics is not None:
        found.append(("metrics.answers", "the socket for metrics", config.metrics.socket, _HEAD))
    return found


async def _socket(name: str, said: str, path: Path, request: bytes) -> CheckResult:
    title = f"{said} answers"
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(request)
                code = int((await reader.readline()).split()[1])
            finally:
                writer.close()
    except (OSError, ValueError, IndexError):
        fix = "start 'veildesk status-site run'" if name == "status.answers" else _HUNG
        return CheckResult(name, title, Level.FAIL, "no answer", "an answer", fix)
    # Which name it is asked by decides between a page and a refusal; both are answers.
    level = Level.OK if code < 500 else Level.FAIL
    return CheckResult(name, title, level, "" if code < 500 else f"{code}", "", "" if code < 500 else _HUNG)
