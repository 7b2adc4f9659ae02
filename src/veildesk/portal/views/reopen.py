"""A further message whose ticket is no longer open: opened again by its words, and the text goes along.

Who writes long and carefully outlasts a session. The text stays in the page
until the ticket is open; then it is the draft of a further message as if nothing had happened. Where the
form is known to be the visitor's own the session holds it too, so that going back finds the page again.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from veildesk.core.errors import LimitExceeded
from veildesk.core.receipt import WordsMalformed, parse
from veildesk.mail.charset import clean_text
from veildesk.portal.body import Form
from veildesk.portal.draft import new_draft, own_words
from veildesk.portal.site import SESSION_COST, Overloaded, Visit
from veildesk.portal.views.thread import encode_keys, next_numbering, open_thread

__all__ = ["ask_for_words", "reopen", "reopen_form", "reopen_page"]


def reopen_page(
    visit: Visit, form: Form, kind: str = "lost", *, status: int = 403, at: int = 0, typed: str = ""
) -> Response:
    """The text of a form, and the field for ticket words; `at` is a position or a number of words."""
    return _page(visit, _asked(visit, form, kind, at, typed), status)


def ask_for_words(
    visit: Visit, form: Form, kind: str = "lost", *, status: int = 403, at: int = 0, typed: str = ""
) -> Response:
    """The same as a page that can be gone back to, for a form that is known to be this visitor's."""
    asked = _asked(visit, form, kind, at, typed)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        return _page(visit, asked, status)
    session = visit.session()
    session.data["reopen"] = asked
    visit.save(session)
    return visit.go("ticket/reopen#problems")


async def reopen_form(visit: Visit) -> Response:
    """What was asked for, once more."""
    data = visit.session().data
    if "reopen" in data:
        return _page(visit, data["reopen"], 200)
    return visit.go("ticket") if "ticket" in data else visit.page("ticket-gone.html", status=410)


def _asked(visit: Visit, form: Form, kind: str, at: int, typed: str) -> dict[str, Any]:
    kept: dict[str, Any] = {name: form.get(name) for name in ("message", "own_words", "entry")}
    if len(kept["message"]) + len(kept["own_words"]) > 2 * visit.site.settings.text_size:
        raise LimitExceeded("draft-text")
    return {"kind": kind, "at": at, "typed": typed, **kept, "entry": kept["entry"][:64]}


def _page(visit: Visit, asked: dict[str, Any], status: int) -> Response:
    path = f"/{visit.language}/ticket/reopen"
    return visit.page("reopen.html", status=status, forms=("reopen",), path=path, **asked)


async def reopen(visit: Visit) -> Response:
    """Open the ticket and keep the text as a draft in it, unless it turns out to have arrived."""
    form = await visit.form()
    typed = form.get("words")[:512]
    if visit.age(form, "reopen") is None:
        return reopen_page(visit, form, "expired", typed=typed)
    try:
        words = " ".join(parse(form.get("words")))
    except WordsMalformed as error:
        kind = "count" if error.position is None else "word"
        return ask_for_words(visit, form, kind, at=error.position or error.count, typed=typed)
    try:
        keys = await visit.derive(words)
    except Overloaded:
        return reopen_page(visit, form, "busy", status=429, typed=typed)
    thread = await open_thread(visit, keys)
    if thread is None:
        return ask_for_words(visit, form, "unknown", typed=typed)
    entry = form.get("entry")
    arrived = bool(entry) and any(item is not None and item.entry_id == entry for item in thread.entries)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.renew({"ticket": encode_keys(keys, words)})
        session.data.pop("reopen", None)
        if arrived:
            session.data |= {"sent": entry, "told": False}
            visit.save(session)
            return visit.go("ticket")
        session.blobs.clear()
        numbering = await next_numbering(visit, session)
        draft = new_draft(visit.site.ports.random_bytes(16), "", numbering, reply=True)
        draft.message, draft.own_words = clean_text(form.get("message")), own_words(form.get("own_words"))
        session.data["draft"] = draft.encode()
        visit.save(session)
        return visit.go("ticket#reply")
