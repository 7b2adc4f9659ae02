"""Coming back: from ticket words to the thread, its signed answers, a copy of it and its end."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from veildesk.core.errors import SpoolUnavailable
from veildesk.core.ports import ThreadKeys
from veildesk.core.receipt import WordsMalformed, parse
from veildesk.core.spare_code import grouped
from veildesk.core.thread_entry import ThreadEntry, encode_thread_entry
from veildesk.portal.draft import Draft
from veildesk.portal.render import day
from veildesk.portal.site import SESSION_COST, Overloaded, Visit
from veildesk.portal.views.thread import OpenThread, decode_keys, encode_keys, open_thread, opened_thread

__all__ = [
    "delete",
    "delete_form",
    "deleted",
    "export",
    "message",
    "receipt",
    "ticket",
    "track",
    "track_form",
    "unknown",
]


async def receipt(visit: Visit) -> Response:
    """The ticket words of a message just sent, as long as the session lasts."""
    kept = visit.session().data.get("receipt")
    if kept is None:
        return visit.page("receipt-gone.html", status=410)
    codes = [grouped(code) for code in kept["codes"]]
    return visit.page("receipt.html", words=kept["words"].split(), codes=codes, kind=kept["kind"])


async def track_form(visit: Visit) -> Response:
    """The form for ticket words, with what was typed when a word was not on the list."""
    session = visit.session()
    mistake: dict[str, Any] | None = session.data.pop("mistake", None)
    if mistake is not None:
        visit.save(session)
    return _track_page(visit, mistake)


def _track_page(
    visit: Visit, mistake: dict[str, Any] | None, status: int = 200, hidden: bool = False
) -> Response:
    hidden = hidden or visit.request.query_params.get("hidden") == "1"
    fixed = mistake is None and not hidden
    return visit.page(
        "track.html", status=status, forms=("track",), fixed=fixed, mistake=mistake, hidden=hidden
    )


async def track(visit: Visit) -> Response:
    """Open a ticket by its words: one key derivation for any eight words that are on the list.

    Without a cookie the thread is shown at once, to read only.
    """
    form = await visit.form()
    hidden = form.get("hidden") == "1"
    if not visit.same_site() or (visit.known and visit.age(form, "track") is None):
        return _track_page(visit, {"kind": "expired", "typed": ""}, 403, hidden)
    try:
        words = " ".join(parse(form.get("words")))
    except WordsMalformed as error:
        return _malformed(visit, error, "" if hidden else form.get("words")[:512], hidden)
    try:
        keys = await visit.derive(words)
    except Overloaded:
        return _track_page(visit, {"kind": "busy", "typed": words}, 429, hidden)
    thread = await open_thread(visit, keys)
    if thread is None:
        return visit.go("track/unknown") if visit.known else await unknown(visit)
    if not visit.known:
        return _thread_page(visit, thread, readonly=True)
    async with visit.site.sessions.turn(visit.visitor):
        visit.save(visit.renew({"ticket": encode_keys(keys, words)}))
        return visit.go("ticket")


def _malformed(visit: Visit, error: WordsMalformed, typed: str, hidden: bool) -> Response:
    mistake = {
        "kind": "count" if error.position is None else "word",
        "position": error.position or 0,
        "count": error.count,
        "typed": typed,
    }
    if not visit.known:
        return _track_page(visit, mistake, hidden=hidden)
    visit.spend(SESSION_COST)
    session = visit.session()
    session.data["mistake"] = mistake
    visit.save(session)
    return visit.go("track?hidden=1#problems" if hidden else "track#problems")


async def unknown(visit: Visit) -> Response:
    """No ticket has these words, or none any more: the same page for both."""
    return visit.page("track-unknown.html", path=f"/{visit.language}/track/unknown")


def _keys(visit: Visit) -> ThreadKeys | None:
    value = visit.session().data.get("ticket")
    return None if value is None else decode_keys(value)


async def ticket(visit: Visit) -> Response:
    """The thread, with the form for a further message."""
    thread = await opened_thread(visit)
    if thread is None:
        return visit.page("ticket-gone.html", status=410)
    session = visit.session()
    draft = visit.draft(session)
    sent = session.data.get("told") is False
    if sent:
        session.data["told"] = True
        visit.save(session)
    return _thread_page(
        visit,
        thread,
        readonly=False,
        draft=draft if draft is not None and draft.reply else None,
        words=session.data["ticket"].get("words", ""),
        codes=[grouped(code) for code in session.data["ticket"].get("codes", ())],
        sent=sent,
    )


def _thread_page(visit: Visit, thread: OpenThread, *, readonly: bool, **values: Any) -> Response:
    context: dict[str, Any] = {"draft": None, "words": "", "codes": [], "sent": False} | values
    context["draft"] = context["draft"] or Draft(entry="", words="", numbering={}, reply=True)
    return visit.page(
        "ticket.html",
        forms=() if readonly else ("reply",),
        readonly=readonly,
        thread=thread,
        expires=day(thread.view.expires_day) if thread.view.expires_day else "",
        **context,
    )


async def message(visit: Visit) -> Response:
    """The exact clear-signed text of one answer."""
    thread = await opened_thread(visit)
    if thread is None:
        return visit.page("ticket-gone.html", status=410)
    number = visit.request.path_params["number"]
    entry = thread.entries[number - 1] if 0 < number <= len(thread.entries) else None
    if entry is None or entry.signed is None:
        raise HTTPException(404)
    return visit.file(entry.signed.encode(), "text/plain; charset=utf-8", f"answer-{number}.asc")


async def export(visit: Visit) -> Response:
    """Everything of the thread as JSON: the user's own data."""
    thread = await opened_thread(visit)
    if thread is None:
        return visit.page("ticket-gone.html", status=410)
    body = {
        "v": 1,
        "state": thread.state,
        "kept_until": day(thread.view.expires_day) if thread.view.expires_day else None,
        "entries": [_exported(entry) for entry in thread.entries],
    }
    content = json.dumps(body, ensure_ascii=False, indent=1).encode()
    return visit.file(content, "application/json", "ticket.json")


