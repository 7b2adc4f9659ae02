"""Erasing where a helpdesk lets nobody delete over its network: a command on its host, by its ticket number.

The number goes in on standard input, so that `ssh` with a forced command works as well as a local
program; no word of the command line depends on a message.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from veildesk.child.bounded import OutputExceeded, TimeExceeded, run_bounded

__all__ = ["erase_on_host"]

_log = logging.getLogger("veildesk.deliver")
_SECONDS = 60.0


async def erase_on_host(backend: str, command: Sequence[str], numbers: Sequence[str]) -> bool:
    """Run `command` with one ticket number a line; True when it says that all of them are gone."""
    if not numbers or not all(number.isascii() and number.isdigit() for number in numbers):
        return False
    given = "".join(f"{number}\n" for number in numbers).encode()
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
    if "HOME" in os.environ:
        environment["HOME"] = os.environ["HOME"]
    try:
        done = await run_bounded(
            command, stdin=given, environment=environment, output_limit=65536, seconds=_SECONDS
        )
    except (OSError, OutputExceeded, TimeExceeded) as error:
        _log.warning("erase-command-failed backend=%s reason=%s", backend, type(error).__name__)
        return False
    if done.code != 0:
        _log.warning("erase-command-failed backend=%s code=%d", backend, done.code)
    return done.code == 0
