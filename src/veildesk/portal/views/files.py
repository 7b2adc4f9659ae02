"""Files that are the same for everybody: stylesheet, robots.txt."""

from __future__ import annotations

from starlette.responses import Response

from veildesk.portal.render import stylesheet
from veildesk.portal.site import Visit

__all__ = ["robots", "style"]


async def style(visit: Visit) -> Response:
    """The one stylesheet."""
    return visit.file(stylesheet()[1], "text/css; charset=utf-8")


async def robots(visit: Visit) -> Response:
    """Nothing here is for search engines."""
    return visit.file(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8")