def _exported(entry: ThreadEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    value: dict[str, Any] = json.loads(encode_thread_entry(entry))
    del value["numbering"]
    for item in value["attachments"]:
        for inner in ("place", "pieces", "key"):
            item.pop(inner, None)
    return value


async def delete_form(visit: Visit) -> Response:
    """What deleting does and does not do, before it is done."""
    if await opened_thread(visit) is None:
        return visit.page("ticket-gone.html", status=410)
    session = visit.session()
    unsure = session.data.pop("unsure", False)
    if unsure:
        visit.save(session)
    return visit.page("delete.html", forms=("delete",), unsure=unsure)


async def delete(visit: Visit) -> Response:
    """Delete the ticket and say what became of the helpdesk's copy."""
    form = await visit.form()
    if visit.age(form, "delete") is None:
        return visit.page("ticket-gone.html", status=403, tried="delete")
    async with visit.site.sessions.turn(visit.visitor):
        session, keys = visit.session(), _keys(visit)
        if keys is None:
            # The second of two clicks, or a session that ended.
            done = "deleted" in session.data
            gone = visit.page("ticket-gone.html", status=403, tried="delete")
            return visit.go("ticket/deleted") if done else gone
        if form.get("sure") != "yes":
            session.data["unsure"] = True
            visit.save(session)
            return visit.go("ticket/delete#problems")
        try:
            deletion = await visit.site.ports.erase(keys.lookup_id)
        except SpoolUnavailable:
            # What was begun goes on by itself; how far it came cannot be told here.
            session.data["unsure"] = "unfinished"
            visit.save(session)
            return visit.go("ticket/delete#problems")
        session.blobs.clear()
        session.data = {
            "deleted": deletion.outcome.value,
            "code": deletion.code,
            "kept_until": deletion.kept_until,
        }
        visit.save(session)
        return visit.go("ticket/deleted")


async def deleted(visit: Visit) -> Response:
    """What was deleted and what may still exist."""
    data = visit.session().data
    outcome = data.get("deleted")
    if outcome is None:
        return visit.page("ticket-gone.html", status=410)
    return visit.page(
        "deleted.html", outcome=outcome, code=data.get("code", ""), kept_until=data.get("kept_until", "")
    )
