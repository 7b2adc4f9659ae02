"""Signed incident notices: the page people read and the exact files they verify."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from veildesk.core.notice import Impact, IncidentState, PublishedNotice
from veildesk.core.ports import NoticeArchive
from veildesk.portal.feed import atom
from veildesk.portal.render import moment
from veildesk.portal.site import Visit

__all__ = ["Incident", "active", "feed", "incidents", "index", "notice", "notice_file", "status"]

_log = logging.getLogger("veildesk.portal")

_WORST: Final = (Impact.NONE, Impact.MINOR, Impact.MAJOR, Impact.CRITICAL)
_OVER: Final = (IncidentState.RESOLVED, IncidentState.POSTMORTEM)


@dataclass(frozen=True, slots=True)
class Incident:
    """All notices of one title, newest first."""

    title: str
    notices: tuple[PublishedNotice, ...]

    @property
    def latest(self) -> PublishedNotice:
        """The newest notice."""
        return self.notices[0]

    @property
    def over(self) -> bool:
        """Whether the newest notice says that it is over."""
        return self.latest.notice.state in _OVER


def incidents(published: Sequence[PublishedNotice]) -> list[Incident]:
    """Notices grouped by title, the incident with the newest notice first."""
    grouped: dict[str, list[PublishedNotice]] = {}
    for item in sorted(published, key=lambda item: item.number, reverse=True):
        grouped.setdefault(item.notice.title, []).append(item)
    return [Incident(title, tuple(items)) for title, items in grouped.items()]


def _read(archive: NoticeArchive) -> list[Incident] | None:
    """All incidents, or None when the archive cannot be read: never "all is well" by mistake."""
    try:
        return incidents(archive.published())
    except Exception as error:
        _log.error("notices-unreadable error=%s", type(error).__name__)
        return None


def active(archive: NoticeArchive) -> list[Incident]:
    """Incidents that are not over."""
    return [incident for incident in _read(archive) or () if not incident.over]


def _summary(known: Sequence[Incident] | None) -> str:
    if known is None:
        return "unknown"
    going_on = [incident.latest.notice.impact for incident in known if not incident.over]
    return max(going_on, key=_WORST.index).value if going_on else "none"


async def status(visit: Visit) -> Response:
    """What is going on now and what was."""
    known = _read(visit.site.ports.notices)
    return visit.page(
        "status.html",
        summary=_summary(known),
        going_on=[incident for incident in known or () if not incident.over],
        over=[incident for incident in known or () if incident.over],
    )


def _find(visit: Visit) -> PublishedNotice:
    number = visit.request.path_params["number"]
    for item in visit.site.ports.notices.published():
        if item.number == number:
            return item
    raise HTTPException(404)


async def notice(visit: Visit) -> Response:
    """One notice, the user's action first."""
    item = _find(visit)
    related = [
        other
        for other in visit.site.ports.notices.published()
        if other.notice.title == item.notice.title and other.number != item.number
    ]
    return visit.page("notice.html", item=item, related=sorted(related, key=lambda other: -other.number))


async def notice_file(visit: Visit) -> Response:
    """The clear-signed text, byte for byte."""
    return visit.file(_find(visit).signed_text.encode(), "text/plain; charset=utf-8")


async def index(visit: Visit) -> Response:
    """The same as JSON, for programs."""
    known = _read(visit.site.ports.notices)
    body = {
        "v": 1,
        "summaryStatus": _summary(known),
        "notices": [
            {
                "number": item.number,
                "issued": moment(item.issued),
                "title": item.notice.title,
                "state": item.notice.state.value,
                "impact": item.notice.impact.value,
                "signed": f"/status/{item.number}.asc",
                "sha256": item.sha256,
            }
            for incident in known or ()
            for item in incident.notices
        ],
    }
    body["notices"].sort(key=lambda item: -item["number"])  # type: ignore[attr-defined]
    return visit.file(json.dumps(body, ensure_ascii=False, indent=1).encode(), "application/json")


async def feed(visit: Visit) -> Response:
    """The same as an Atom feed."""
    settings = visit.site.settings
    content = atom(
        visit.site.ports.notices.published(),
        title=settings.organisation,
        fingerprint=settings.notices_fingerprint,
    )
    return visit.file(content, "application/atom+xml; charset=utf-8")
