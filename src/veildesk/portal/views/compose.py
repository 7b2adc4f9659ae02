"""Writing a message: the form of a new ticket and of a further message in one.

A posted form becomes a draft in the visitor's session and the browser is sent on, so that going back
loses nothing. When the form cannot be trusted any more, the text is given back in the page.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from veildesk.attachments.assemble import refuse
from veildesk.attachments.reasons import Refusal
from veildesk.core.errors import LimitExceeded, ScanUnavailable
from veildesk.core.finding import MaskNumbering
from veildesk.core.ports import Cleaned
from veildesk.core.receipt import WordsMalformed, generate, parse
from veildesk.mail.charset import clean_text
from veildesk.portal.body import CutForm, Form, Upload, safe_name
from veildesk.portal.draft import Draft, DraftFile, new_draft, own_words
from veildesk.portal.sessions import Session
from veildesk.portal.site import SESSION_COST, Overloaded, Site, Visit
from veildesk.portal.views.reopen import ask_for_words, reopen_page
from veildesk.portal.views.thread import next_numbering
from veildesk.redact.engine import find
from veildesk.redact.rules import RuleSet

__all__ = [
    "begin",
    "compose",
    "compose_reply",
    "contains_words",
    "drop_draft",
    "expired",
    "fill",
    "new",
    "problems",
]

_OWN_WORD: Final = 2
_TELL_FINDINGS: Final = 256 * 1024


async def new(visit: Visit) -> Response:
    """The form of a new ticket, filled with the draft if there is one."""
    session = visit.session()
    draft = visit.draft(session)
    if draft is not None and draft.reply:
        draft = None
    if not visit.site.settings.open:
        return visit.page("closed.html", status=503)
    if draft is None and visit.site.bucket.busy(visit.site.now):
        left = visit.still_to_wait(visit.request.query_params.get("place", ""))
        if left != 0:
            return _waiting_room(visit, left)
    await visit.site.ports.refresh()
    return new_page(visit, draft or _blank(visit.site), fixed=draft is None)


def _waiting_room(visit: Visit, left: int | None) -> Response:
    """A place in line; who has one already keeps it."""
    if left:
        return visit.page("waiting.html", seconds=left, place=visit.request.query_params["place"])
    place, seconds = visit.place_in_line()
    return visit.page("waiting.html", forms=("wait",), seconds=seconds, place=place)


def new_page(visit: Visit, draft: Draft, status: int = 200, *, fixed: bool = False) -> Response:
    """The form of a new ticket."""
    parking = visit.site.ports.parking()
    return visit.page(
        "new.html",
        status=status,
        forms=("new",),
        fixed=fixed and not parking,
        draft=draft,
        parking=parking,
        path=f"/{visit.language}/new",
    )


async def compose(visit: Visit) -> Response:
    """Take a new ticket's form."""
    if not visit.site.settings.open:
        return visit.page("closed.html", status=503)
    try:
        form = await visit.form(uploads=True)
    except CutForm as cut:
        return await _without_files(visit, cut)
    age = visit.age(form, "new")
    if age is None:
        return expired(visit, form)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        return expired(visit, form, status=429, problem="busy-form")
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        draft = _open_draft(visit, session)
        draft.topic = form.get("topic")
        await _take(visit, session, draft, form, age)
        return visit.go("new#problems" if draft.problems else "new/check")


def _open_draft(visit: Visit, session: Session) -> Draft:
    """The draft of a new ticket, a fresh one if there is none."""
    draft = visit.draft(session)
    if draft is None or draft.reply:
        drop_draft(session)
        draft = begin(visit.site)
    return draft


async def _without_files(visit: Visit, cut: CutForm) -> Response:
    """Files that cannot be taken must not cost the text, nor files that were taken before."""
    form, (status, problem) = cut.form, _cut_says(cut)
    if visit.age(form, "new") is None:
        return expired(visit, form, status=status, problem=problem)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        return expired(visit, form, status=status, problem=problem)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        draft = _open_draft(visit, session)
        draft.topic = form.get("topic")
        fill(draft, form, visit.site)
        draft.problems = [problem]
        session.data["draft"] = draft.encode()
        visit.save(session)
        return visit.go("new#problems")


