"""A child process ends with its limits, its time and its caller."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from veildesk.child.bounded import MemoryFile, OutputExceeded, TimeExceeded, run_bounded

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
    with pytest.raises(OutputExceeded):
        await run("yes")
    with pytest.raises(OutputExceeded):
        await run("exec yes > /proc/self/fd/$1")


async def test_time_and_cancelling_end_all_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {note}; wait"
    with pytest.raises(TimeExceeded):
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


async def test_cancelled_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """However early the caller is cancelled: the child, and what it started itself, end."""
    for turns in range(40):
        note = tmp_path / str(turns)
        task = asyncio.create_task(run(f"sleep 600 & echo $! > {note}; wait"))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        if note.exists() and (said := note.read_text().strip()):
            assert await gone(int(said))


async def test_what_a_child_leaves_behind_ends_with_it() -> None:
    """A grandchild that holds none of the pipes does not hold up the end, and does not outlive it."""
    leave = "import subprocess as s; print(s.Popen(['sleep', '600'], stdin=s.DEVNULL, stdout=s.DEVNULL).pid)"
    done = await run(f'exec {sys.executable} -c "{leave}"')
    assert done.code == 0  # type: ignore[attr-defined]
    assert await gone(int(done.output))  # type: ignore[attr-defined]
