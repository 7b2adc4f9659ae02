"""Making a heartbeat while another process is at it."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest

from veildesk.notices.archive import NoticeDirectory, NoticeRefused
from veildesk.notices.heartbeat import beat
from veildesk.openpgp.fake_engine import FakeEngine
from veildesk.ops.clock import SystemClock


async def test_whoever_is_stopped_in_the_middle_holds_up_neither_the_loop_nor_us_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veildesk.notices.heartbeat._WAIT_TENTHS", 3)
    with (tmp_path / ".heartbeat-lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        beating = asyncio.create_task(
            beat(NoticeDirectory(tmp_path), FakeEngine(), "F" * 40, SystemClock(), 1)
        )
        await asyncio.sleep(0)
        # We are here again, and it waits.
        assert not beating.done()
        with pytest.raises(NoticeRefused, match="another process"):
            await beating
    with pytest.raises(NoticeRefused, match="does not name this heartbeat key"):
        await beat(NoticeDirectory(tmp_path), FakeEngine(), "F" * 40, SystemClock(), 1)
