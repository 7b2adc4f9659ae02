"""Pages that only tell something: first page, help, privacy, how to verify, after leaving."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from veildesk.portal.site import View, Visit
from veildesk.portal.views.status import active, read

__all__ = [
    "HELP_TOPICS",
    "discarded",
    "help_index",
    "help_topic",
    "home",
    "leave",
    "left",
    "privacy",
    "verify",
]

HELP_TOPICS: Final = ("writing-safely", "encrypted-mail", "answers")
"""Decision trees; each is one template and one page, nothing is sent while walking it."""


async def home(visit: Visit) -> Response:
    """Whom you reach here and what you can do."""
    incidents = await active(visit)
    return visit.page("home.html", fixed=not incidents, incidents=incidents)


async def help_index(visit: Visit) -> Response:
    """The list of help topics."""
    return visit.page("help.html", fixed=True)


def help_topic(topic: str) -> View:
    """The view of one decision tree."""

    async def view(visit: Visit) -> Response:
        return visit.page(f"help-{topic}.html", fixed=True)

    return view


async def verify(visit: Visit) -> Response:
    """Fingerprints, addresses and the commands that check them."""
    return visit.page("verify.html", shot=await read(visit))


async def privacy(visit: Visit) -> Response:
    """What is kept, how long, who sees it: from the settings in force."""
    return visit.page("privacy.html")


async def leave(visit: Visit) -> Response:
    """End the session and forget the cookie."""
    if visit.same_site():
        visit.site.sessions.drop(visit.visitor)
        visit.forget = True
    return visit.go("leave")


async def left(visit: Visit) -> Response:
    """What to do after the session ended."""
    return visit.page("leave.html")


async def discarded(visit: Visit) -> Response:
    """After a draft was thrown away."""
    return visit.page("discarded.html", unsure=visit.session().data.get("unsure") is True)
