"""Sealed files in a folder on a local or shared file system."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from pathlib import Path

from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.core.ticket import CheckResult
from veildesk.spool.durable import disk_error, keep_day_only, sync_directory, write_file
from veildesk.spool.file_store import MISSING

__all__ = ["FolderStore"]


class FolderStore:
    """The `FileStore` that is a folder."""

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
