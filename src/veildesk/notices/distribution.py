"""Brings every published statement to every channel: at once, then again until it is there or given up.

Each channel has a ledger of its own, so one that fails holds up no other. The ledger survives a crash: a
statement is either marked as delivered after it was, or delivered again; channels make that harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from veildesk.core.errors import VeildeskError
from veildesk.core.notice import Board, PublishedNotice
from veildesk.core.ports import Clock
from veildesk.notices.archive import replace_file
from veildesk.notices.crashpoint import crashpoint

__all__ = ["Channel", "ChannelFailed", "Distribution", "Result"]

_log = logging.getLogger("veildesk.notices")
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600
_ATTEMPTS = 48
_WAIT_TENTHS = 300


class ChannelFailed(VeildeskError):
    """A channel did not take a statement; `detail` says why, without anyone's address."""

    code = "channel-failed"
    smtp_code = 451
    smtp_status = "4.3.0"
    public = "A channel did not take the notice; it will be tried again."
    temporary = True
    exit_code = 1
    hint = "Run 'veildesk notice channels' to see it, 'veildesk notice deliver' to try at once."


class Channel(Protocol):
    """One way to the public."""

    name: str
    seconds: float
    """Longest time one delivery may take."""

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """Deliver; the same statement again must do no harm. Returns what was done, for the operator.

        Raises `ChannelFailed`.
        """


@dataclass(frozen=True, slots=True)
class Result:
    """Where a statement stands in a channel. `state`: "delivered", "waiting" (tried again) or "failed"."""

    channel: str
    number: int
    state: str = "waiting"
    attempts: int = 0
    detail: str = ""
    at: int = 0
    again_at: int = 0


class Distribution:
    """`folder` holds the ledgers, one folder for each channel."""

    def __init__(self, folder: Path, channels: Sequence[Channel], clock: Clock) -> None:
        self._folder = folder
        self._channels = tuple(channels)
        self._clock = clock

    def prepare(self, newest: int) -> None:
        """Before publishing: from which number on each channel takes part, if it is new.

        Written first, so that a crash right after publishing loses no delivery.
        """
        for channel in self._channels:
            mark = self._folder / channel.name / "since"
            if not mark.exists():
                replace_file(mark, str(newest + 1).encode())

    async def run(self, board: Board, *, now_all: bool = False) -> list[Result]:
        """Deliver what is due, channels beside each other. `now_all` does not wait for the next try."""
        work = [self._channel(channel, board, now_all) for channel in self._channels]
        return [one for results in await asyncio.gather(*work) for one in results]

    def results(self, board: Board) -> list[Result]:
        """Where every statement stands, without doing anything."""
        return [
            self._read(channel.name, item.number)
            for channel in self._channels
            for item in self._taking_part(channel, board)
        ]

    async def _channel(self, channel: Channel, board: Board, now_all: bool) -> list[Result]:
        results = []
        async with _only_one(self._folder / channel.name) as free:
            for item in self._taking_part(channel, board):
                result = self._read(channel.name, item.number)
                wait = result.again_at - self._clock.now()
                # What lies further ahead than any pause was noted by a clock that was wrong.
                due = now_all or not 0 < wait <= _LONGEST_PAUSE
                if free and (result.state == "waiting" or (now_all and result.state == "failed")) and due:
                    result = await self._attempt(channel, item, board, result)
                results.append(result)
        return results

    async def _attempt(self, channel: Channel, item: PublishedNotice, board: Board, before: Result) -> Result:
        now = self._clock.now()
        attempts = before.attempts + 1
        try:
            async with asyncio.timeout(channel.seconds):
                detail = await channel.deliver(item, board)
            result = replace(before, state="delivered", attempts=attempts, detail=detail, at=now, again_at=0)
        except Exception as error:
            detail = error.detail if isinstance(error, VeildeskError) else type(error).__name__
            final = attempts >= _ATTEMPTS or (isinstance(error, VeildeskError) and not error.temporary)
            pause = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 10), _LONGEST_PAUSE)
            result = replace(
                before,
                state="failed" if final else "waiting",
                attempts=attempts,
                detail=detail,
                at=now,
                again_at=now + pause,
            )
            level = logging.ERROR if final else logging.WARNING
            _log.log(level, "channel-failed channel=%s number=%d final=%s", channel.name, item.number, final)
        body: dict[str, Any] = asdict(result)
        crashpoint("channel.done")
        replace_file(
            self._folder / channel.name / f"{item.number:06d}.json", json.dumps(body).encode(), 0o600
        )
        return result

    def _taking_part(self, channel: Channel, board: Board) -> list[PublishedNotice]:
        try:
            since = int((self._folder / channel.name / "since").read_text())
        except (OSError, ValueError):
            return []
        return [item for item in board.statements if item.number >= since]

    def _read(self, name: str, number: int) -> Result:
        try:
            return Result(**json.loads((self._folder / name / f"{number:06d}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return Result(name, number)


@contextlib.asynccontextmanager
async def _only_one(folder: Path) -> AsyncIterator[bool]:
    """Whether no other process is delivering to this channel, after waiting a little for one that is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("a") as lock:
        for _ in range(_WAIT_TENTHS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Another process' lock tells nobody when it is free.
                await asyncio.sleep(0.1)
            else:
                yield True
                return
        yield False
