"""Whether a Maildir may hold a message, without reading its folders for each delivery.

A folder is listed again only when its modification time says that somebody changed it; what is put there by
ourselves is noted. Only "certainly not here" is an answer: whoever hears "perhaps" looks at the names.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

__all__ = ["FolderNames"]

# Within this time after a change another one could leave the same modification time.
_SETTLED_NS = 2_000_000_000


class FolderNames:
    """The first two words, thread and key, of the names "THREAD.KEY.*" in one folder.

    `ours` says that such names come into this folder by `put` alone; one that another gateway puts there at
    the very moment of a listing may be missed, so a caller asks for the exact name first.
    """

    def __init__(self, folder: Path, *, ours: bool) -> None:
        self._folder = folder
        self._ours = ours
        self._words: set[int] = set()
        self._changed = -1
        self._lock = threading.Lock()

    def may_hold(self, *words: str) -> frozenset[str]:
        """Those of these threads and keys that may be there. Raises `OSError`."""
        with self._lock:
            if self._folder.stat().st_mtime_ns != self._changed:
                self._list()
            return frozenset(word for word in words if hash(word) in self._words)

    def put(self, name: str, source: Path) -> None:
        """Rename `source` to `name` in this folder. Raises `OSError`."""
        with self._lock:
            known = self._folder.stat().st_mtime_ns == self._changed
            source.rename(self._folder / name)
            self._words.update(map(hash, name.split(".")[:2]))
            self._changed = self._folder.stat().st_mtime_ns if known else -1

    def _list(self) -> None:
        changed = self._folder.stat().st_mtime_ns
        self._words = {hash(word) for name in os.listdir(self._folder) for word in name.split(".")[:2]}
        settled = abs(time.time_ns() - changed) > _SETTLED_NS
        self._changed = changed if settled or self._ours else -1
