"""All that a status page shows, read from the folder of notices."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from veildesk.core.notice import Board, PublishedNotice
from veildesk.core.ports import Clock
from veildesk.notices.archive import NoticeDirectory
from veildesk.notices.components import component_states
from veildesk.notices.heartbeat import HEARTBEAT_FILE
from veildesk.notices.identity import SECURITY_TXT

__all__ = ["KEYS_FILE", "NoticeBoard", "verifier"]

KEYS_FILE = "keys.asc"
_COARSE = 900


class NoticeBoard:
    """Implements `core.ports.NoticeArchive` on a folder. Needs no key and no gpg."""

    def __init__(self, folder: Path, components: Sequence[str], clock: Clock) -> None:
        self._directory = NoticeDirectory(folder)
        self._folder = folder
        self._components = tuple(components)
        self._clock = clock

    def published(self) -> tuple[PublishedNotice, ...]:
        """The series in order. Raises `NoticeRefused` if it is damaged."""
        return self._directory.published()

    def board(self) -> Board:
        """Everything. Raises `NoticeRefused` if the series is damaged."""
        return Board(
            statements=self._directory.published(),
            heartbeat=self._text(HEARTBEAT_FILE),
            components=component_states(self._folder, self._components, self._clock.now()),
            security_txt=self._text(SECURITY_TXT),
            keys=(self._text(KEYS_FILE) or "").encode(),
            verifier=verifier(),
            # Coarse, so that a site that does not change is not written again every minute.
            as_of=self._clock.now() // _COARSE * _COARSE if self._components else 0,
        )

    def _text(self, name: str) -> str | None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self._folder / name).read_text(encoding="utf-8")
        return None


@cache
def verifier() -> bytes:
    """The program that people run who check the series themselves."""
    return files("veildesk.notices").joinpath("standalone", "verify-notices.py").read_bytes()