def _cut_says(cut: CutForm) -> tuple[int, str]:
    return (413, "too-large") if isinstance(cut.cause, LimitExceeded) else (503, "no-room")


async def compose_reply(visit: Visit) -> Response:
    """Take a further message for an open ticket."""
    before = visit.session()
    try:
        form = await visit.form(uploads=True)
    except CutForm as cut:
        return await _reply_without_files(visit, cut)
    age = visit.age(form, "reply")
    if age is None or "ticket" not in before.data:
        form.drop()
        return reopen_page(visit, form) if age is None else ask_for_words(visit, form)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        return _reply_later(visit, form)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        session.data.setdefault("ticket", before.data["ticket"])
        draft = await _reply_draft(visit, session)
        await _take(visit, session, draft, form, age)
        return visit.go("ticket#problems" if draft.problems else "new/check")


async def _reply_draft(visit: Visit, session: Session) -> Draft:
    """The draft of a further message, a fresh one if there is none."""
    draft = visit.draft(session)
    if draft is None or not draft.reply:
        drop_draft(session)
        numbering = await next_numbering(visit, session)
        draft = new_draft(visit.site.ports.random_bytes(16), "", numbering, reply=True)
    return draft


async def _reply_without_files(visit: Visit, cut: CutForm) -> Response:
    """As `_without_files`, for a further message."""
    form, (status, problem) = cut.form, _cut_says(cut)
    if visit.age(form, "reply") is None or "ticket" not in visit.session().data:
        return _reply_later(visit, form, status, problem)
    try:
        visit.spend(SESSION_COST)
    except Overloaded:
        return _reply_later(visit, form, status, problem)
    async with visit.site.sessions.turn(visit.visitor):
        session = visit.session()
        if "ticket" not in session.data:
            return _reply_later(visit, form, status, problem)
        draft = await _reply_draft(visit, session)
        fill(draft, form, visit.site)
        draft.problems = [problem]
        session.data["draft"] = draft.encode()
        visit.save(session)
        return visit.go("ticket#problems")


def expired(visit: Visit, form: Form, *, status: int = 403, problem: str = "form-expired") -> Response:
    """Give the text back in a fresh form: nothing that was written may be lost."""
    if form.uploads and problem == "form-expired":
        problem = "form-expired-files"
    form.drop()
    draft = _blank(visit.site)
    fill(draft, form, visit.site)
    draft.topic = form.get("topic") or "other"
    draft.problems = [problem]
    return new_page(visit, draft, status)


def _reply_later(visit: Visit, form: Form, status: int = 429, problem: str = "busy-form") -> Response:
    """Give a further message back, to be sent again in a moment."""
    form.drop()
    draft = Draft(entry="", words="", numbering={}, reply=True)
    fill(draft, form, visit.site)
    draft.problems = [problem]
    path = f"/{visit.language}/ticket"
    return visit.page("reply-later.html", status=status, forms=("reply",), draft=draft, path=path)


def fill(draft: Draft, form: Form, site: Site) -> None:
    """Copy the text fields of a form into a draft, whole, without characters that turn others around.

    Raises `LimitExceeded` for a text far beyond what could be mended by shortening.
    """
    for name in ("message", "steps", "version", "build", "environment"):
        setattr(draft, name, clean_text(form.get(name)))
    draft.own_words = own_words(form.get("own_words"))
    if len(draft.text) + sum(map(len, draft.own_words)) > 2 * site.settings.text_size:
        form.drop()
        raise LimitExceeded("draft-text")


async def _take(visit: Visit, session: Session, draft: Draft, form: Form, age: int) -> None:
    """Put a posted form into the draft and note what is wrong with it."""
    site = visit.site
    fill(draft, form, site)
    kept = set(form.all("keep_file"))
    for item in draft.files:
        if item.blob and item.blob not in kept:
            session.blobs.pop(item.blob, None)
    draft.files = [item for item in draft.files if item.blob and item.blob in kept]
    fits = len(draft.files) + len(form.uploads) <= site.settings.files
    # Before the files, which somebody else's code looks into: whatever happens there costs no text.
    session.data["draft"] = draft.encode()
    session.data.pop("over", None)
    visit.save(session)
    if fits:
        try:
            while form.uploads:
                draft.files.append(await _clean(site, session, form.uploads[0], draft.own_words))
                form.uploads.pop(0)
        except BaseException:
            form.drop()
            raise
    form.drop()
    draft.problems = problems(visit, session, draft)
    if form.get("website"):
        draft.problems.append("honeypot")
    if not fits:
        draft.problems.append("too-many-files")
    if age < site.settings.form_min_age and site.bucket.busy(site.now):
        draft.problems.append("too-fast")
    session.data["draft"] = draft.encode()
    visit.save(session)


