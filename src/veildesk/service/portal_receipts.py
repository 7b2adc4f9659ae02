"""Receipts of the portal, signed with support's key. The texts are made here; only parameters come in."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from veildesk.core.errors import SpoolUnavailable
from veildesk.core.portal_receipts import LodgedMessage, deletion_text, lodging_text
from veildesk.core.ports import Clock
from veildesk.core.ticket import Erasure
from veildesk.portal.ports import Threads

__all__ = ["SupportReceipts"]

_OLDEST: Final = 3660
_LARGEST: Final = 1 << 30
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class SupportReceipts:
    """`veildesk.portal.ports.Receipts`. `sign` clear-signs with support's key.

    The gateway cannot open a thread, so the hashes of a receipt of lodging are the portal's word; that the
    ticket is there, has so many messages and can be of these days is looked at here.
    """

    organisation: str
    sign: Callable[[str], Awaitable[str]]
    threads: Threads
    erasure: Callable[[str], Awaitable[Erasure | None]]
    clock: Clock

    async def lodging(self, lookup_id: bytes, messages: Sequence[LodgedMessage]) -> str:
        """Sign a receipt of lodging. Raises `SpoolUnavailable` for what cannot be true."""
        view = await self.threads.thread(lookup_id)
        if view is None or not 0 < len(messages) <= len(view.entries):
            raise SpoolUnavailable("receipt-of-nothing")
        if not all(self._possible(message) for message in messages):
            raise SpoolUnavailable("receipt-not-possible")
        return await self.sign(lodging_text(self.organisation, messages))

    def _possible(self, message: LodgedMessage) -> bool:
        today = datetime.datetime.fromtimestamp(self.clock.now(), datetime.UTC).date()
        try:
            day = datetime.date.fromisoformat(message.day)
        except ValueError:
            return False
        # The length too: Python reads other forms of a date than the one that is written into receipts.
        sound = len(message.day) == 10 and 0 <= (today - day).days <= _OLDEST
        digests = [message.sha256, *(item.sha256 for item in message.files)]
        return (
            sound
            and all(len(digest) == _DIGEST for digest in digests)
            and all(0 <= item.size < _LARGEST for item in message.files)
        )

    async def deletion(self, code: str) -> str | None:
        """Sign a receipt of a deletion, None when there is none with this code."""
        job = await self.erasure(code)
        return None if job is None else await self.sign(deletion_text(self.organisation, code, job))
