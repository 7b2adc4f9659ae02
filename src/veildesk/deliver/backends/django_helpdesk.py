"""django-helpdesk 2 by its REST interface.

The thread lies in a custom field of the ticket, a message's key in the last line of its comment. Nothing
can be searched: tickets are indexed in memory, from the newest back to what is known already. Comments are
templates there and Markdown when shown, so both are defused.
"""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from veildesk.core.errors import BackendRefused, BackendUnavailable, VeildeskError
from veildesk.core.shown import shown, subject_line
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    File,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)
from veildesk.deliver.answers import Seen, answer_text
from veildesk.deliver.http import Answer, HelpdeskClient, client_from, read_secret
from veildesk.deliver.markup import without_markup
from veildesk.deliver.settings import Settings, token

__all__ = ["DjangoHelpdesk", "from_config"]

THREAD: Final = "veildesk_thread"
_FIELD: Final = f"custom_{THREAD}"
_KNOWN: Final = {"url", "token_file", "queue", "endings", "ca_file", "timeout"}
_PRIORITIES: Final = {"low": 4, "normal": 3, "high": 2, "urgent": 1}
_OPEN, _REOPENED, _RESOLVED, _CLOSED = 1, 2, 3, 4
_ENDED: Final = (_RESOLVED, _CLOSED)
_OURS: Final = re.compile(r"\[veildesk [A-Za-z0-9]{8,64}(?: ([A-Za-z0-9]{8,64}))?\]\s*\Z")
_FROM: Final = re.compile(r"\[[^\]#]*#([0-9]+)\]")
"""What merging writes before the title of a comment that it moves, in the site's language."""
_PAGE: Final = 100
_WINDOW: Final = 50
_TICKETS: Final = 200_000
_TITLE: Final = "Veildesk"
_ENDINGS: Final = frozenset([".txt", ".asc", ".pdf", ".doc", ".docx", ".odt", ".jpg", ".png", ".eml"])
"""What the helpdesk takes unless its HELPDESK_VALID_EXTENSIONS says otherwise."""


def from_config(name: str, settings: Mapping[str, Any]) -> DjangoHelpdesk:
    """Make the connector from `[backends.NAME]`: url, token_file, queue (its number), endings."""
    read = Settings(name, settings, _KNOWN)
    queues = read.places(str(read.whole("queue", 1)))
    if not all(queue.isascii() and queue.isdigit() for queue in queues):
        raise read.wrong("queue", "the number of a queue, in routes too")
    endings = frozenset(word.lower() for word in read.words("endings")) or _ENDINGS
    return DjangoHelpdesk(name, client_from(read), read_secret(name, settings, "token_file"), queues, endings)


