"""Take agents' answers over from a helpdesk, each exactly once.

The position in the helpdesk is stored in the same commit as the answer; an answer seen again after a
crash has the same key and changes nothing.
"""

from __future__ import annotations

import logging

from veildesk.core.encoding import encode_reply
from veildesk.core.errors import WorkLost
from veildesk.core.ports import Backend, Spool
from veildesk.core.submission import dedup_key

__all__ = ["collect_replies"]

_log = logging.getLogger("veildesk.replies")


async def collect_replies(backend: Backend, spool: Spool, secret: bytes) -> int:
    """Poll once; returns how many answers were new. `secret` keys the deduplication digests.

    Raises `BackendUnavailable` or `BackendRefused`, with everything before the fault kept.
    """
    fresh = 0
    cursor = await spool.cursor(backend.name)
    async for reply in backend.replies(cursor):
        try:
            kept = await spool.collect(
                reply.thread,
                dedup_key(secret, b"reply", backend.name.encode(), reply.reply_id.encode()),
                {"reply": encode_reply(reply)},
                (backend.name, reply.cursor),
            )
        except WorkLost:
            # The ticket was erased meanwhile: nobody is left who could be answered.
            _log.warning("reply-without-ticket backend=%s", backend.name)
            if reply.cursor:
                await spool.set_cursor(backend.name, reply.cursor)
        else:
            fresh += kept.fresh
        await backend.acknowledge(reply)
    return fresh
