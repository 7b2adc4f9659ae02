"""What a process holds in memory: kept out of files by no core dump and no swap (prctl(2), mlockall(2)), and
given back when it is free (mallopt(3))."""

from __future__ import annotations

import ctypes
import gc
import resource

__all__ = [
    "forbid_core_files",
    "give_back_free_memory",
    "give_back_large_blocks",
    "lock_memory",
    "process_control",
]

_SET_DUMPABLE = 4
_CURRENT_AND_FUTURE = 3
_MMAP_THRESHOLD = -3
_LARGE_BLOCK = 512 * 1024


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


def give_back_free_memory() -> None:
    """Once, when a program has started: what only the start needed goes back to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
