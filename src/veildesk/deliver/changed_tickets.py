"""Answers in helpdesks that only tell which tickets changed since a time: znuny, zammad, redmine.

The position is a time. It moves on only with the last answer, since a ticket that changed earlier may hold a
later answer, and it stays where it is while a ticket cannot be read: one such must hold up nobody else's
answers, and must not be passed over either.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from veildesk.core.errors import BackendRefused
from veildesk.core.ticket import AgentReply

__all__ = ["START", "answers_in_order", "since"]

_log = logging.getLogger("veildesk.deliver")
_OVERLAP: Final = timedelta(seconds=60)
START: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""Before anything."""
Read = Callable[[str], Awaitable[tuple[datetime, list[AgentReply]]]]


def since(position: datetime) -> datetime:
    """From when on to look: a little before the position, because clocks and commits overlap."""
    return max(position - _OVERLAP, START)


async def answers_in_order(
    backend: str,
    cursor: str | None,
    position: datetime,
    refs: Iterable[str],
    read: Read,
    write: Callable[[datetime], str],
) -> AsyncIterator[AgentReply]:
    """All answers in the tickets `refs`, by number, then one without a thread that moves the position on.

    `read` gives when a ticket changed and its answers, whose ids are whole numbers; `write` makes a cursor of
    a time.
    """
    found: list[AgentReply] = []
    unread = False
    for ref in refs:
        try:
            changed, answers = await read(ref)
        except BackendRefused as error:
            _log.error("ticket-unreadable backend=%s reason=%s", backend, error.detail)
            unread = True
            continue
        position = max(position, changed)
        found += answers
    for answer in sorted(found, key=lambda one: int(one.reply_id)):
        yield dataclasses.replace(answer, cursor=cursor or "")
    yield AgentReply("", "", (cursor or "") if unread else write(position), "")
