"""A service's process ends when its work has ended, whatever a thread still waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HANGING = """
import asyncio, threading, time
from veildesk.cli.service_run import run_service
from veildesk.core.errors import RingUnusable

def hang(begun):
    begun.set()
    time.sleep(3600)

async def main():
    begun = threading.Event()
    waiting = asyncio.create_task(asyncio.to_thread(hang, begun))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    {end}

run_service(main())
"""


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("return 7", 7, ""),
        ("raise RingUnusable('damaged')", 11, "newest backup"),
        ("raise ValueError('seed words')", 70, "exception=ValueError"),
        ("open('/nonexistent/place')", 71, "/nonexistent/place"),
    ],
)
def test_a_thread_that_hangs_does_not_hold_up_the_end(end: str, code: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _HANGING.format(end=end)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert words in done.stderr
    assert "seed words" not in done.stderr


def test_without_such_threads_the_process_ends_as_any_other() -> None:
    program = (
        "import atexit; from veildesk.cli.service_run import run_service\n"
        "atexit.register(print, 'taken down')\n"
        "async def main():\n    return 3\nrun_service(main())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (3, "taken down")
