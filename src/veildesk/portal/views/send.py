"""Sending: one key derivation, one durable acceptance, one receipt, however often it is tried.

The ticket's lookup id and the draft's entry id make the idempotency key. Words and entry id travel
in the form, so that a visitor whose session was lost in between (a restart) learns what happened.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Callable

from starlette.responses import Response

from veildesk.core.errors import AcceptanceUnknown
from veildesk.core.portal_entry import encode_numbering, encode_portal_entry
from veildesk.core.ports import ThreadKeys
from veildesk.core.receipt import WordsMalformed, parse
from veildesk.core.submission import Channel, PortalAnchor, PortalEntry, Submission, dedup_key
from veildesk.core.thread_entry import ThreadEntry, ThreadFile, encode_thread_entry
from veildesk.portal.body import Form
from veildesk.portal.draft import Draft
from veildesk.portal.redaction import Checked
from veildesk.portal.sessions import Session
from veildesk.portal.site import SESSION_COST, Overloaded, Visit
from veildesk.portal.views.compose import begin, expired, fill
from veildesk.portal.views.reopen import ask_for_words, reopen_page
from veildesk.portal.views.thread import OpenThread, decode_keys, encode_keys, open_thread

__all__ = ["again", "lost", "now"]


async def now(visit: Visit, session: Session, draft: Draft, checked: Checked) -> Response:
    """Hand a checked draft over and show the receipt."""
    site = visit.site
    if draft.reply:
        keys = decode_keys(session.data["ticket"])
        if await site.ports.threads.thread(keys.lookup_id) is None:
            return visit.page("draft-gone.html", status=410)
        topic = _topic(await open_thread(visit, keys))
    else:
        keys, topic = await visit.derive(draft.words), draft.topic
    async with site.handing_over if session.blobs else contextlib.nullcontext():
        await _accept(visit, draft, lambda: _submission(visit, session, draft, checked, keys, topic))
    session.data.pop("draft", None)
    session.blobs.clear()
    if not draft.reply:
        _remember(session, keys, draft.words, draft.entry)
    else:
        session.data |= {"sent": draft.entry, "told": False}
    session.data["over"] = "ticket" if draft.reply else "receipt"
    visit.save(session)
    return visit.go(session.data["over"])


async def _accept(visit: Visit, draft: Draft, write: Callable[[], Submission]) -> None:
    """Hand over, and remember what was, as long as nobody said that it arrived.

    What is sent again unchanged is the same message. What was changed since is another one, else it would be
    taken for the one that may have arrived and be lost.
    """
    submission = write()
    sent_as = hashlib.sha256(submission.payload).hexdigest()
    if draft.sent_as and draft.sent_as != sent_as:
        draft.entry = visit.site.ports.random_bytes(16).hex()
        submission = write()
    try:
        await visit.site.ports.intake.accept(submission)
    except AcceptanceUnknown:
        draft.sent_as = sent_as
        raise


def _topic(thread: OpenThread | None) -> str:
    """The topic of a ticket: its first message's."""
    entries = thread.entries if thread is not None else ()
    return next((entry.topic for entry in entries if entry is not None and entry.topic), "other")


def _remember(session: Session, keys: ThreadKeys, words: str, entry: str) -> None:
    session.data["ticket"] = encode_keys(keys, words)
    session.data["receipt"] = {"words": words, "entry": entry, "codes": keys.spare_codes, "kind": "sent"}


def _submission(
    visit: Visit, session: Session, draft: Draft, checked: Checked, keys: ThreadKeys, topic: str
) -> Submission:
    settings, clock = visit.site.settings, visit.site.ports.clock
    attachments = tuple(
        (item.name, item.media_type, session.blobs[item.blob].open(item.key_bytes))
        for item in draft.files
        if item.blob
    )
    numbering = encode_numbering(checked.numbering)
    entry = PortalEntry(
        text=checked.text,
        topic=topic,
        language=visit.language,
        kept=tuple(draft.kept),
        own_words=tuple(draft.own_words),
        confirmed=tuple(draft.confirmed),
        counts=checked.counts,
        numbering=numbering,
        attachments=attachments,
    )
    own_copy = ThreadEntry(
        author="user",
        day=datetime.datetime.fromtimestamp(clock.now(), datetime.UTC).date().isoformat(),
        text=checked.text,
        entry_id=draft.entry,
        files=tuple(
            ThreadFile(item.name, item.media_type, item.size, item.sha256)
            for item in draft.files
            if item.blob
        ),
        numbering=numbering,
        topic=topic,
    )
    return Submission(
        channel=Channel.PORTAL,
        dedup=dedup_key(keys.lookup_id, b"portal entry v1", bytes.fromhex(draft.entry)),
        payload=encode_portal_entry(entry),
        queue=settings.queue_of(topic),
        anchor=PortalAnchor(keys.lookup_id, keys.public_key),
        thread_entry=visit.site.ports.cipher.seal(keys.public_key, encode_thread_entry(own_copy)),
        spares=() if draft.reply else visit.site.ports.cipher.spares(keys),
    )


def lost(visit: Visit, form: Form, *, status: int = 410, problem: str = "draft-lost") -> Response:
    """Give the text of a check form back whose draft is not here."""
    if not form.get("message"):
        return visit.page("draft-gone.html", status=status)
    if not form.get("words"):
        return reopen_page(visit, form, status=status)
    return expired(visit, form, status=status, problem=problem)


def _begun_again(visit: Visit, session: Session, form: Form) -> Response:
    """As `lost`, as a page that can be gone back to, unless something else is being written."""
    if not form.get("message"):
        return visit.page("draft-gone.html", status=410)
    if not form.get("words"):
        return ask_for_words(visit, form, status=410)
    try:
        if visit.draft(session) is not None:
            return lost(visit, form)
        visit.spend(SESSION_COST)
    except Overloaded:
        return lost(visit, form)
    draft = begin(visit.site)
    fill(draft, form, visit.site)
    draft.problems = ["draft-lost"]
    session.data["draft"] = draft.encode()
    visit.save(session)
    return visit.go("new#problems")


async def again(visit: Visit, session: Session, form: Form) -> Response:
    """A check form whose draft is not here: it was sent already, or the session was lost.

    Looking the ticket up tells which. Nothing is ever accepted here.
    """
    entry = form.get("entry")
    if entry and entry == session.data.get("receipt", {}).get("entry"):
        return visit.go("receipt")
    if entry and entry == session.data.get("sent"):
        return visit.go("ticket")
    try:
        words = " ".join(parse(form.get("words")))
    except WordsMalformed:
        return _begun_again(visit, session, form)
    keys = await visit.derive(words)
    thread = await open_thread(visit, keys)
    if thread is None or all(item is None or item.entry_id != entry for item in thread.entries):
        return _begun_again(visit, session, form)
    _remember(session, keys, words, entry)
    visit.save(session)
    return visit.go("receipt")
