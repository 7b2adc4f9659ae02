"""Run a service's coroutine, and end its process without waiting for threads that hang.

A thread that asks a dead name server or bucket returns when its time is up, minutes later. By then a service
manager would have killed the process. Everything is closed and on the disk when the coroutine has ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

from veildesk.cli.output import say
from veildesk.ops.fault import told

__all__ = ["run_service"]

_SECONDS: Final = 2.0
"""How long threads may take to end by themselves."""


def run_service(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run `main`, which returns the exit code; what it raises is said in a sentence. Does not return."""
    threads = ThreadPoolExecutor(thread_name_prefix="asyncio")
    runner = asyncio.Runner()
    try:
        runner.get_loop().set_default_executor(threads)
        code = runner.run(main)
    except Exception as error:
        code = say(told(error))
    threads.shutdown(wait=False, cancel_futures=True)
    if _threads_remain():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    runner.close()
    sys.exit(code)


def _threads_remain() -> bool:
    until = time.monotonic() + _SECONDS
    others = [one for one in threading.enumerate() if one is not threading.current_thread()]
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    return any(thread.is_alive() and not thread.daemon for thread in others)
