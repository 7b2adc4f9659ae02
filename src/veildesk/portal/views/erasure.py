"""What became of a deletion, by the code that its author was given: no ticket, no words, no cookie.

An unknown code and one whose days are over get the same page. A signed receipt is made only for who presses
for it on a page that says what it proves; nothing of it is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from veildesk.core.ticket import Erasure
from veildesk.portal.site import SESSION_COST, Overloaded, Visit

__all__ = ["erasure", "erasure_form", "erasure_receipt"]


async def erasure_form(visit: Visit) -> Response:
    """The form for the code."""
    return visit.page("erasure.html", forms=("erasure",), mistake=None)


async def erasure(visit: Visit) -> Response:
    """What is gone, what was asked for, and what could not be erased and why."""
    found = await _looked_up(visit)
    if isinstance(found, Response):
        return found
    code, job = found
    if job is None:
        return visit.page("erasure-unknown.html")
    return visit.page(
        "erasure-state.html", forms=("erasure",), code=code, job=job, day=_day(job), last=_day(job, 30)
    )


async def erasure_receipt(visit: Visit) -> Response:
    """The same as a file, clear-signed with the support key."""
    found = await _looked_up(visit)
    if isinstance(found, Response):
        return found
    code, job = found
    signed = None if job is None else await visit.site.ports.receipts.deletion(code)
    if signed is None:
        return visit.page("erasure-unknown.html")
    return visit.file(signed.encode(), "text/plain; charset=utf-8", "deletion.asc")


async def _looked_up(visit: Visit) -> Response | tuple[str, Erasure | None]:
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
    code = "".join(typed.split()).replace("-", "").lower()
    return code, await visit.site.ports.erasure(code)


def _day(job: Erasure, later: int = 0) -> str:
    return datetime.fromtimestamp((job.asked_day + later) * 86400, UTC).strftime("%Y-%m-%d")