class DjangoHelpdesk:
    """Implements `core.ports.Backend`. `queues` are numbers, the first for entries without a place; `endings`
    are those of files that the helpdesk takes."""

    def __init__(
        self,
        name: str,
        client: HelpdeskClient,
        key: str,
        queues: tuple[str, ...],
        endings: Collection[str],
    ) -> None:
        self.name = name
        self._client = client
        self._headers = {"Authorization": f"Token {key}"}
        self._queues = queues
        self._endings = endings
        self._seen = Seen()
        self._tickets: OrderedDict[str, str] = OrderedDict()
        self._indexed = 0

    # -------------------------------------------------------------- transport
    async def _call(self, method: str, path: str, **request: Any) -> Answer:
        return await self._client.call(method, f"/api{path}", headers=self._headers, **request)

    async def _back(self, path: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of a list from its end, each with the highest number first."""
        page: Any = "last"
        while page:
            answer = await self._call("GET", path, params={"page": page, "page_size": _PAGE}, good=(200, 404))
            # A page that was there a moment ago is gone when something was deleted meanwhile.
            found = answer.json() if answer.status == 200 else {"results": [], "count": 0}
            if not isinstance(found, dict) or not isinstance(found.get("results"), list):
                raise BackendUnavailable("answer-form")
            yield sorted(found["results"], key=lambda one: -int(one["id"]))
            number = -(-int(found["count"]) // _PAGE) if page == "last" else page
            page = number - 1

    async def _find(self, thread: str) -> str | None:
        """The ticket of a thread. The first call reads the whole list, later ones what came since."""
        highest = self._indexed
        async for page in self._back("/tickets/"):
            for ticket in page:
                number = int(ticket["id"])
                highest = max(highest, number)
                if ticket.get(_FIELD):
                    self._tickets[str(ticket[_FIELD])] = str(number)
            if not page or int(page[-1]["id"]) <= self._indexed - _WINDOW:
                break
        self._indexed = highest
        while len(self._tickets) > _TICKETS:
            self._tickets.popitem(last=False)
        return self._tickets.get(thread)

    async def _load(self, ref: str) -> dict[str, Any] | None:
        answer = await self._call("GET", f"/tickets/{ref}/", good=(200, 403, 404))
        found = answer.json() if answer.status == 200 else None
        return found if isinstance(found, dict) else None

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Log in, look for the field, and make a ticket that each queue must refuse for one reason only."""
        place = f"backend.{self.name}"
        try:
            options = (await self._call("OPTIONS", "/tickets/")).json()
        except VeildeskError as error:
            wrong = error.detail in ("status-401", "status-403")
            found = "wrong token, or no staff user" if wrong else error.detail
            fix = (
                "correct token_file; the user must be staff"
                if wrong
                else "check url, and the API is switched on"
            )
            return [CheckResult(f"{place}.login", "django-helpdesk lets us in", Level.FAIL, found, fix=fix)]
        results = [CheckResult(f"{place}.login", "django-helpdesk lets us in", Level.OK)]
        fields = (options.get("actions") or {}).get("POST") or {} if isinstance(options, dict) else {}
        level = Level.OK if _FIELD in fields else Level.FAIL
        fix = "" if _FIELD in fields else f"make the custom field {THREAD}: text, 64 characters, staff only"
        results.append(CheckResult(f"{place}.field", f"custom field {THREAD}", level, fix=fix))
        for queue in self._queues:
            # Without a title nothing is made; what else is complained of tells about the queue.
            answer = await self._call("POST", "/tickets/", json={"queue": int(queue)}, good=(400,))
            wrong = "queue" in answer.json()
            fix = f"give our user access to queue {queue}, or correct its number" if wrong else ""
            level = Level.FAIL if wrong else Level.OK
            results.append(CheckResult(f"{place}.queue", f"queue {queue} is there for us", level, fix=fix))
        return results

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """Its interface can make no fields and no accounts."""
        place = f"backend.{self.name}.setup"
        fix = f"an administrator makes the custom field {THREAD} and the user by hand; see its page"
        return [CheckResult(place, "fields cannot be made by its interface", Level.SKIP, fix=fix)]

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Look for the key in the ticket of the thread; else make that if needed, and add a comment."""
        key, thread = token(entry.key), token(entry.thread)
        ticket = await self._load(entry.ref) if entry.ref else None
        if not _is_of(ticket, thread):
            found = await self._find(thread)
            ticket = await self._load(found) if found else None
        if ticket is None or not _is_of(ticket, thread):
            self._tickets.pop(thread, None)
            ticket = await self._create(entry, thread)
        ref = str(ticket["id"])
        mark = _mark(key, thread)
        if any(mark in str(one.get("comment")) for one in ticket.get("followup_set") or ()):
            return Delivered(ref, fresh=False)
        form: dict[str, Any] = {"comment": _text(entry), "public": "true"}
        if ticket.get("status") in _ENDED:
            form["new_status"] = str(_REOPENED)
        await self._comment(ticket, form, entry.files)
        return Delivered(ref)

    async def _create(self, entry: TicketEntry, thread: str) -> dict[str, Any]:
        """A ticket that says where to look: files and keys belong to comments."""
        body = {
            "queue": int(entry.place or self._queues[0]),
            "title": _one_line(entry.subject),
            # It becomes a public comment of ours, too.
            "description": f"The messages are below.\n\n{_mark(thread)}",
            "priority": _PRIORITIES.get(entry.priority, 3),
            _FIELD: thread,
        }
        made = (await self._call("POST", "/tickets/", json=body)).json()
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise BackendUnavailable("answer-form")
        if made.get(_FIELD) != thread:
            # Without its field no answer would find the way back.
            raise BackendRefused("field-missing")
        return made

    async def _comment(
        self, ticket: Mapping[str, Any], form: Mapping[str, Any], files: Sequence[File] = ()
    ) -> None:
        # A comment's title becomes that of the ticket.
        whole = {"ticket": str(ticket["id"]), "title": str(ticket.get("title") or _TITLE), **form}
        parts = [
            ("attachments", (name, io.BytesIO(file.content), file.media_type))
            for name, file in _named(files, self._endings)
        ]
        await self._call("POST", "/followups/", data=whole, files=parts or None)

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Public comments of staff after a number, looked for from the newest back."""
        last = int(cursor) if cursor and cursor.isdigit() else 0
        found: list[dict[str, Any]] = []
        async for page in self._back("/followups/"):
            if page and not found:
                # An older copy that was brought back gives the numbers after it once more.
                last = min(last, int(page[0]["id"]))
            found += [one for one in page if int(one["id"]) > last - _WINDOW]
            if not page or int(page[-1]["id"]) <= last - _WINDOW:
                break
        tickets: dict[str, dict[str, Any]] = {}
        for one in sorted({one["id"]: one for one in found}.values(), key=lambda one: int(one["id"])):
            number = str(one["id"])
            last = max(last, int(number))
            if number in self._seen:
                continue
            ref = str(one.get("ticket"))
            if _is_answer(one) and ref not in tickets:
                tickets[ref] = await self._load(ref) or {}
            ticket = tickets.get(ref, {}) if _is_answer(one) else {}
            thread = str(ticket.get(_FIELD) or "") if not ticket.get("merged_to") else ""
            yield _reply(one, thread, ref, str(last), _others(ticket, thread))

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not load it again while it is within the window."""
        self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """The file's own address, in pieces."""
        async for piece in self._client.pieces(file.handle, headers=self._headers):
            yield piece

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """State and priority; a remark as a comment that is not public."""
        body: dict[str, Any] = {}
        if change.state is not None:
            body["status"] = _CLOSED if change.state == "closed" else _REOPENED
        if change.priority is not None:
            body["priority"] = _PRIORITIES.get(change.priority, 3)
        if body:
            await self._call("PATCH", f"/tickets/{ref}/", json=body)
        ticket = await self._load(ref) if change.note else None
        if ticket is None:
            return
        mark = _mark(token(change.note_key)) if change.note_key else _mark("note0000")
        if change.note_key and any(mark in str(one.get("comment")) for one in ticket["followup_set"]):
            return
        note = {"comment": f"{without_markup(change.note)}\n\n{mark}", "public": "false"}
        await self._comment(ticket, note)

    async def erase(self, ref: str, thread: str) -> Erased:
        """Delete the thread's tickets; comments and files go with them. Of merged ones each loses its own."""
        # A list that is not there (a proxy in between, another address) must not look like an empty one.
        await self._call("GET", "/tickets/", params={"page_size": 1})
        left = False
        for number in dict.fromkeys([ref, await self._find(token(thread))]):
            ticket = await self._load(number) if number else None
            if ticket is None or ticket.get(_FIELD) != thread:
                continue
            main = await self._load(str(ticket["merged_to"])) if ticket.get("merged_to") else None
            await self._remove(main, thread, str(number))
            if _others(ticket, thread):
                await self._remove(ticket, thread)
                await self._call("PATCH", f"/tickets/{number}/", json={"title": "(deleted)"})
                left = True
            else:
                await self._call("DELETE", f"/tickets/{number}/", good=(200, 204, 404))
        self._tickets.pop(thread, None)
        return Erased.REQUESTED if left else Erased.GONE

    async def _remove(self, ticket: Mapping[str, Any] | None, *origins: str) -> None:
        for one in (ticket or {}).get("followup_set") or ():
            if _origin(one, origins[0] if len(origins) == 1 else "") in origins:
                await self._call("DELETE", f"/followups/{one['id']}/", good=(200, 204, 404))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _mark(key: str, thread: str = "") -> str:
    """The last line of our comments. Merging moves them: with the thread each says whose it is."""
    return f"[veildesk {key} {thread}]" if thread else f"[veildesk {key}]"


def _origin(one: Mapping[str, Any], thread: str) -> str:
    """Whose a comment in the ticket of `thread` is: a thread, or the number of a ticket merged into it."""
    marked = _OURS.search(str(one.get("comment") or ""))
    moved = _FROM.match(str(one.get("title") or ""))
    return (marked[1] if marked and marked[1] else "") or (moved[1] if moved else thread)


def _others(ticket: Mapping[str, Any], thread: str) -> tuple[str, ...]:
    """Whose comments lie in the ticket beside those of `thread`, "" for one that does not say."""
    found = {_origin(one, thread) for one in ticket.get("followup_set") or ()} - {thread}
    return tuple(sorted({"" if one.isdigit() and len(one) < 20 else one for one in found}))


def _one_line(subject: str) -> str:
    return without_markup(subject_line(subject))[:200]


def _text(entry: TicketEntry) -> str:
    empty = "".join(f"\nThe file {file.name} is empty.\n" for file in entry.files if not file.content)
    return without_markup(shown(entry) + empty) + f"\n{_mark(entry.key, entry.thread)}"


def _named(files: Sequence[File], endings: Collection[str]) -> list[tuple[str, File]]:
    """Files with content, under names of 100 characters at most.

    The helpdesk breaks off at a file whose ending it does not know, and takes one without any: the dot of an
    unknown one becomes "_".
    """
    found = []
    for file in files:
        stem, dot, ending = file.name.rpartition(".")
        known = bool(stem) and f".{ending.lower()}" in endings
        name = f"{stem[:80]}{dot}{ending}" if known else file.name[:100].replace(".", "_")
        if file.content:
            found.append((name.strip() or "file", file))
    return found


def _is_of(ticket: Mapping[str, Any] | None, thread: str) -> bool:
    """Whether it is the thread's and was not merged into another person's."""
    return ticket is not None and ticket.get(_FIELD) == thread and not ticket.get("merged_to")


def _is_answer(one: Mapping[str, Any]) -> bool:
    """Public, of a member of staff who wrote in the helpdesk (mail has a Message-ID), and not of ours."""
    text = str(one.get("comment") or "")
    return (
        one.get("public") is True
        and one.get("user") is not None
        and not one.get("message_id")
        and not _OURS.search(text)
        and bool(text.strip() or one.get("followupattachment_set"))
    )


def _reply(one: Mapping[str, Any], thread: str, ref: str, cursor: str, others: tuple[str, ...]) -> AgentReply:
    if not thread:
        return AgentReply(thread="", reply_id=str(one["id"]), cursor=cursor, text="")
    return AgentReply(
        thread=thread,
        reply_id=str(one["id"]),
        cursor=cursor,
        text=answer_text([("text/plain", str(one.get("comment") or ""))]),
        ref=ref,
        others=others,
        remote=tuple(
            RemoteFile(
                str(file.get("filename") or ""),
                str(file.get("mime_type") or "application/octet-stream"),
                str(file.get("file") or ""),
                file["size"] if isinstance(file.get("size"), int) else None,
            )
            for file in one.get("followupattachment_set") or ()
        ),
    )
