"""What became of a deletion, by the code that its author was given: no ticket and no words.

An unknown code and one whose days are over get the same page. A signed receipt is made only for who presses
for it on a page that says what it proves; nothing of it is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from veildesk.core.ticket import Erasure
from veildesk.portal.site import SESSION_COST, Overloaded, Visit

__all__ = ["erasure", "erasure_form", "erasure_receipt", "erasure_state"]


async def erasure_form(visit: Visit) -> Response:
    """The form for the code."""
    return visit.page("erasure.html", forms=("erasure",), mistake=None)


async def erasure(visit: Visit) -> Response:
    """Take a code; what it leads to is a page that can be gone back to and looked at again."""
    code = await _code(visit)
    if isinstance(code, Response):
        return code
    session = visit.session()
    session.data["erasure"] = code
    visit.save(session)
    return visit.go("erasure/state")


async def erasure_state(visit: Visit) -> Response:
    """What is gone, what was asked for, and what could not be erased and why."""
    code = visit.session().data.get("erasure")
    if code is None:
        return await erasure_form(visit)
    job = await visit.site.ports.erasure(code)
    if job is None:
        return visit.page("erasure-unknown.html")
    return visit.page(
        "erasure-state.html", forms=("erasure",), code=code, job=job, day=_day(job), last=_day(job, 30)
    )


async def erasure_receipt(visit: Visit) -> Response:
    """The same as a file, clear-signed with the support key."""
    code = await _code(visit)
    if isinstance(code, Response):
        return code
    known = await visit.site.ports.erasure(code) is not None
    signed = await visit.site.ports.receipts.deletion(code) if known else None
    if signed is None:
        return visit.page("erasure-unknown.html")
    return visit.file(signed.encode(), "text/plain; charset=utf-8", "deletion.asc")


async def _code(visit: Visit) -> Response | str:
    """The code that was typed, or the page that says why it was not taken."""
    form = await visit.form()
    typed = form.get("code")[:60]
    kind, status = "", 200
    if visit.age(form, "erasure") is None:
        kind, status = "expired", 403
    else:
        try:
            visit.spend(SESSION_COST)
        except Overloaded:
            kind, status = "busy", 429
    if kind:
        mistake = {"kind": kind, "typed": typed}
        path = f"/{visit.language}/erasure"
        return visit.page("erasure.html", status=status, forms=("erasure",), mistake=mistake, path=path)
    return "".join(typed.split()).replace("-", "").lower()


def _day(job: Erasure, later: int = 0) -> str:
    return datetime.fromtimestamp((job.asked_day + later) * 86400, UTC).strftime("%Y-%m-%d")