def problems(visit: Visit, session: Session, draft: Draft) -> list[str]:
    """Codes of what keeps a draft from being sent; looked at again each time it could be."""
    settings = visit.site.settings
    found = []
    if not draft.message.strip():
        found.append("empty")
    if len(draft.text) > settings.text_size:
        found.append("too-long")
    if not draft.reply and draft.topic not in settings.topics:
        found.append("topic")
    words = draft.own_words
    if len(words) > settings.own_words or not all(_OWN_WORD <= len(word) <= 200 for word in words):
        found.append("own-words")
    secret = draft.words or str(session.data.get("ticket", {}).get("words", ""))
    codes = session.data.get("ticket", {}).get("codes", ())
    if secret and (contains_words(draft.text, secret) or contains_code(draft.text, codes)):
        found.append("words-in-text")
    return found


def contains_words(text: str, words: str) -> bool:
    """Whether a text gives the ticket words away, in whatever spacing."""
    letters = " ".join(re.findall(r"[a-z]+", text.lower()))
    if words in letters:
        return True
    try:
        return " ".join(parse(text)) == words
    except WordsMalformed:
        return False


def contains_code(text: str, codes: Sequence[str]) -> bool:
    """Whether a text gives a spare code away."""
    letters = re.sub(r"[^0-9A-Z]", "", text.upper())
    return any(code in letters for code in codes)


async def _clean(site: Site, session: Session, upload: Upload, words: Sequence[str]) -> DraftFile:
    """Try what cleaning takes out of an upload; keep it sealed in the session unless it is refused."""
    try:
        cleaned = await site.ports.cleaner.clean(upload.name, upload.media_type, upload.blob.open(upload.key))
    except ScanUnavailable:
        cleaned = refuse(upload.name, Refusal.SCAN_LATER)
    item = DraftFile(
        name=safe_name(cleaned.name),
        media_type=upload.media_type,
        size=upload.blob.size,
        sha256=upload.sha256,
        removed=list(dict.fromkeys(_removed(cleaned))),
        left_out=[(member.name, member.refused) for member in cleaned.members if member.refused],
        refused=cleaned.refused or "",
        text=cleaned.text,
        found=await asyncio.to_thread(_found, cleaned, tuple(words), site.settings.rules),
    )
    if item.refused:
        upload.blob.drop()
        return item
    item.key, item.blob = base64.b64encode(upload.key).decode(), site.ports.random_bytes(8).hex()
    session.blobs[item.blob] = upload.blob
    return item


def _found(cleaned: Cleaned, words: Sequence[str], rules: RuleSet) -> dict[str, int] | None:
    """What a text file holds that will be hidden, by type. Work for the processor, hence the bound."""
    if not cleaned.text or cleaned.content is None or len(cleaned.content) > _TELL_FINDINGS:
        return None
    findings = find(cleaned.content.decode("utf-8", "replace"), rules=rules, own_words=words)
    return dict(sorted(Counter(item.type for item in findings).items()))


def _removed(cleaned: Cleaned) -> list[str]:
    """What is taken out of a file or of the files in it."""
    return [*cleaned.removed, *(word for member in cleaned.members for word in _removed(member))]


def begin(site: Site) -> Draft:
    """A draft of a new ticket, with its words."""
    random = site.ports.random_bytes
    return new_draft(random(16), " ".join(generate(random)), MaskNumbering(random(32)), reply=False)


def _blank(site: Site) -> Draft:
    """A draft to show in an empty form; nothing in it is ever kept."""
    return Draft(entry="", words="", numbering={}, topic="")


def drop_draft(session: Session) -> None:
    """Forget the draft and its files."""
    session.data.pop("draft", None)
    session.blobs.clear()
