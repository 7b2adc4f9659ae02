"""What the system knows of time: the wall clock, the time since boot, and whether it is synchronised."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["Moment", "moment", "synchronised"]

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_FRESH: Final = 2 * 3600
"""systemd-timesyncd asks every 34 minutes at the latest."""
_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC of adjtimex(2)
_ERROR: Final = 5  # TIME_ERROR: the return value says that the clock is not synchronised


@dataclass(frozen=True, slots=True)
class Moment:
    """`wall` is seconds since 1970 UTC as the clock has it, `up` seconds since boot, suspended time too
    (CLOCK_BOOTTIME), `boot` names the boot."""

    wall: int
    up: int
    boot: str


def moment() -> Moment:
    """Now. A kernel that does not name its boot counts as one boot."""
    return Moment(int(time.time()), int(time.clock_gettime(time.CLOCK_BOOTTIME)), _boot())


@cache
def _boot() -> str:
    # No process outlives its boot; the time is asked for several times for each mail.
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2); only the head is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def synchronised(timesyncd: Path = _TIMESYNCD) -> bool | None:
    """Whether a time service keeps the clock right; None when nobody says.

    Under a system call filter the kernel cannot be asked; the mark that systemd-timesyncd leaves at each
    synchronisation can still be seen.
    """
    told = _kernel()
    if told is not None:
        return told
    try:
        age = time.time() - timesyncd.stat().st_mtime
    except OSError:
        return None
    return 0 <= age <= _FRESH or None


def _kernel() -> bool | None:
    try:
        asked = _Timex()
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return state != _ERROR and not asked.status & _UNSYNCHRONISED
