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
from veildesk.notices.heartbeat_file import HEARTBEAT_FILE
from veildesk.notices.identity import SECURITY_TXT

__all__ = [
    "DIRECTORY_KEY_FILE",
    "KEYS_FILE",
    "NEXT_KEY_FILE",
    "SUPPORT_KEY_FILE",
    "TRANSITION_FILES",
    "NoticeBoard",
    "verifier",
]

KEYS_FILE = "keys.asc"
SUPPORT_KEY_FILE, NEXT_KEY_FILE, DIRECTORY_KEY_FILE = "support.asc", "support-next.asc", "support.pgp"
TRANSITION_FILES = {role: f"transition-{role}.asc" for role in ("support", "notice")}
"""What says, signed by both, that one key replaces another."""
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
            keys=self._bytes(KEYS_FILE),
            verifier=verifier(),
            # Coarse, so that a site that does not change is not written again every minute.
            as_of=self._clock.now() // _COARSE * _COARSE if self._components else 0,
            support_key=self._bytes(SUPPORT_KEY_FILE),
            support_next=self._bytes(NEXT_KEY_FILE),
            directory_key=self._bytes(DIRECTORY_KEY_FILE),
            transitions={
                role: text
                for role, name in TRANSITION_FILES.items()
                if (text := self._text(name)) is not None
            },
        )

    def _bytes(self, name: str) -> bytes:
        with contextlib.suppress(OSError):
            return (self._folder / name).read_bytes()
        return b""

    def _text(self, name: str) -> str | None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self._folder / name).read_text(encoding="utf-8")
        return None


@cache
def verifier() -> bytes:
    """The program that people run who check the series themselves."""
    return files("veildesk.notices").joinpath("standalone", "verify-notices.py").read_bytes()
