"""A file that came with an answer, opened piece by piece while it is given out.

At most one piece is open for each download, and few downloads run at the same time: memory stays bounded
however large the files are and however slowly they are taken.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from veildesk.core.errors import AuthenticationFailed, SpoolUnavailable
from veildesk.core.ports import ThreadKeys
from veildesk.core.thread_entry import ThreadFile
from veildesk.portal.directions import undirected
from veildesk.portal.site import SESSION_COST, Overloaded, Site, Visit
from veildesk.portal.views.thread import OpenThread, decode_keys, opened_thread

__all__ = ["answer_file", "disposition"]

_SLICE: Final = 64 * 1024
_BUSY_SECONDS: Final = 30


async def answer_file(visit: Visit) -> Response:
    """Give out one file of one answer."""
    thread = await opened_thread(visit)
    if thread is None:
        return visit.page("ticket-gone.html", status=410)
    file = _find(thread, **visit.request.path_params)
    if file is None:
        raise HTTPException(404)
    if visit.site.downloading >= visit.site.settings.downloads:
        raise Overloaded(_BUSY_SECONDS)
    visit.spend(SESSION_COST)
    keys = decode_keys(visit.session().data["ticket"])
    # Before anything is sent: what is missing or damaged becomes an error page, not a short file.
    first = await _piece(visit.site, keys, file, 0)
    return _Download(visit.site, keys, file, first)


def _find(thread: OpenThread, number: int, item: int) -> ThreadFile | None:
    entry = thread.entries[number - 1] if 0 < number <= len(thread.entries) else None
    if entry is None or entry.author != "support" or not 0 < item <= len(entry.files):
        return None
    file = entry.files[item - 1]
    return file if file.pieces else None


async def _piece(site: Site, keys: ThreadKeys, file: ThreadFile, number: int) -> bytes:
    sealed = await site.ports.threads.thread_piece(keys.lookup_id, file.place, number)
    if sealed is None:
        raise SpoolUnavailable("file-gone")
    try:
        return site.ports.cipher.open_piece(file.key, number, file.pieces, sealed)
    except AuthenticationFailed:
        raise SpoolUnavailable("file-damaged") from None


class _Download(StreamingResponse):
    """The file as a download, never shown by the browser itself."""

    def __init__(self, site: Site, keys: ThreadKeys, file: ThreadFile, first: bytes) -> None:
        self._site = site
        headers = {
            "content-type": "application/octet-stream",
            "content-disposition": disposition(file.name),
            "content-length": str(file.size),
        }
        super().__init__(_content(site, keys, file, first), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count this download in and out."""
        self._site.downloading += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._site.downloading -= 1


async def _content(site: Site, keys: ThreadKeys, file: ThreadFile, piece: bytes) -> AsyncIterator[bytes]:
    """The content without its padding, in slices."""
    left = file.size
    for number in range(file.pieces):
        if number:
            piece = await _piece(site, keys, file, number)
        whole = piece[:left]
        for start in range(0, len(whole), _SLICE):
            yield whole[start : start + _SLICE]
        left -= len(whole)


def disposition(name: str) -> str:
    """A `Content-Disposition` for any name: plain ASCII, and the name itself (RFC 6266, RFC 8187)."""
    name = undirected(name)
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "file"
    if plain == name:
        return f'attachment; filename="{plain}"'
    coded = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"
