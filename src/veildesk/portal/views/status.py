"""Signed statements: the pages people read and the exact files they verify."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from veildesk.core.notice import Notice
from veildesk.portal.site import View, Visit
from veildesk.portal.snapshot import Incident, Snapshot, snapshot
from veildesk.portal.status_files import FILES, media_type

__all__ = [
    "active",
    "file",
    "history",
    "read",
    "signed",
    "statement",
    "statement_page",
    "status",
    "subscribe",
]

_log = logging.getLogger("veildesk.portal")


async def read(visit: Visit) -> Snapshot:
    """What there is to say; a series that cannot be read is "unknown", never "all is well"."""
    ports = visit.site.ports
    try:
        await ports.refresh()
        return snapshot(ports.notices.board())
    except Exception as error:
        _log.error("notices-unreadable error=%s", type(error).__name__)
        return snapshot(None)


async def active(visit: Visit) -> list[Incident]:
    """Incidents that are not over."""
    return (await read(visit)).going_on


async def status(visit: Visit) -> Response:
    """What is going on now and what was."""
    return visit.page("status.html", shot=await read(visit))


async def history(visit: Visit) -> Response:
    """Everything that was published."""
    return visit.page("history.html", shot=await read(visit))


def statement_page(shot: Snapshot, number: int) -> tuple[str, dict[str, Any]] | None:
    """Template and values of the page of one statement, None if there is none."""
    item = shot.find(number)
    if item is None:
        return None
    if isinstance(item.statement.content, Notice):
        return "notice.html", {"item": item, "related": shot.story(number)}
    return "statement.html", {"item": item}


async def statement(visit: Visit) -> Response:
    """One statement, the user's action first."""
    found = statement_page(await read(visit), visit.request.path_params["number"])
    if found is None:
        raise HTTPException(404)
    return visit.page(found[0], **found[1])


async def signed(visit: Visit) -> Response:
    """The clear-signed text, byte for byte."""
    item = (await read(visit)).find(visit.request.path_params["number"])
    if item is None:
        raise HTTPException(404)
    return visit.file(item.signed_text.encode(), "text/plain; charset=utf-8")


def file(path: str) -> View:
    """The view of one of `status_files.FILES`."""

    async def view(visit: Visit) -> Response:
        content = FILES[path](visit.site.settings, await read(visit))
        if content is None:
            raise HTTPException(404)
        name = path.rpartition("/")[2] if path.startswith("keys/") or path.endswith(".py") else None
        return visit.file(content, media_type(path), name)

    return view


async def subscribe(visit: Visit) -> Response:
    """How to get notices by mail: a token to mail in; no address is ever asked for."""
    offer = visit.site.ports.subscription
    if offer is None:
        return visit.page("subscribe.html", address=None, token=None)
    return visit.page("subscribe.html", address=visit.site.settings.notices_address, token=await offer())
