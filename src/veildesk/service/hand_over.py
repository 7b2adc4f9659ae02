"""From the listener to the first stage without a way through the store.

What a listener keeps is durable in the store before anybody is told so, and the store's copy is the one that
counts: after a crash, in another process, or when it takes too long, a mail is read from there. But mostly a
worker takes it up at once, and then neither the payload nor what the check before the answer to DATA has
opened already needs to be made a second time. So both wait here, in memory, for a short time.

An opened mail is handed over only for exactly the bytes, envelope included, that it was read from.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import secrets
from dataclasses import dataclass, field

from veildesk.core.message import OpenedMessage
from veildesk.core.ports import Intake
from veildesk.core.submission import Accepted, Submission
from veildesk.core.work import Work

__all__ = ["HandOver", "Taken"]

_SECONDS = 30.0
_EACH = 256 * 1024
_TOGETHER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """A payload as the store keeps it, of a ticket that came with it; `message` if it was opened already.

    `ticket` is the ticket's id once it is known.
    """

    payload: bytes = field(repr=False)
    message: OpenedMessage | None = field(default=None, repr=False)
    ticket: str = ""

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        opened = self.message
        files = sum(len(one.content) for one in opened.attachments) if opened else 0
        return len(self.payload) + (len(opened.text) if opened else 0) + files


class HandOver:
    """`core.ports.Intake` for mail, in front of another one. `seconds` is how long anything waits here,
    `together` how many bytes at most; what does not fit is dropped, the oldest first."""

    def __init__(self, intake: Intake, *, seconds: float = _SECONDS, together: int = _TOGETHER) -> None:
        self._intake = intake
        self._seconds = seconds
        self._together = together
        self._held: dict[bytes | str, tuple[float, Taken]] = {}
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, payload: bytes, message: OpenedMessage) -> None:
        """What was read from `payload`, in case it is accepted next."""
        if len(payload) <= _EACH:
            self._hold(_digest(payload), Taken(payload, message))

    async def accept(self, submission: Submission) -> Accepted:
        """Keep a submission; see `core.ports.Intake`."""
        if submission.anchor is not None or len(submission.payload) > _EACH:
            return await self._intake.accept(submission)
        opened = self._drop(_digest(submission.payload))
        # It must be there before the commit: from then on a worker may ask for it.
        name = secrets.token_hex(16)
        self._hold(name, opened or Taken(submission.payload))
        try:
            accepted = await self._intake.accept(dataclasses.replace(submission, message_id=name))
        except BaseException:
            self._drop(name)
            raise
        if not accepted.fresh:
            self._drop(name)
        elif name in self._held:
            due, taken = self._held[name]
            self._held[name] = due, dataclasses.replace(taken, ticket=accepted.ticket_id)
        return accepted

    def take(self, work: Work) -> Taken | None:
        """What waits for this message, once; None when it has to be read from the store.

        So it is when another gateway had it meanwhile and moved it into a ticket that is not new.
        """
        taken = self._drop(work.message_id)
        moved = taken is not None and taken.ticket not in ("", work.ticket_id)
        return None if moved or work.attempts else taken

    @property
    def waiting(self) -> int:
        """How many payloads are held."""
        return len(self._held)

    # --------------------------------------------------------------- details
    def _hold(self, key: bytes | str, taken: Taken) -> None:
        self._drop(key)
        if taken.size > _EACH:
            return
        self._held[key] = asyncio.get_running_loop().time() + self._seconds, taken
        self._bytes += taken.size
        while self._bytes > self._together:
            self._drop(next(iter(self._held)))
        self._watch()

    def _drop(self, key: bytes | str) -> Taken | None:
        found = self._held.pop(key, None)
        if found is None:
            return None
        self._bytes -= found[1].size
        return found[1]

    def _watch(self) -> None:
        """Wake when the oldest has waited long enough."""
        if self._timer is None and self._held:
            due = next(iter(self._held.values()))[0]
            self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._drop(next(iter(self._held)))
        self._watch()


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()
