"""Writing a whole file so that it survives a power cut, or not at all.

Write under a temporary name, fsync, rename, fsync the directory. The file is visible under its final
name only when complete. Disk errors become `SpoolUnavailable`; their texts are not kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from veildesk.core.errors import SpoolUnavailable
from veildesk.spool.crashpoint import crashpoint

__all__ = ["TEMPORARY", "disk_error", "keep_day_only", "sync_directory", "write_file"]

TEMPORARY = ".new"
"""Suffix of files that were not finished."""

_REASONS = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EFBIG: "disk-full",
    errno.EROFS: "read-only",
    errno.EACCES: "read-only",
    errno.EPERM: "read-only",
}


def disk_error(error: OSError) -> SpoolUnavailable:
    """What a failed file operation means, as a code without the path or text."""
    return SpoolUnavailable(_REASONS.get(error.errno or 0, "io-error"))


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_day_only(path: Path) -> None:
    """Of the moment at which a file came, leave the day in its time stamps."""
    day = int(time.time()) // 86_400 * 86_400
    with contextlib.suppress(OSError):
        os.utime(path, (day, day))


def write_file(path: Path, pieces: Iterable[bytes], passed: Callable[[str], None] = crashpoint) -> None:
    """Write `pieces` as the new content of `path`, mode 0600, atomically and durably.

    Raises `SpoolUnavailable`; detail "io-error" means that even what was there before may be at risk.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            passed("file.written")
            os.fsync(stream.fileno())
        passed("file.synced")
        temporary.rename(path)
        passed("file.renamed")
        sync_directory(path.parent)
        passed("file.directory-synced")
    except OSError as error:
        # A full disk needs every block back; what cannot be removed is swept at the next start.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise disk_error(error) from None
