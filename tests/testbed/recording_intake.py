"""An intake that keeps submissions in memory, knows repeated ones, and can be told to fail or to wait."""

from __future__ import annotations

import asyncio
from collections import deque

from veildesk.core.submission import Accepted, Submission

__all__ = ["RecordingIntake"]


class RecordingIntake:
    """A `veildesk.core.ports.Intake`.

    `kept` holds each submission once, by its dedup key; `calls` counts all. Errors in `failures` are
    raised one for each call. While `gate` is clear, every call waits.
    """

    def __init__(self) -> None:
        self.kept: dict[bytes, Submission] = {}
        self.calls = 0
        self.failures: deque[Exception] = deque()
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Condition()

    async def accept(self, submission: Submission) -> Accepted:
        """Keep a submission, or fail as told."""
        self.calls += 1
        await self._tell()
        await self.gate.wait()
        if self.failures:
            raise self.failures.popleft()
        fresh = submission.dedup not in self.kept
        self.kept.setdefault(submission.dedup, submission)
        await self._tell()
        name = submission.dedup.hex()
        return Accepted(f"m-{name}", f"t-{name}", fresh)

    @property
    def payloads(self) -> list[bytes]:
        """Payloads in order of arrival."""
        return [submission.payload for submission in self.kept.values()]

    async def wait_kept(self, count: int, seconds: float = 90.0) -> None:
        """Return when `count` different submissions are kept."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: len(self.kept) >= count)

    async def wait_calls(self, count: int, seconds: float = 90.0) -> None:
        """Return when `accept` was called `count` times."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: self.calls >= count)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
