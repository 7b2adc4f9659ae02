"""What a helpdesk lets nobody do over its network, by a command on its host: erasing, and setting up.

What is wanted goes in on standard input, so that `ssh` with a forced command works as well as a local
program; no word of the command line depends on a message or on the configuration's names.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import Final

from veildesk.child.bounded import Finished, OutputExceeded, TimeExceeded, run_bounded
from veildesk.core.ticket import CheckResult, Level

__all__ = ["erase_on_host", "set_up_on_host"]

_log = logging.getLogger("veildesk.deliver")
_SECONDS: Final = 60.0
_TICKET: Final = re.compile(r"[1-9][0-9]{0,17} [a-z0-9]{8,64}\Z")
_LINE: Final = re.compile(r"(made|there|missing)\t([a-z ]{1,30})\t([^\x00-\x1f\x7f]{1,200})\Z")


async def _run(backend: str, what: str, command: Sequence[str], given: str) -> Finished | None:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
    if "HOME" in os.environ:
        environment["HOME"] = os.environ["HOME"]
    try:
        return await run_bounded(
            command, stdin=given.encode(), environment=environment, output_limit=65536, seconds=_SECONDS
        )
    except (OSError, OutputExceeded, TimeExceeded) as error:
        _log.warning("%s-command-failed backend=%s reason=%s", what, backend, type(error).__name__)
        return None


async def erase_on_host(backend: str, command: Sequence[str], tickets: Sequence[str]) -> bool:
    """Run `command` with "NUMBER THREAD" of a ticket on each line; True when it says all are gone."""
    if not tickets or not all(_TICKET.match(ticket) for ticket in tickets):
        return False
    done = await _run(backend, "erase", command, "".join(f"{ticket}\n" for ticket in tickets))
    if done is not None and done.code != 0:
        _log.warning("erase-command-failed backend=%s code=%d", backend, done.code)
    return done is not None and done.code == 0


async def set_up_on_host(
    backend: str, command: Sequence[str], queues: Sequence[str], *, dry_run: bool
) -> list[CheckResult]:
    """Run `command`, which makes what is missing or, with `dry_run`, only says what is."""
    place = f"backend.{backend}.setup"
    wishes = ["look" if dry_run else "make", *(f"queue {queue}" for queue in queues)]
    done = await _run(backend, "setup", command, "".join(f"{wish}\n" for wish in wishes))
    if done is None:
        fix = "see that setup_command can be run by this account"
        return [CheckResult(place, "setup_command", Level.FAIL, "could not be run", fix=fix)]
    results = [
        _result(place, found)
        for line in done.output.decode("utf-8", "replace").splitlines()
        if (found := _LINE.match(line))
    ]
    if done.code != 0 and not any(one.level is not Level.OK for one in results):
        fix = "run it on the helpdesk's host to see why; its configuration must list these queues"
        results.append(CheckResult(place, "setup_command", Level.FAIL, f"exit code {done.code}", fix=fix))
    return results


def _result(place: str, found: re.Match[str]) -> CheckResult:
    state, kind, name = found.groups()
    missing = state == "missing"
    fix = (
        f"'veildesk backend setup' without --dry-run makes it, or make the {kind} by hand" if missing else ""
    )
    level = Level.WARN if missing else Level.OK
    return CheckResult(f"{place}.{kind.replace(' ', '-')}", f"{kind} {name}", level, state, fix=fix)
