"""What a process holds in memory: kept out of files by no core dump and no swap (prctl(2), mlockall(2)), and
given back when it is free (mallopt(3))."""

from __future__ import annotations

import ctypes
import resource

__all__ = ["forbid_core_files", "give_back_large_blocks", "lock_memory", "process_control"]

_SET_DUMPABLE = 4
_CURRENT_AND_FUTURE = 3
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE_BLOCK, _LOOSE_END = 512 * 1024, 4 * 1024 * 1024


def process_control(option: int, value: int) -> None:
    """One prctl(2) call with one argument; what the kernel refuses stays as it was."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def forbid_core_files() -> None:
    """No core file of this process, neither as a file nor through a handler; others cannot look into it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    process_control(_SET_DUMPABLE, 0)


def lock_memory() -> bool:
    """Keep all of this process out of swap; false where the system does not let us (RLIMIT_MEMLOCK)."""
    return int(ctypes.CDLL(None).mlockall(_CURRENT_AND_FUTURE)) == 0


def give_back_large_blocks() -> None:
    """Let the system have back what large mails took as soon as it is free.

    Otherwise glibc keeps larger and larger blocks for itself once one was freed. Another C library has no
    such call and is left as it is.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(_MMAP_THRESHOLD, _LARGE_BLOCK)
        # Small change of the heap's end is no reason to ask the system each time.
        change(_TRIM_THRESHOLD, _LOOSE_END)
