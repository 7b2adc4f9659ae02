"""Did it help? Three choices, counted and forgotten; nothing of it hangs on a ticket."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from veildesk.portal.site import Visit

__all__ = ["feedback", "feedback_form", "thanks"]

CHOICES: Final = ("yes", "partly", "no")


async def feedback_form(visit: Visit) -> Response:
    """The question."""
    session = visit.session()
    if "ticket" not in session.data:
        return visit.page("ticket-gone.html", status=410)
    return visit.page("feedback.html", forms=("feedback",), choices=CHOICES)


async def feedback(visit: Visit) -> Response:
    """Count one answer of a session; to say nothing is fine."""
    form = await visit.form()
    session = visit.session()
    if visit.age(form, "feedback") is None or "ticket" not in session.data:
        return visit.page("ticket-gone.html", status=403)
    choice = form.get("helped")
    if choice in CHOICES and not session.data.get("rated"):
        await visit.site.ports.count(choice)
        session.data["rated"] = True
        visit.save(session)
    return visit.go("ticket/thanks")


async def thanks(visit: Visit) -> Response:
    """After the question."""
    return visit.page("thanks.html")
