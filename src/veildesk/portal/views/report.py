"""Safe report: paste what a program wrote, choose line by line what goes into the message."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from veildesk.portal.report import MOST, Line, take_apart
from veildesk.portal.site import SESSION_COST, Overloaded, Visit
from veildesk.portal.views.compose import begin, drop_draft

__all__ = ["choose", "lines", "paste", "report"]


async def report(visit: Visit) -> Response:
    """The box to paste into."""
    session = visit.session()
    mistake = session.data.pop("report-mistake", None)
    if mistake is not None:
        visit.save(session)
    return visit.page("report.html", forms=("report",), mistake=mistake, most=MOST)


async def paste(visit: Visit) -> Response:
    """Take the report apart and keep its lines in the session."""
    form = await visit.form()
    text = form.get("report")
    if visit.age(form, "report") is None:
        mistake = {"kind": "expired", "typed": text}
        return visit.page("report.html", status=403, forms=("report",), mistake=mistake, most=MOST)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        mistake = {"kind": "busy", "typed": text}
        return visit.page("report.html", status=429, forms=("report",), mistake=mistake, most=MOST)
    whole = len(text) <= visit.site.settings.text_size
    found = await asyncio.to_thread(take_apart, text) if whole else []
    session = visit.session()
    if not 0 < len(found) <= MOST:
        kind = "long" if found or not whole else "empty"
        session.data["report-mistake"] = {"kind": kind, "typed": text}
        visit.save(session)
        return visit.go("new/report#problems")
    session.data["report"] = [[line.text, list(line.kinds), line.chosen] for line in found]
    visit.save(session)
    return visit.go("new/report/lines")


def _kept(data: dict[str, Any]) -> list[Line] | None:
    kept = data.get("report")
    return None if kept is None else [Line(text, tuple(kinds), chosen) for text, kinds, chosen in kept]


async def lines(visit: Visit) -> Response:
    """Every line with a box; what could tell something is not ticked."""
    found = _kept(visit.session().data)
    if found is None:
        return visit.page("draft-gone.html", status=410)
    return visit.page("report-lines.html", forms=("lines",), lines=found)


async def choose(visit: Visit) -> Response:
    """Put the ticked lines into the draft of the message."""
    form = await visit.form()
    if visit.age(form, "lines") is None:
        return visit.page("draft-gone.html", status=403)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        found = _kept(session.data)
        draft = visit.draft(session)
        if found is None and draft is not None and not draft.reply:
            return visit.go("new")  # The second of two clicks: the lines are in the message already.
        if found is None:
            return visit.page("draft-gone.html", status=410)
        ticked = set(form.all("take"))
        taken = [line.text for number, line in enumerate(found) if str(number) in ticked]
        del session.data["report"]
        if draft is None or draft.reply:
            drop_draft(session)
            draft = begin(visit.site)
            draft.topic = "function"
        if taken:
            draft.message = "\n".join(
                [*([draft.message.rstrip(), ""] if draft.message.strip() else []), *taken]
            )
        draft.problems = []
        session.data["draft"] = draft.encode()
        visit.save(session)
        return visit.go("new")
