"""The published series: one clear-signed file each, numbered, each naming the hash of the one before.

A statement is written completely and synced before it gets its name, and the name is taken only if it
is free: two operators publishing at once, or a crash between any two steps, cannot fork the series.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from veildesk.core.errors import VeildeskError
from veildesk.core.notice import Identity, PublishedNotice
from veildesk.notices.crashpoint import crashpoint
from veildesk.notices.signing import signed_body
from veildesk.notices.text import parse_statement

__all__ = ["NoticeDirectory", "NoticeRefused", "replace_file", "sync_folder"]

_log = logging.getLogger("veildesk.notices")
_NAME = re.compile(r"(\d{6})\.asc\Z")
_SETTLED = 1_000_000_000
_TEMPORARY = re.compile(r"\.\d{6}\.\d+\Z")


class NoticeRefused(VeildeskError):
    """The notice cannot be published as things stand; `detail` says why and what to do."""

    code = "notice-refused"
    public = "The notice was not published."
    exit_code = 1
    hint = "Nothing was changed. 'veildesk notice list' shows what is published."


class NoticeDirectory:
    """A folder of `NNNNNN.asc` files. Reading costs nothing while nothing changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, int] | None = None
        self._statements: tuple[PublishedNotice, ...] = ()

    def published(self) -> tuple[PublishedNotice, ...]:
        """The series in order. Raises `NoticeRefused` if a file in it is missing or is no statement."""
        try:
            known = self.folder.stat()
        except FileNotFoundError:
            return ()
        stamp = (known.st_mtime_ns, known.st_ino)
        if stamp != self._seen:
            names = sorted(name for name in os.listdir(self.folder) if _NAME.match(name))
            self._statements = tuple(self._read(place, name) for place, name in enumerate(names, 1))
            # A change within the same tick of the file system's clock would go unseen.
            self._seen = stamp if time.time_ns() - known.st_mtime_ns > _SETTLED else None
        return self._statements

    def identity(self) -> Identity | None:
        """The list of official addresses and keys in force."""
        for item in reversed(self.published()):
            if isinstance(item.statement.content, Identity):
                return item.statement.content
        return None

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """One operator at a time. Raises `NoticeRefused` while another one is publishing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        with (self.folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NoticeRefused(
                    "someone else is publishing now; look at the list, then try again"
                ) from None
            self._clear()
            yield

    def add(self, number: int, signed_text: str) -> PublishedNotice:
        """Write a signed statement durably. Raises `NoticeRefused` if the number is taken."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        temporary = self.folder / f".{number:06d}.{os.getpid()}"
        target = self.folder / f"{number:06d}.asc"
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                crashpoint("notice.opened")
                file.write(signed_text)
                file.flush()
                crashpoint("notice.written")
                os.fsync(file.fileno())
            crashpoint("notice.synced")
            os.link(temporary, target)
            crashpoint("notice.named")
        except FileExistsError:
            raise NoticeRefused(
                "another statement took this number meanwhile; draft again after the one now published"
            ) from None
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(self.folder)
        crashpoint("notice.published")
        return self._read(number, target.name)

    def _read(self, place: int, name: str) -> PublishedNotice:
        try:
            raw = (self.folder / name).read_bytes()
            signed = raw.decode("utf-8")
            statement = parse_statement(signed_body(signed))
            if not statement.number == int(name[:6]) == place:
                raise ValueError("number")
        except (ValueError, OSError) as error:
            _log.error("notice-unreadable number=%d error=%s", place, type(error).__name__)
            raise NoticeRefused(
                f"statement {place} of the published series is missing or damaged; restore it from a channel "
                "that has it (such as the static export), then run 'veildesk notice verify'"
            ) from None
        return PublishedNotice(statement, signed, hashlib.sha256(raw).hexdigest())

    def _clear(self) -> None:
        """What a crash while writing left behind never had a name."""
        for name in os.listdir(self.folder):
            if _TEMPORARY.match(name):
                (self.folder / name).unlink(missing_ok=True)


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader, or a crash, sees the old or the new content and nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
