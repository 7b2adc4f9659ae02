"""Places between the steps of publishing at which a test kills the process.

Without `VEILDESK_NOTICE_CRASHPOINT` in the environment every call returns at once; with one of the names
of `POINTS` the process sends itself SIGKILL there, as a power cut would.
"""

from __future__ import annotations

import os
import signal

__all__ = ["POINTS", "crashpoint"]

POINTS: frozenset[str] = frozenset(
    {
        "notice.signed",
        "notice.opened",
        "notice.written",
        "notice.synced",
        "notice.named",
        "notice.published",
        "export.begun",
        "export.written",
        "export.switched",
        "channel.done",
    }
)


def crashpoint(name: str) -> None:
    """Mark a place where a crash must be harmless."""
    if name not in POINTS:
        raise ValueError("unknown crash point")
    if os.environ.get("VEILDESK_NOTICE_CRASHPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
