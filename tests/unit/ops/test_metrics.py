"""Numbers about the gateway: the right format, truthful, and nothing about anybody."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import pytest

from testbed.filled_store import fill, open_store
from veildesk.ops.lag import LoopLag
from veildesk.ops.metrics import Gauge, MetricsServer, exposition
from veildesk.service.measuring import Measuring


def test_the_text_is_openmetrics() -> None:
    gauges = [
        Gauge("messages", "By state.", 2, {"state": "parked"}),
        Gauge("lag_seconds", "Lag.", 0.25),
        Gauge("messages", "By state.", 1, {"state": "sent"}),
    ]
    assert exposition(gauges) == (
        "# TYPE veildesk_messages gauge\n# HELP veildesk_messages By state.\n"
        'veildesk_messages{state="parked"} 2\nveildesk_messages{state="sent"} 1\n'
        "# TYPE veildesk_lag_seconds gauge\n# HELP veildesk_lag_seconds Lag.\nveildesk_lag_seconds 0.25\n"
        "# EOF\n"
    )


async def test_a_blocked_loop_is_noticed() -> None:
    lag = LoopLag()
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0.01)
    time.sleep(0.6)
    async with asyncio.timeout(10):
        while not lag.worst:
            await asyncio.sleep(0.01)
    assert lag.worst >= 0.3
    task.cancel()


async def test_the_socket_tells_states_and_ages_and_nothing_of_a_message(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    tickets = await fill(spool)

    async def deletions() -> dict[str, int]:
        return {"asked": 2, "unfinished": 1}

    measuring = Measuring(spool, LoopLag(), lambda: 3, lambda: {"desk": True}, deletions)
    # A short path: sockets have 108 bytes.
    path = Path("/tmp") / f"vd-{secrets.token_hex(6)}" / "m"
    task = asyncio.create_task(MetricsServer(path, measuring.gather).run())
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.01)
    assert path.stat().st_mode & 0o007 == 0
    answers = [await ask(path, b"GET /metrics HTTP/1.1\r\n\r\n"), await ask(path, b"POST / HTTP/1.1\r\n\r\n")]
    assert answers[1].startswith("HTTP/1.1 405")
    head, _, body = answers[0].partition("\r\n\r\n")
    assert "application/openmetrics-text" in head
    assert 'veildesk_messages{state="parked"} 1' in body
    assert 'veildesk_oldest_days{state="parked"} 0' in body
    assert 'veildesk_helpdesk_up{helpdesk="desk"} 1' in body
    assert "veildesk_store_failed 0" in body
    assert 'veildesk_helpdesk_backlog{helpdesk="desk"}' in body
    assert "veildesk_deletions_unfinished 1" in body
    assert body.endswith("# EOF\n")
    assert not any(ticket in body for ticket in tickets.values())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    path.parent.rmdir()
    await spool.close()


async def ask(path: Path, request: bytes) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_numbers_that_go_by_messages_move_once_an_hour(tmp_path: Path) -> None:
    """Who collects them must not learn when somebody wrote."""
    spool = await open_store(tmp_path)
    hour = [100.0 * 3600]

    async def deletions() -> dict[str, int]:
        return {"asked": len(tickets)}

    tickets: list[str] = []
    done = [0]
    measuring = Measuring(
        spool, LoopLag(), lambda: done[0], lambda: {"desk": True}, deletions, now=lambda: hour[0]
    )
    first = exposition(await measuring.gather())
    tickets += await fill(spool)
    done[0] = 7
    hour[0] += 1800
    moved = exposition(await measuring.gather())
    assert [one for one in moved.splitlines() if "memory" not in one] == [
        one for one in first.splitlines() if "memory" not in one
    ]
    hour[0] += 1800
    later = exposition(await measuring.gather())
    assert "veildesk_finished 7" in later
    assert f"veildesk_deletions_asked {len(tickets)}" in later
    await spool.close()


def test_whole_numbers_are_told_in_full_and_labels_are_escaped() -> None:
    text = exposition([Gauge("bytes", "B.", 68719476736.0, {"helpdesk": 'a"b\\c\nd'})])
    assert 'veildesk_bytes{helpdesk="a\\"b\\\\c\\nd"} 68719476736\n' in text
