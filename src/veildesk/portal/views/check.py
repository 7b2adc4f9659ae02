"""Check before sending: the message as agents will get it, and a choice for every finding.

The text is looked through anew each time it is shown and once more when it is sent. What is sent is
what was chosen in the posted form. A secret whose tick was taken away stays hidden all the same: it leads to
a page that says so, where it has to be chosen once more to be shown.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import Response

from veildesk.core.errors import SpoolUnavailable
from veildesk.portal import challenge
from veildesk.portal.body import Form
from veildesk.portal.draft import Draft, own_words
from veildesk.portal.redaction import Checked, examine
from veildesk.portal.sessions import Session
from veildesk.portal.site import Overloaded, Visit
from veildesk.portal.views import send
from veildesk.portal.views.compose import problems

__all__ = ["check", "choose", "confirm"]

SENDING: Final = ("send", "send-hidden", "send-shown")
MENDED_HERE: Final = frozenset({"changed", "own-words", "busy", "challenge", "full", "unsure"})
"""Problems that the check page itself can mend; all others lead back to the message."""


async def look(visit: Visit, draft: Draft) -> Checked:
    """What agents would get of a draft as it stands. Searching is work for the processor: in a thread."""
    return await asyncio.to_thread(
        examine,
        draft.text,
        own_words=draft.own_words,
        kept=draft.kept,
        numbering=draft.mask_numbering,
        salt=draft.entry,
        rules=visit.site.settings.rules,
        confirmed=draft.confirmed,
    )


async def check(visit: Visit) -> Response:
    """The check page, 410 when there is nothing to check (any more)."""
    draft = visit.draft(visit.session())
    if draft is None:
        return _nothing_here(visit)
    if not MENDED_HERE.issuperset(draft.problems):
        return _back(visit, draft)
    session = visit.session()
    question = challenge.asked(session, draft) if _asks(visit, session, draft) else None
    checked = await look(visit, draft)
    return visit.page("check.html", forms=("check",), draft=draft, checked=checked, question=question)


def _nothing_here(visit: Visit) -> Response:
    """Who goes back after sending must not read that nothing was sent."""
    over = visit.session().data.get("over")
    return visit.go(over) if over else visit.page("draft-gone.html", status=410)


async def confirm(visit: Visit) -> Response:
    """Before a message with secrets goes: they stay hidden, and why; or are chosen a second time."""
    draft = visit.draft(visit.session())
    if draft is None:
        return _nothing_here(visit)
    checked = await look(visit, draft)
    secrets = [
        (group.kind, choice)
        for group in checked.groups
        for choice in group.choices
        if choice.secret and choice.key in draft.exposed
    ]
    return visit.page("confirm.html", forms=("check",), draft=draft, checked=checked, secrets=secrets)


async def choose(visit: Visit) -> Response:
    """Take the check page's form: send, look again, change or discard."""
    form = await visit.form()
    if visit.age(form, "check") is None:
        return send.lost(visit, form, status=403, problem="check-expired")
    operation = form.get("op") or "send"
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        draft = visit.draft(session)
        if draft is None or draft.entry != form.get("entry"):
            if operation == "discard" and form.get("entry") == session.data.get("discarded"):
                return visit.go("discarded")
            return await send.again(visit, session, form)
        if operation == "discard":
            return _discard(visit, session, draft)
        if not MENDED_HERE.issuperset(draft.problems):
            return _back(visit, draft)
        draft.confirmed = []
        if operation == "send-shown":
            draft.confirmed = await _said_twice(visit, draft, form)
        elif operation != "send-hidden":
            draft.exposed = await _take_choices(visit, draft, form, operation)
        draft.problems = problems(visit, session, draft)
        if operation in SENDING and form.get("shown") != draft.shown:
            draft.problems.append("changed")
        wanted = operation in SENDING or (operation == "update" and form.get("challenge"))
        asks = wanted and _asks(visit, session, draft)
        if asks and not challenge.answered(session, draft, form.get("challenge")):
            draft.problems.append("challenge")
        session.data["draft"] = draft.encode()
        visit.save(session)
        if operation == "change":
            return _back(visit, draft)
        if operation not in SENDING or draft.problems:
            return visit.go("new/check#problems" if draft.problems else "new/check")
        if draft.exposed and operation == "send":
            return visit.go("new/confirm")
        try:
            return await send.now(visit, session, draft, await look(visit, draft))
        except (Overloaded, SpoolUnavailable) as error:
            problem = "busy" if isinstance(error, Overloaded) else "full"
            draft.problems = ["unsure" if draft.sent_as else problem]
            session.data["draft"] = draft.encode()
            visit.save(session)
            return visit.go("new/check#problems")


async def _said_twice(visit: Visit, draft: Draft, form: Form) -> list[str]:
    """Values of secrets whose tick was taken away and that were chosen again."""
    again = set(form.all("show")) & set(draft.exposed)
    return [
        choice.value for choice in (await look(visit, draft)).choices if choice.secret and choice.key in again
    ]


async def _take_choices(visit: Visit, draft: Draft, form: Form, operation: str) -> list[str]:
    """Put ticks and own words into the draft; returns the keys of secrets that were unticked.

    Only what the form showed can have been unticked: a finding that is new stays hidden.
    """
    if "own_words" in form.fields:
        draft.own_words = own_words(form.get("own_words"))
    shown, ticked = set(form.all("seen")), set(form.all("hide"))
    all_of = operation.removeprefix("hide:") if operation.startswith("hide:") else None
    exposed = []
    kept = []
    for group in (await look(visit, draft)).groups:
        for choice in group.choices:
            unticked = choice.key in shown and choice.key not in ticked and group.kind != all_of
            if unticked and choice.secret:
                exposed.append(choice.key)
            if (unticked or (choice.key not in shown and not choice.hidden)) and not choice.secret:
                kept.append(choice.value)
    draft.kept = list(dict.fromkeys(kept))
    return exposed


def _asks(visit: Visit, session: Session, draft: Draft) -> bool:
    """Whether a word is asked for before this draft may go."""
    return visit.site.settings.challenge and not draft.reply and session.data.get("answered") != draft.entry


def _back(visit: Visit, draft: Draft) -> Response:
    """To the form where the message itself is changed."""
    if draft.problems:
        return visit.go("ticket#problems" if draft.reply else "new#problems")
    return visit.go("ticket#reply" if draft.reply else "new")


def _discard(visit: Visit, session: Session, draft: Draft) -> Response:
    session.data.pop("draft", None)
    session.data.pop("over", None)
    session.data["discarded"] = draft.entry
    session.data["unsure"] = bool(draft.sent_as)
    session.blobs.clear()
    visit.save(session)
    return visit.go("ticket" if draft.reply else "discarded")
