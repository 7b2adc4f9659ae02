"""A signed receipt of lodging, only for who asks for it: it proves something to others, and against oneself.

Nothing of it is kept. It names no file and no time of day, only days, lengths and hashes.
"""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from veildesk.core.portal_receipts import LodgedFile, LodgedMessage
from veildesk.core.thread_entry import ThreadEntry
from veildesk.portal.site import SESSION_COST, Visit
from veildesk.portal.views.thread import OpenThread, decode_keys, opened_thread

__all__ = ["proof", "proof_file"]


async def proof(visit: Visit) -> Response:
    """What such a receipt shows, before anybody has one."""
    if await opened_thread(visit) is None:
        return visit.page("ticket-gone.html", status=410)
    return visit.page("proof.html")


async def proof_file(visit: Visit) -> Response:
    """The receipt, clear-signed with the support key."""
    thread = await opened_thread(visit)
    if thread is None:
        return visit.page("ticket-gone.html", status=410)
    visit.spend(SESSION_COST)
    keys = decode_keys(visit.session().data["ticket"])
    signed = await visit.site.ports.receipts.lodging(keys.lookup_id, _lodged(thread))
    return visit.file(signed.encode(), "text/plain; charset=utf-8", "receipt.asc")


def _lodged(thread: OpenThread) -> list[LodgedMessage]:
    """The user's own messages as a receipt names them."""
    return [
        LodgedMessage(
            entry.day,
            _digest(entry),
            tuple(LodgedFile(item.size, bytes.fromhex(item.sha256)) for item in entry.files),
        )
        for entry in thread.entries
        if entry is not None and entry.author == "user"
    ]


def _digest(entry: ThreadEntry) -> bytes:
    return hashlib.sha256(entry.text.encode("utf-8", "surrogatepass")).digest()
