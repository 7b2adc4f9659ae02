"""How the suite acts and looks in a helpdesk: as an agent does, and as somebody with its disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from veildesk.core.ports import Backend
from veildesk.core.ticket import Erased, File

__all__ = ["Desk", "DeskFactory"]


class Desk(Protocol):
    """A connector under test with its helpdesk. `erases` is what its `erase` answers when all is well."""

    backend: Backend
    erases: Erased

    async def texts(self, thread: str) -> list[str]:
        """Our messages in the ticket of a thread as agents read them, oldest first."""

    async def files(self, thread: str) -> list[bytes]:
        """Our attachments in that ticket, oldest first."""

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        """An agent answers in public: `html` instead of `text` when the tool can."""

    async def note(self, thread: str, text: str) -> None:
        """An agent writes a remark for colleagues; NotImplementedError where there is no such thing."""

    async def close_ticket(self, thread: str) -> None:
        """An agent closes the ticket; NotImplementedError where there is no such thing."""

    async def merge(self, thread: str, into: str) -> None:
        """An agent merges the ticket of `thread` into the other; NotImplementedError where nobody can."""

    async def is_open(self, thread: str) -> bool:
        """Whether agents see the ticket among the open ones."""

    def leftovers(self, needle: bytes) -> int:
        """How often `needle` stands in the helpdesk's database and files, deleted records included."""


class DeskFactory(Protocol):
    """What `--veildesk-backend` names: makes a desk in an empty folder and takes it down again."""

    def __call__(self, folder: Path) -> AbstractAsyncContextManager[Desk]:
        """A fresh desk; its server may be shared with other tests."""
