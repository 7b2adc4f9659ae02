"""A `Cleaner` without a sandbox: the same cleaning in this process, for tests of other parts.

Not for hostile files: it has no limits of memory or time, and it says so in `check`. PDF is refused.
"""

from __future__ import annotations

import asyncio

from veildesk.attachments.assemble import assemble, refuse
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.texts import declared_charset
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request
from veildesk.core.ports import Cleaned
from veildesk.core.ticket import CheckResult, Level

__all__ = ["InProcessCleaner"]


class InProcessCleaner:
    """Same answers as the sandboxed one, with nothing around it."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        """Clean one file in a thread; never raises for its content."""
        if len(content) > self._bounds.input_size:
            return refuse(name, Refusal.TOO_LARGE)
        request = Request(bytes(content), declared_charset(media_type), self._bounds)
        item = await asyncio.to_thread(treat, request)
        return assemble(name, item, self._bounds)

    async def check(self) -> list[CheckResult]:
        """Always a failure: there is no sandbox here."""
        title = "Attachments are cleaned in a sandbox"
        return [CheckResult("attachments-sandbox", title, Level.FAIL, "no sandbox at all", "bubblewrap")]
