"""Files that are the same for everybody: public keys, stylesheet, robots.txt."""

from __future__ import annotations

from starlette.responses import Response

from veildesk.portal.render import stylesheet
from veildesk.portal.site import Visit

__all__ = ["notices_key", "robots", "style", "support_key"]


async def support_key(visit: Visit) -> Response:
    """The public key to which mail is encrypted and by which answers are signed."""
    return visit.file(visit.site.settings.support_key, "application/pgp-keys", "support.asc")


async def notices_key(visit: Visit) -> Response:
    """The public key that signs notices."""
    return visit.file(visit.site.settings.notices_key, "application/pgp-keys", "notices.asc")


async def style(visit: Visit) -> Response:
    """The one stylesheet."""
    return visit.file(stylesheet()[1], "text/css; charset=utf-8")


async def robots(visit: Visit) -> Response:
    """Nothing here is for search engines."""
    return visit.file(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8")
