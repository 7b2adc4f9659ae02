"""Doctor's checks of files and folders: who else may read or change them, room, and backups."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from veildesk.core.ticket import CheckResult, Level
from veildesk.service.backup_mark import backed_up
from veildesk.service.config import Config

__all__ = ["check_files"]

_ROOM: Final = 256
"""MiB that are enough for some days of mail at a small desk."""
_LEAST_ROOM: Final = 16
_FILES: Final = 1000
_BACKUP_DAYS: Final = 7
_LOOKED_AT: Final = 20_000


async def check_files(config: Config) -> list[CheckResult]:
    """Modes of what must be private, who may change what we trust, room, and the age of backups."""
    results = []
    places = {"state": config.gateway.state_dir, "keys.home": config.keys.home, "keys.ring": config.keys.ring}
    for name, path in places.items():
        if not path.exists():
            fix = "correct the path, put it back from a backup, or, for a new gateway, run 'veildesk init'"
            results.append(
                CheckResult(f"files.{name}", f"{name} exists", Level.FAIL, "missing", "present", fix)
            )
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        good = not mode & 0o077
        results.append(
            CheckResult(
                f"files.{name}",
                f"{name} is private",
                Level.OK if good else Level.FAIL,
                f"mode {mode:04o}",
                "no access for others",
                "" if good else f"chmod go= {path}",
            )
        )
    return [
        *results,
        _owners(config),
        _changeable(config),
        _secrets(config),
        *room(config.gateway.state_dir),
        *_exports(config),
        _backups(config),
    ]


def _owners(config: Config) -> CheckResult:
    """What a command run as root left behind is not the gateway's, which then cannot write it."""
    title = "everything the gateway keeps belongs to its user"
    state = config.gateway.state_dir
    if not state.exists():
        return CheckResult("files.owner", title, Level.SKIP, "no state directory yet")
    owner = state.stat().st_uid
    found = [path for path in _kept(config) if _owner(path, owner) != owner]
    if found:
        names = " ".join(str(path) for path in found[:5])
        fix = f"chown {owner} {names}"
        return CheckResult("files.owner", title, Level.FAIL, f"{len(found)} of another user", "none", fix)
    if os.geteuid() == 0 and owner != 0:
        fix = "run it as the gateway's user: runuser -u USER -- veildesk doctor"
        return CheckResult("files.owner", title, Level.WARN, "looked at by root", "the gateway's user", fix)
    return CheckResult("files.owner", title, Level.OK)


def _kept(config: Config) -> Iterator[Path]:
    yield config.keys.ring
    # The agent's sockets come and go with whoever asks it.
    yield from (path for path in _below(config.keys.home) if not path.name.startswith("S."))
    yield from itertools.islice(_below(config.gateway.state_dir), _LOOKED_AT)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def _owner(path: Path, otherwise: int) -> int:
    try:
        return path.lstat().st_uid
    except OSError:
        return otherwise


def _changeable(config: Config) -> CheckResult:
    """Whoever may write in these folders may put another key or configuration in its place."""
    title = "nobody else may change the configuration or put other keys in place"
    folders = {config.base, config.gateway.state_dir.parent, config.keys.home.parent, config.keys.ring.parent}
    toml = sorted(config.base.glob("*.toml"))
    open_to_all = [path for path in (*sorted(folders), *toml) if _mode(path) & stat.S_IWOTH]
    found = [path for path in open_to_all if not _mode(path) & stat.S_ISVTX]
    return _named("files.changeable", title, found, "chmod o-w")


def _secrets(config: Config) -> CheckResult:
    title = "passwords and tokens are not for everybody on this machine"
    found = [path for path in dict.fromkeys(_secret_files(config)) if _mode(path) & stat.S_IRWXO]
    return _named("files.secrets", title, found, "chmod o=")


def _secret_files(config: Config) -> Iterator[Path]:
    if config.imap is not None:
        yield config.imap.password_file
    if config.outgoing is not None and config.outgoing.password_file is not None:
        yield config.outgoing.password_file
    if config.store is not None and config.store.password_file is not None:
        yield config.store.password_file
    if config.keys.intake.exists():
        yield config.keys.intake
    for backend in config.backends.values():
        yield from _of_backend(backend.settings, config.base)


def _of_backend(settings: Any, base: Path) -> Iterator[Path]:
    for key, value in settings.items():
        if key.endswith("_file") and not key.startswith("ca_") and isinstance(value, str):
            yield base / value


def _mode(path: Path) -> int:
    """0 for what is not there: whoever needs it says so."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _named(name: str, title: str, found: list[Path], command: str) -> CheckResult:
    if not found:
        return CheckResult(name, title, Level.OK)
    names = " ".join(str(path) for path in found[:5])
    return CheckResult(name, title, Level.FAIL, f"{len(found)} open to others", "none", f"{command} {names}")


def room(state: Path) -> list[CheckResult]:
    """Whether mail can still be kept: without room every sender is told to come again."""
    if not state.exists():
        return []
    free = shutil.disk_usage(state).free // 2**20
    space = os.statvfs(state)
    # Some file systems have no number of files (0 of 0).
    if space.f_files and space.f_favail < _FILES:
        fix = "remove files there: the file system has no room for names (inodes)"
        found = f"{space.f_favail} files"
        return [
            CheckResult("files.room", "there is room for mail", Level.FAIL, found, f"{_FILES} files", fix)
        ]
    level = Level.OK if free >= _ROOM else Level.WARN if free >= _LEAST_ROOM else Level.FAIL
    fix = "" if level is Level.OK else "free space there, or move state_dir to a larger disk"
    return [
        CheckResult("files.room", "there is room for mail", level, f"{free} MiB free", f"{_ROOM} MiB", fix)
    ]


def _exports(config: Config) -> list[CheckResult]:
    """Whether the folders that web servers serve can be written; their readers see old statements if not."""
    if config.notices is None or not config.notices.exports:
        return []
    title = "the folders of exported status pages can be written"
    folders = [Path(text.partition("=")[2] or text) for text in config.notices.exports]
    bad = [path for path in folders if not _writable((config.base / path).parent)]
    if not bad:
        return [CheckResult("files.exports", title, Level.OK)]
    fix = "give the gateway's user write access to the folders around " + " ".join(str(path) for path in bad)
    return [CheckResult("files.exports", title, Level.FAIL, f"{len(bad)} cannot", "all", fix)]


def _writable(folder: Path) -> bool:
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _backups(config: Config) -> CheckResult:
    title = "there is a fresh backup of store and keys"
    fix = "veildesk backup --bulk FOLDER --keys OTHER_FOLDER (docs/storage.md), every day"
    today = int(time.time()) // 86400
    days = {what: today - day for what, day in backed_up(config.gateway.state_dir).items()}
    if {"bulk", "keys"} - days.keys():
        missing = " and ".join(sorted({"bulk", "keys"} - days.keys()))
        return CheckResult("files.backup", title, Level.SKIP, f"none known of: {missing}", "fresh", fix)
    oldest = max(days.values())
    level = Level.OK if oldest <= _BACKUP_DAYS else Level.WARN
    found = f"{oldest} days old"
    return CheckResult(
        "files.backup", title, level, found, f"{_BACKUP_DAYS} days", "" if level is Level.OK else fix
    )
