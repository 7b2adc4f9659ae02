"""Named places at which a test may kill the process, to prove that nothing acknowledged is lost.

Without `VEILDESK_CRASHPOINT` in the environment every call returns at once. With `name:nth` the process
sends itself SIGKILL when it passes that place for the nth time, as a power cut would. Every name stands
in `POINTS`, so that a test can show that each was reached; an unknown name is an error.
"""

from __future__ import annotations

import os
import signal

__all__ = ["POINTS", "WAKING", "WRITES", "CrashPlan", "crashpoint"]

WRITES = (
    "accept",
    "advance",
    "claim",
    "collect",
    "join",
    "postpone",
    "release",
    "retry",
    "reword",
    "cursor",
    "erase-key",
    "erase-rows",
    "erase-job",
    "contacts",
    "hold",
    "rotate",
)
"""Kinds of commits; each has a point before and one after."""

WAKING = frozenset({"accept", "advance", "collect", "join", "postpone", "release", "retry"})
"""Kinds of commits after which another process may find work."""

POINTS: frozenset[str] = frozenset(
    {
        "file.written",
        "file.synced",
        "file.renamed",
        "file.directory-synced",
        "ring.synced",
        "ring.renamed",
        "ring.half-added",
        "ring.half-renewed",
        "rotate.ring-extended",
        "rotate.ring-shortened",
        "erase.key-checkpointed",
        "erase.files-removed",
        "deliver.before-call",
        "deliver.after-call",
        "send.before-call",
        "send.after-call",
        "move.copied",
        "move.marked",
        "move.opened",
    }
    | {f"{kind}.before-commit" for kind in WRITES}
    | {f"{kind}.after-commit" for kind in WRITES}
)


class CrashPlan:
    """Counts passes of one point and kills the process at the chosen one."""

    def __init__(self, setting: str) -> None:
        name, _, nth = setting.partition(":")
        self._name = name
        self._left = int(nth or "1")

    def reach(self, name: str) -> None:
        """Pass the place `name`."""
        if name not in POINTS:
            raise ValueError("unknown crash point")
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_PLAN = CrashPlan(os.environ["VEILDESK_CRASHPOINT"]) if os.environ.get("VEILDESK_CRASHPOINT") else None


def crashpoint(name: str) -> None:
    """Mark a place where a crash must be harmless."""
    if _PLAN is not None:
        _PLAN.reach(name)
