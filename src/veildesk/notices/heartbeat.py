"""Heartbeats: "nothing newer was published", signed on a schedule by a key that is good for nothing else.

They let the notice key stay offline: readers see that silence is silence and not a withheld notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from veildesk.core.errors import KeyUnusable
from veildesk.core.notice import Heartbeat, Kind
from veildesk.core.ports import Clock, Engine
from veildesk.notices.archive import NoticeDirectory, NoticeRefused, replace_file
from veildesk.notices.heartbeat_file import HEARTBEAT_FILE, last_heartbeat
from veildesk.notices.lost_end import refuse_lost_end
from veildesk.notices.signing import sign_text
from veildesk.notices.text import heartbeat_text

__all__ = ["beat", "beat_due"]

_WAIT_TENTHS = 300


def beat_due(directory: NoticeDirectory, now: int, hours: int) -> bool:
    """Whether it is time: the last one is old, or something was published since."""
    series = directory.published()
    last = last_heartbeat(directory.folder)
    if not series:
        return False
    return last is None or last.head_sha256 != series[-1].sha256 or now >= last.issued + hours * 3600


async def beat(
    directory: NoticeDirectory,
    engine: Engine,
    key: str,
    clock: Clock,
    hours: int,
    copies: Sequence[Path] = (),
) -> str:
    """Sign the next heartbeat and put it in place; returns the clear-signed text.

    Raises `NoticeRefused` if the list in force does not name `key`, the clock cannot be right or another
    process does not come to an end with it, or what was published is gone here, and `KeyUnusable` if the key
    cannot sign.
    """
    async with _alone(directory.folder):
        series = directory.published()
        refuse_lost_end(directory, copies)
        lists = [item for item in series if item.kind is Kind.IDENTITY]
        identity = directory.identity()
        if identity is None or identity.heartbeat_key != key:
            raise NoticeRefused(
                "the list of official addresses does not name this heartbeat key; 'veildesk identity publish'"
            )
        last, now = last_heartbeat(directory.folder), clock.now() // 60 * 60
        if (last is not None and now < last.issued) or now < series[-1].issued:
            raise NoticeRefused("the clock is behind the newest heartbeat or statement; set it right")
        status = await engine.certificate_status(await engine.export(key))
        until = min(now + 2 * hours * 3600, lists[-1].statement.valid_until)
        if status.expires is not None:
            until = min(until, status.expires // 60 * 60)
        if until <= now:
            raise KeyUnusable(
                "the heartbeat key or the list that names it is over; 'veildesk identity publish'"
            )
        text = heartbeat_text(
            Heartbeat(
                number=last.number + 1 if last else 1,
                issued=now,
                next_by=until,
                head_number=series[-1].number,
                head_sha256=series[-1].sha256,
            )
        )
        signed = await sign_text(text, engine, [key])
        replace_file(directory.folder / HEARTBEAT_FILE, signed.encode())
    return signed


@contextlib.asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """One process at a time. Whoever has the lock may be stopped, and the event loop serves others."""
    with (folder / ".heartbeat-lock").open("a") as lock:
        for _ in range(_WAIT_TENTHS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Another process' lock tells nobody when it is free.
                await asyncio.sleep(0.1)
            else:
                yield
                return
    raise NoticeRefused("another process has been making a heartbeat for long; look for one that is stopped")
