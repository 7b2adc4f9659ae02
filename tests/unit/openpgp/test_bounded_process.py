"""A child process ends with its limits, its time and its caller."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from veildesk.core.errors import EngineUnavailable, LimitExceeded
from veildesk.openpgp.bounded_process import MemoryFile, run_bounded

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


async def run(script: str, **options: object) -> object:
    settings: dict[str, object] = {"stdin": b"", "output_limit": 1000, "seconds": 20.0} | options
    return await run_bounded(["sh", "-c", script, "sh", "{status}"], environment=ENVIRONMENT, **settings)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def gone(pid: int) -> bool:
    for _ in range(200):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_input_output_status_and_code() -> None:
    done = await run("cat; echo told > /proc/self/fd/$1; exit 3", stdin=b"x" * 900)
    assert (done.code, done.output, done.status) == (3, b"x" * 900, b"told\n")  # type: ignore[attr-defined]


async def test_early_end_with_much_input_is_no_fault() -> None:
    done = await run("exit 2", stdin=bytes(5_000_000))
    assert done.code == 2  # type: ignore[attr-defined]


async def test_output_limit_ends_the_child() -> None:
    with pytest.raises(LimitExceeded):
        await run("yes")
    with pytest.raises(LimitExceeded):
        await run("exec yes > /proc/self/fd/$1")


async def test_time_and_cancelling_end_all_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {note}; wait"
    with pytest.raises(EngineUnavailable):
        await run(script, seconds=0.5)
    assert await gone(int(note.read_text()))
    note.unlink()
    task = asyncio.create_task(run(script))
    while not note.exists() or not note.read_text().strip():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(note.read_text()))


def test_memory_file_holds_its_bytes() -> None:
    with MemoryFile(b"secret") as file:
        assert os.read(file.descriptor, 100) == b"secret"
    with pytest.raises(OSError):
        os.fstat(file.descriptor)
