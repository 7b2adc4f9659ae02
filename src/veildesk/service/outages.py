"""Messages that wait because a helpdesk or the mail server was away go on as soon as it answers again.

Each message waits longer after each failed attempt, up to a quarter of an hour. Once the other side is back
nothing is gained by that: what waits for it is made due at once, and its gate lets it in piece by piece.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping

from veildesk.core.errors import WorkLost
from veildesk.core.ports import Spool
from veildesk.core.work import Direction, Reason, State, Work
from veildesk.service.erasure import split_place
from veildesk.service.parking import Parking

__all__ = ["Outages", "retry_all"]

_log = logging.getLogger("veildesk.service")
_MAIL_SERVER = ""
_AWAY = 3
_WAITS = {Direction.IN: Reason.BACKEND_DOWN, Direction.OUT: Reason.SEND_LATER}


async def retry_all(spool: Spool, parking: Parking, reason: Reason | None) -> int:
    """Bring back what is parked, and make due what waits, for a reason or for any; returns how many.

    What a person parked in a flood stays so unless that reason is named; what is held or quarantined is
    judged one by one. Raises `SpoolUnavailable`.
    """
    reasons = [reason] if reason is not None else [one for one in Reason if one is not Reason.OPERATOR]
    count = 0
    for work in await spool.listing([State.PARKED]):
        if work.reason in reasons:
            if reason is Reason.OPERATOR:
                parking.let_through(work.message_id)
            with contextlib.suppress(WorkLost, ValueError):
                await spool.retry(work.message_id)
                count += 1
    for one in reasons:
        count += await spool.hasten(one, None)
    return count


class Outages:
    """`helpdesks` maps each queue to its helpdesk; `routed` are those that routes choose, for any queue.

    Three failures in a row, with no success between, count as away: one message that the other side cannot
    digest fails alone, and must not be brought forward whenever another one went through.
    """

    def __init__(self, spool: Spool, helpdesks: Mapping[str, str], routed: Collection[str] = ()) -> None:
        self._spool = spool
        self._helpdesks = helpdesks
        self._routed = routed
        self._faults: Counter[str] = Counter()

    async def failed(self, work: Work, reason: Reason) -> None:
        """A message was postponed. Raises `SpoolUnavailable`."""
        if reason is _WAITS[work.direction] and (place := await self._place(work)) is not None:
            self._faults[place] += 1

    async def done(self, work: Work) -> None:
        """A message went all its way. Raises `SpoolUnavailable`."""
        if not self._faults.total():
            return
        place = await self._place(work)
        if place is not None and self._faults.pop(place, 0) >= _AWAY:
            await self._forward(place)

    async def answers(self, helpdesk: str) -> None:
        """A helpdesk answers that did not, or was not asked yet. Raises `SpoolUnavailable`."""
        self._faults.pop(helpdesk, None)
        await self._forward(helpdesk)

    async def _place(self, work: Work) -> str | None:
        """Who answered or did not: the ticket's helpdesk, or the mail server; an answer in a portal thread
        leaves by neither."""
        if work.direction is Direction.OUT:
            return None if await self._spool.anchor(work.ticket_id) is not None else _MAIL_SERVER
        known, _ = split_place(await self._spool.backend_ref(work.ticket_id) or "")
        return known or self._helpdesks.get(work.queue)

    async def _forward(self, place: str) -> None:
        if place == _MAIL_SERVER:
            count = await self._spool.hasten(Reason.SEND_LATER, None)
        else:
            of_it = [queue for queue, helpdesk in self._helpdesks.items() if helpdesk == place]
            queues = None if place in self._routed else of_it
            count = await self._spool.hasten(Reason.BACKEND_DOWN, queues)
        if count:
            _log.info("messages-brought-forward count=%d", count)
