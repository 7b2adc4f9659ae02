"""A store with a bit of everything in it, and a description of its content that two stores can share."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import Reason, State
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool

__all__ = ["content", "fill", "open_store"]


async def open_store(root: Path, database: str | None = None, **options: Any) -> SqlSpool:
    """Open the store under `root`; makes ring and tables the first time."""
    path = root / "ring"
    ring = KeyRing.load(path) if path.exists() else KeyRing.create(path)
    options.setdefault("min_free", 0)
    return await SqlSpool.open(root / "state", ring, SystemClock(), 30, database=database, **options)


async def fill(spool: SqlSpool) -> dict[str, str]:
    """Mails small and large in several states, a portal thread, an answer; ticket ids by name."""
    tickets = {}
    for name, size in (("small", 500), ("large", 400_000), ("parked", 900), ("waiting", 700)):
        submission = Submission(Channel.SMTP, name.encode().ljust(32, b"."), name.encode() * size)
        tickets[name] = (await spool.accept(submission)).ticket_id
    anchor = PortalAnchor(b"l" * 32, secrets.token_bytes(1217))
    for number in range(3):
        post = Submission(
            Channel.PORTAL,
            b"post%d" % number + bytes(27),
            b"entry",
            anchor=anchor,
            thread_entry=b"entry %d" % number,
        )
        tickets["portal"] = (await spool.accept(post)).ticket_id
    await spool.collect(tickets["small"], b"answer".ljust(32), {"reply": b"answer"}, ("desk", "17"))
    states = [State.ACCEPTED, State.COLLECTED]
    for work in await spool.claim(states, limit=9):
        if work.ticket_id == tickets["parked"]:
            await spool.advance(work, State.PARKED, reason=Reason.BACKEND)
        elif work.ticket_id == tickets["large"]:
            work = await spool.advance(work, State.DELIVERING, parts={"entry": b"e" * 300_000})
            await spool.postpone(work, Reason.BACKEND_DOWN, 0)
        elif work.ticket_id == tickets["small"] and work.state is State.ACCEPTED:
            work = await spool.advance(
                work, State.DELIVERING, ticket_parts={"contact": b"c"}, backend_ref="desk/4", marker=b"m" * 32
            )
            await spool.advance(work, State.DELIVERED, parts={"raw": None})
        else:
            await spool.release(work)
    return tickets


async def content(spool: SqlSpool) -> dict[str, Any]:
    """Everything that can be asked of a store, in a form that can be compared."""
    found: dict[str, Any] = {
        "cursor": await spool.cursor("desk"),
        "marker": await spool.find_by_marker(b"m" * 32),
    }
    for work in await spool.listing():
        parts = {name: await spool.part(work.message_id, name) for name in ("raw", "entry", "reply", "wire")}
        contact = await spool.ticket_part(work.ticket_id, "contact")
        found[work.message_id] = (work, parts, contact, await spool.backend_ref(work.ticket_id))
    view = await spool.thread(b"l" * 32)
    found["thread"] = view.entries if view else None
    return found
