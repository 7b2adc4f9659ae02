"""A further message whose ticket is no longer open: opened again by its words, and the text goes along.

Who writes long and carefully outlasts a session. The text stays in the page, which is all that holds it,
until the ticket is open; then it is the draft of a further message as if nothing had happened.
"""

from __future__ import annotations

from starlette.responses import Response

from veildesk.core.errors import LimitExceeded
from veildesk.core.receipt import WordsMalformed, parse
from veildesk.portal.body import Form
from veildesk.portal.draft import new_draft, own_words
from veildesk.portal.site import Overloaded, Visit
from veildesk.portal.views.thread import encode_keys, next_numbering, open_thread

__all__ = ["reopen", "reopen_page"]


def reopen_page(
    visit: Visit, form: Form, kind: str = "lost", *, status: int = 403, at: int = 0, typed: str = ""
) -> Response:
    """The text of a form, and the field for ticket words; `at` is a position or a number of words."""
    if len(form.get("message")) + len(form.get("own_words")) > 2 * visit.site.settings.text_size:
        raise LimitExceeded("draft-text")
    return visit.page(
        "reopen.html",
        status=status,
        forms=("reopen",),
        kind=kind,
        at=at,
        typed=typed,
        message=form.get("message"),
        own_words=form.get("own_words"),
        entry=form.get("entry"),
        path=f"/{visit.language}/track",
    )


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
        return reopen_page(visit, form, kind, at=error.position or error.count, typed=typed)
    try:
        keys = await visit.derive(words)
    except Overloaded:
        return reopen_page(visit, form, "busy", status=429, typed=typed)
    thread = await open_thread(visit, keys)
    if thread is None:
        return reopen_page(visit, form, "unknown", typed=typed)
    entry = form.get("entry")
    arrived = bool(entry) and any(item is not None and item.entry_id == entry for item in thread.entries)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.renew({"ticket": encode_keys(keys, words)})
        if arrived:
            session.data |= {"sent": entry, "told": False}
            visit.save(session)
            return visit.go("ticket")
        session.blobs.clear()
        numbering = await next_numbering(visit, session)
        draft = new_draft(visit.site.ports.random_bytes(16), "", numbering, reply=True)
        draft.message, draft.own_words = form.get("message"), own_words(form.get("own_words"))
        session.data["draft"] = draft.encode()
        visit.save(session)
        return visit.go("ticket#reply")
