"""Which store of sealed files a place means."""

from __future__ import annotations

from pathlib import Path

from veildesk.spool.file_store import FileStore, Where
from veildesk.spool.folder_store import FolderStore

__all__ = ["open_files"]


def open_files(where: Where) -> FileStore:
    """The files at a place; nothing is made or asked yet. Raises `ConfigInvalid`."""
    if isinstance(where, Path):
        return FolderStore(where)
    # Loaded only where it is used: its library takes ten megabytes.
    from veildesk.spool.object_store import ObjectStore

    return ObjectStore(where)
