"""A signed receipt of lodging, only for who asks for it: it proves something to others, and against oneself.

Nothing of it is kept. It names no file and no time of day, only days, lengths and hashes.
"""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from veildesk.core.thread_entry import ThreadEntry
from veildesk.portal.site import SESSION_COST, Visit
from veildesk.portal.views.thread import OpenThread, opened_thread

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
    signed = await visit.site.ports.sign(_text(visit.site.settings.organisation, thread))
    return visit.file(signed.encode(), "text/plain; charset=utf-8", "receipt.asc")


def _text(organisation: str, thread: OpenThread) -> str:
    own = [entry for entry in thread.entries if entry is not None and entry.author == "user"]
    lines = [
        "Receipt of lodging",
        "",
        f"{organisation} received these messages through its portal and keeps them encrypted.",
        "SHA-256 is of the text as the ticket shows it (UTF-8, line ends LF) or of the file as it was added.",
    ]
    for number, entry in enumerate(own, 1):
        lines += ["", f"Message {number}, {entry.day} (UTC)", f"SHA-256 {_digest(entry)}"]
        lines += [f"File, {item.size} bytes, SHA-256 {item.sha256}" for item in entry.files]
    return "\n".join(lines) + "\n"


def _digest(entry: ThreadEntry) -> str:
    return hashlib.sha256(entry.text.encode("utf-8", "surrogatepass")).hexdigest()
