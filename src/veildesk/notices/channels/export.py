"""A folder of static files for a web server: complete and consistent at every moment.

The folder's name is a symbolic link; a new release is written beside it and the link is switched. A crash
leaves the old release in place and at most an unfinished one beside it, which the next export removes.
Gateway, status site and command line may write one folder at the same time: each takes its lock and makes the
files only then, so that nobody puts older ones in the place of newer ones.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from veildesk.core.errors import VeildeskError
from veildesk.core.notice import Board, PublishedNotice
from veildesk.notices.archive import sync_folder
from veildesk.notices.crashpoint import crashpoint
from veildesk.notices.distribution import ChannelFailed

__all__ = ["ExportChannel", "OnionChannel", "Render", "export_tree"]

Render = Callable[[Board | None], Mapping[str, bytes]]
_DIGEST = ".digest"
_PATIENCE = 60.0


def export_tree(files: Mapping[str, bytes] | Callable[[], Mapping[str, bytes]], target: Path) -> bool:
    """Make `target` show exactly these files, or those that the call makes. False if it does so already.

    Waits while another process writes there, but not for ever: that one may be stopped. Raises
    `ChannelFailed` then, and when something else stands in its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # To lock takes no right to write: the lock may have been made by somebody else.
    lock = os.open(target.parent / f".{target.name}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(lock)
        return _export(files() if callable(files) else files, target)
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ChannelFailed("another process has been writing there for a minute") from None
            # Another process' lock tells nobody when it is free.
            time.sleep(0.05)


def _export(files: Mapping[str, bytes], target: Path) -> bool:
    digest = _digest(files)
    if target.is_symlink() and _read(target / _DIGEST) == digest:
        return False
    if target.exists() and not target.is_symlink():
        try:
            target.rmdir()
        except OSError:
            raise ChannelFailed("the export folder exists and is not ours; move it away") from None
    prefix = f".{target.name}.release-"
    kept = target.readlink().name if target.is_symlink() else ""
    olds = [path for path in target.parent.iterdir() if path.name.startswith(prefix)]
    number = 1 + max((_number(path.name) for path in olds), default=0)
    release = target.parent / f"{prefix}{number}"
    release.mkdir(mode=0o755)
    crashpoint("export.begun")
    _write(release, {**files, _DIGEST: digest})
    crashpoint("export.written")
    link = target.parent / f".{target.name}.link"
    link.unlink(missing_ok=True)
    link.symlink_to(release.name)
    link.replace(target)
    sync_folder(target.parent)
    crashpoint("export.switched")
    for old in olds:
        # Readers in the middle of the release before may finish.
        if old.name != kept:
            shutil.rmtree(old, ignore_errors=True)
    return True


class ExportChannel:
    """Writes the whole status site into one folder. `latest` reads the series as it is at that moment."""

    seconds = 120.0

    def __init__(
        self, name: str, target: Path, render: Render, latest: Callable[[], Board] | None = None
    ) -> None:
        self.name = name
        self.target = target
        self._render = render
        self._latest = latest

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """See `Channel.deliver`."""
        await asyncio.to_thread(self.write, board)
        written = _read(self.target / "status" / f"{item.number}.asc")
        if written != item.signed_text.encode():
            raise ChannelFailed("what was written is not what was signed")
        return "exported"

    def write(self, board: Board | None) -> None:
        """Write the site; None stands for a series that cannot be read. Raises `ChannelFailed`."""
        try:
            export_tree(lambda: self._render(self._newest(board)), self.target)
        except OSError as error:
            raise ChannelFailed(f"the folder cannot be written ({error.strerror})") from None

    def _newest(self, board: Board | None) -> Board | None:
        """Somebody may have published since `board` was read."""
        if self._latest is None:
            return board
        try:
            return self._latest()
        except (VeildeskError, OSError):
            return board


class OnionChannel(ExportChannel):
    """The status site's own folder, and a look through its socket that it serves the exact bytes."""

    def __init__(
        self, target: Path, render: Render, path: Path, host: str, latest: Callable[[], Board] | None = None
    ) -> None:
        super().__init__("onion", target, render, latest)
        self._socket = path
        self._host = host

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """See `Channel.deliver`."""
        await super().deliver(item, board)
        try:
            body = await asyncio.to_thread(_fetch, self._socket, self._host, f"/status/{item.number}.asc")
        except (OSError, http.client.HTTPException):
            raise ChannelFailed(
                "the status site does not answer; start it with 'veildesk status-site run'"
            ) from None
        if body != item.signed_text.encode():
            raise ChannelFailed("the status site does not serve the signed text")
        return "served by the status site"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


def _fetch(path: Path, host: str, target: str) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", target, headers={"Host": host})
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else b""
    finally:
        connection.close()


def _write(release: Path, files: Mapping[str, bytes]) -> None:
    folders = {release}
    for name, content in files.items():
        if name.startswith("/") or ".." in name.split("/"):
            raise ChannelFailed("a file name that leads out of the folder")
        path = release / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        folders.add(path.parent)
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o644)
    for folder in folders:
        folder.chmod(0o755)
        sync_folder(folder)


def _digest(files: Mapping[str, bytes]) -> bytes:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return total.hexdigest().encode()


def _number(name: str) -> int:
    found = re.search(r"-(\d+)\Z", name)
    return int(found[1]) if found else 0


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
