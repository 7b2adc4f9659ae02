"""Where sealed files lie: a folder, or a bucket of an S3-compatible object store.

Whichever it is, it only ever sees ciphertext: `parts` seals before and opens after. All methods block and
are run in threads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.core.ticket import CheckResult
from veildesk.spool.durable import disk_error, keep_day_only, sync_directory, write_file

__all__ = ["MISSING", "FileStore", "FolderStore", "ObjectSettings", "Where", "open_files"]

MISSING = "a sealed file is missing"
"""Detail of the `KeyUnusable` for a file that is not there."""


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """A bucket and how to reach it. `timeout` is the longest time of one request, in seconds.

    `ca` is a certificate authority (PEM) beside the system's.
    """

    endpoint: str
    bucket: str
    prefix: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    ca: bytes | None = None
    timeout: float = 60.0


Where = Path | ObjectSettings
"""A folder, or a bucket."""


class FileStore(Protocol):
    """Files that are written once under a random name, read whole and removed.

    `executor` is where to run calls, None for the event loop's own; `limit` how long a caller waits for one,
    in seconds. Raises `FilesUnavailable` or another `SpoolUnavailable` when a call may work later.
    """

    executor: Executor | None
    limit: float | None

    @property
    def state(self) -> str:
        """For `veildesk status`: "ok" or the code of what failed last, and what an operator should know."""

    def make(self) -> None:
        """Make the place if it can be made."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep a file; complete and durable when this returns, and never in the place of another."""

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `KeyUnusable` with `MISSING` if it is not there."""

    def remove(self, names: Collection[str]) -> None:
        """Remove files, durably; those that are not there are no error."""

    def names(self) -> set[str]:
        """What is there, also what was not finished."""

    def bind(self, proof: bytes) -> bytes:
        """Mark the place as one store's, unless it is marked already; returns the mark.

        A folder takes no mark and returns `proof`. Raises `ConfigInvalid` if the place cannot keep promises.
        """

    def bound(self) -> bytes | None:
        """The mark, None where there is none."""

    def checks(self, names: Collection[str]) -> list[CheckResult]:
        """What the doctor asks of the place, without changing anything; `names` are files in it."""

    def close(self) -> None:
        """Let go of threads and connections."""


class FolderStore:
    """A folder on a local or shared file system."""

    executor: Executor | None = None
    limit: float | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state(self) -> str:
        """A folder speaks for itself."""
        return "ok"

    def make(self) -> None:
        """Make the folder if it is not there."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error) from None

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Written, fsynced, renamed, and the directory fsynced."""
        if (self.folder / name).exists():
            raise SpoolUnavailable("file-exists")
        write_file(self.folder / name, pieces)
        keep_day_only(self.folder / name)

    def read(self, name: str) -> bytes:
        """The whole file."""
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise KeyUnusable(MISSING) from None
        except OSError as error:
            raise disk_error(error) from None

    def remove(self, names: Collection[str]) -> None:
        """Unlinked, and the directory fsynced."""
        try:
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
            if names:
                sync_directory(self.folder)
        except OSError as error:
            raise disk_error(error) from None

    def names(self) -> set[str]:
        """All entries; none if there is no folder yet."""
        try:
            return {entry.name for entry in self.folder.iterdir()}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise disk_error(error) from None

    def bind(self, proof: bytes) -> bytes:
        """A folder takes no mark."""
        return proof

    def bound(self) -> bytes | None:
        """A folder has no mark."""
        return None

    def checks(self, names: Collection[str]) -> list[CheckResult]:
        """Nothing beyond what is asked of every place."""
        return []

    def close(self) -> None:
        """Nothing is held."""


def open_files(where: Where) -> FileStore:
    """The files at a place; nothing is made or asked yet. Raises `ConfigInvalid`."""
    if isinstance(where, Path):
        return FolderStore(where)
    # Loaded only where it is used: its library takes ten megabytes.
    from veildesk.spool.object_store import ObjectStore

    return ObjectStore(where)
