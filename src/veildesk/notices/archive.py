"""Published notices: one clear-signed file each, numbered, each naming the hash of the one before.

A notice is written completely before it gets its name, and the name is taken only if it is free: two
operators publishing at once cannot fork the series.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.core.notice import Notice, PublishedNotice
from veildesk.core.ports import Clock, Engine
from veildesk.notices.text import notice_text, parse_notice_text

__all__ = ["NoticeDirectory", "NoticeRefused", "publish_notice"]

_log = logging.getLogger("veildesk.notices")
_NAME = re.compile(r"(\d{6})\.asc\Z")
_BODY = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [^\n]+\n)*\n(.*)\n-----BEGIN PGP SIGNATURE", re.S
)


class NoticeRefused(VeildeskError):
    """The notice cannot be published as things stand."""

    code = "notice-refused"
    public = "The notice was not published."
    exit_code = 1
    hint = "Read the published notices, then publish again."


class NoticeDirectory:
    """Implements `core.ports.NoticeArchive` on a folder of `NNNNNN.asc` files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def published(self) -> Sequence[PublishedNotice]:
        """All notices in order. A file that is not a notice is left out and logged."""
        notices = []
        if self._folder.is_dir():
            for path in sorted(self._folder.iterdir()):
                if _NAME.match(path.name):
                    with contextlib.suppress(ValueError):
                        notices.append(_read(path))
                        continue
                    _log.error("notice-unreadable number=%s", path.stem)
        return notices

    def add(self, number: int, signed_text: str) -> PublishedNotice:
        """Write a signed notice durably. Raises `NoticeRefused` if the number is taken."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        temporary = self._folder / f".{number:06d}.{os.getpid()}"
        target = self._folder / f"{number:06d}.asc"
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(signed_text)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)
        except FileExistsError:
            raise NoticeRefused("another notice took this number") from None
        finally:
            temporary.unlink(missing_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return _read(target)


async def publish_notice(
    notice: Notice, directory: NoticeDirectory, engine: Engine, signer: str, clock: Clock
) -> PublishedNotice:
    """Sign and publish. Raises `KeyUnusable` if the notice key cannot sign or does not verify."""
    before = directory.published()
    number = before[-1].number + 1 if before else 1
    previous = before[-1].sha256 if before else ""
    text = notice_text(number, clock.now(), notice, previous)
    signed = await engine.clearsign(text, signer)
    if _body(signed) != text.rstrip("\n"):
        raise KeyUnusable("the signed text is not the text that was to be signed")
    return directory.add(number, signed)


def _read(path: Path) -> PublishedNotice:
    raw = path.read_bytes()
    signed = raw.decode("utf-8")
    number, issued, notice, _ = parse_notice_text(_body(signed) + "\n")
    if number != int(path.stem):
        raise ValueError("the file's number is not the notice's")
    return PublishedNotice(
        number=number,
        issued=issued,
        notice=notice,
        signed_text=signed,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _body(signed: str) -> str:
    """The signed text inside a clear-signed file, dash-escaping undone (RFC 9580 § 7.1)."""
    match = _BODY.match(signed)
    if match is None:
        raise ValueError("not clear-signed")
    return "\n".join(line.removeprefix("- ") for line in match[1].split("\n"))
