"""A private folder on tmpfs for what may exist for a moment only, such as a throw-away keyring."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from veildesk.core.errors import ConfigInvalid

__all__ = ["is_tmpfs", "runtime_folder"]

_CANDIDATES = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")


def is_tmpfs(path: Path) -> bool:
    """Whether a folder lies in memory, by the kernel's mount table (proc(5), mountinfo)."""
    best, kind = "", ""
    target = str(path.resolve())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        mount = left.split()[4].replace("\\040", " ")
        if (target == mount or target.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best):
            best, kind = mount, right.split()[0]
    return kind in ("tmpfs", "ramfs")


@contextlib.contextmanager
def runtime_folder(configured: Path | None) -> Iterator[Path]:
    """A fresh folder (0700) on tmpfs, removed afterwards. Raises `ConfigInvalid` if there is no tmpfs."""
    parents = [configured] if configured else []
    parents += [Path(os.environ[name].split(":")[0]) for name in _CANDIDATES if os.environ.get(name)]
    parents += [Path("/dev/shm"), Path("/run")]  # noqa: S108
    for parent in parents:
        if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK) and is_tmpfs(parent)):
            continue
        folder = Path(tempfile.mkdtemp(prefix="veildesk-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    raise ConfigInvalid("no folder in memory found: set [gateway] runtime_dir to one on tmpfs")
