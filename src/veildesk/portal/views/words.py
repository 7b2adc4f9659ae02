"""New ticket words for an open ticket, and the way back by a spare code when the words are lost.

New words are shown before they count, so that a crash in between leaves either the old or the new ones
with the person who wrote them down. A spare code only opens the ticket; it is used up when new words are
set, together with all others of that ticket.
"""

from __future__ import annotations

from starlette.responses import Response

from veildesk.core.errors import AuthenticationFailed, SpoolUnavailable, WorkLost
from veildesk.core.ports import ThreadKeys
from veildesk.core.receipt import generate
from veildesk.core.spare_code import read
from veildesk.core.submission import PortalAnchor
from veildesk.core.thread_entry import encode_thread_entry
from veildesk.portal.sessions import Session
from veildesk.portal.site import SESSION_COST, Overloaded, Visit
from veildesk.portal.views.thread import OpenThread, decode_keys, encode_keys, open_thread

__all__ = ["change", "change_form", "recover", "recover_form", "recover_unknown"]


async def change_form(visit: Visit) -> Response:
    """Show eight new words, which do not count yet."""
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        kept = session.data.get("ticket")
        if kept is None or await open_thread(visit, decode_keys(kept)) is None:
            return visit.page("ticket-gone.html", status=410)
        words = session.data.setdefault("next", " ".join(generate(visit.site.ports.random_bytes)))
        problem = session.data.pop("next-problem", "")
        visit.save(session)
    return visit.page(
        "words.html", forms=("words",), words=words.split(), recovered=not kept["words"], problem=problem
    )


async def change(visit: Visit) -> Response:
    """Seal the whole thread to the new words; from then on the old ones open nothing."""
    form = await visit.form()
    if visit.age(form, "words") is None:
        return visit.page("words-unsure.html", status=403)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        kept, words = session.data.get("ticket"), form.get("words")
        if kept is None:
            return visit.page("words-unsure.html", status=410)
        if kept["words"] == words:
            return visit.go("receipt")
        if session.data.get("next") != words:
            return visit.go("ticket/words")
        old = decode_keys(kept)
        thread = await open_thread(visit, old)
        if thread is None:
            return visit.page("words-unsure.html", status=410)
        try:
            keys = await visit.derive(words)
            done = await _reseal(visit, old, keys, thread)
        except Overloaded:
            done = False
        except WorkLost:
            return visit.page("words-unsure.html", status=410)
        except SpoolUnavailable:
            return visit.page("words-unsure.html", status=503)
        if not done:
            session.data["next-problem"] = "later"
            visit.save(session)
            return visit.go("ticket/words#problems")
        _remember(session, keys, words)
        visit.save(session)
        return visit.go("receipt")


async def _reseal(visit: Visit, old: ThreadKeys, new: ThreadKeys, thread: OpenThread) -> bool:
    """All entries for the new keys; one that does not open stays as it is."""
    cipher = visit.site.ports.cipher
    entries = [
        sealed if entry is None else cipher.seal(new.public_key, encode_thread_entry(entry))
        for sealed, entry in zip(thread.view.entries, thread.entries, strict=True)
    ]
    anchor = PortalAnchor(new.lookup_id, new.public_key)
    return await visit.site.ports.threads.reword(old.lookup_id, anchor, entries, cipher.spares(new))


def _remember(session: Session, keys: ThreadKeys, words: str) -> None:
    session.data.pop("next", None)
    session.data["ticket"] = encode_keys(keys, words)
    session.data["receipt"] = {"words": words, "entry": "", "codes": keys.spare_codes, "kind": "changed"}


async def recover_form(visit: Visit) -> Response:
    """The form for a spare code."""
    session = visit.session()
    mistake = session.data.pop("code-mistake", None)
    if mistake is not None:
        visit.save(session)
    return visit.page("recover.html", forms=("recover",), mistake=mistake)


async def recover(visit: Visit) -> Response:
    """Open a ticket by a spare code and lead on to new words. It needs the session, hence a cookie."""
    form = await visit.form()
    if visit.age(form, "recover") is None:
        mistake = {"kind": "expired", "typed": form.get("code")[:200]}
        return visit.page("recover.html", status=403, forms=("recover",), mistake=mistake)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        mistake = {"kind": "busy", "typed": form.get("code")[:200]}
        return visit.page("recover.html", status=429, forms=("recover",), mistake=mistake)
    code = read(form.get("code"))
    if code is None:
        session = visit.session()
        session.data["code-mistake"] = {"kind": "form", "typed": form.get("code")[:200]}
        visit.save(session)
        return visit.go("recover#problems")
    keys = await _recalled(visit, code)
    if keys is None or await open_thread(visit, keys) is None:
        return visit.go("recover/unknown")
    async with visit.site.sessions.turn(visit.visitor):
        visit.save(visit.renew({"ticket": encode_keys(keys, "")}))
        return visit.go("ticket/words")


async def _recalled(visit: Visit, code: str) -> ThreadKeys | None:
    ports = visit.site.ports
    sealed = await ports.threads.spare(ports.cipher.spare_digest(code))
    if sealed is None:
        return None
    try:
        return ports.cipher.recall(code, sealed)
    except AuthenticationFailed:
        return None


async def recover_unknown(visit: Visit) -> Response:
    """No ticket has this spare code, or none any more: the same page for both."""
    return visit.page("recover-unknown.html")
