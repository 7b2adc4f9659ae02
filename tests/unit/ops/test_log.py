"""Whatever breaks, wherever: the log has class and place, never a word of what was worked on."""

from __future__ import annotations

import subprocess
import sys

SECRET = "seed words of a user"

_PROGRAM = f"""
import asyncio, gc, logging, threading
from veildesk.ops.log import set_up_logging

set_up_logging()
secret = {SECRET!r}

def broken():
    raise ValueError(secret)

class Dying:
    def __del__(self):
        broken()

class Told:
    def __repr__(self):
        return secret

async def main():
    async def fall(kept):
        raise ValueError(secret)
    task = asyncio.create_task(fall(secret), name=secret)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda: broken())
    await asyncio.sleep(0.01)

thread = threading.Thread(target=broken)
thread.start()
thread.join()
Dying()
gc.collect()
logging.getLogger("a.library").error("got %r", Told())
logging.getLogger("veildesk.x").error("wrong %d", secret)
asyncio.run(main(), debug=True)
try:
    broken()
except ValueError as first:
    raise KeyError(secret) from first
"""


def test_nothing_of_what_was_worked_on_is_in_the_log() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", _PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert SECRET not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("unhandled-beside exception=ValueError") == 2
    assert "exception=KeyError" in done.stderr
    assert "a.library message-withheld" in done.stderr
