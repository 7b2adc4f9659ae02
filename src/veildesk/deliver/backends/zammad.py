"""Zammad by its REST interface. Proven against recorded calls of a real server only; its page says which.

The thread lies in a ticket attribute, a message's key in the last line of its article. Searching goes by
`condition`, which Zammad answers from its database; `query` would ask a search index that lags behind.
Our messages are notes: Zammad's own triggers answer mail, telephone and web, not notes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any, Final

from veildesk.core.errors import BackendRefused, BackendUnavailable, VeildeskError
from veildesk.core.shown import shown, subject_line
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)
from veildesk.core.work import Reason
from veildesk.deliver.answers import Seen, answer_text
from veildesk.deliver.changed_tickets import START, answers_in_order, since
from veildesk.deliver.http import Answer, HelpdeskClient, client_from, read_secret
from veildesk.deliver.settings import Settings, token

__all__ = ["Zammad", "from_config"]

THREAD: Final = "veildesk_thread"
_KNOWN: Final = {"url", "token_file", "group", "customer", "webhook_file", "ca_file", "timeout"}
_PRIORITIES: Final = {"low": "1 low", "high": "3 high", "urgent": "3 high"}
_ENDED: Final = ("merged", "removed")
_MARK: Final = re.compile(r"\[veildesk [A-Za-z0-9]{8,64} ([A-Za-z0-9]{8,64})\]")
_PAGE: Final = 100
_API: Final = "/api/v1"


def from_config(name: str, settings: Mapping[str, Any]) -> Zammad:
    """Make the connector from `[backends.NAME]`: url, token_file, group, customer, webhook_file."""
    read = Settings(name, settings, _KNOWN)
    return Zammad(
        name,
        client_from(read),
        read_secret(name, settings, "token_file"),
        read.places(read.text("group")),
        customer=read.text("customer"),
        webhook=read_secret(name, settings, "webhook_file") if "webhook_file" in settings else "",
    )


class Zammad:
    """Implements `core.ports.Backend` and `Hints`. `groups` are Zammad's, the first for entries without a
    place; `customer` is one account with an address that leads nowhere, under which all tickets stand."""

    def __init__(
        self,
        name: str,
        client: HelpdeskClient,
        key: str,
        groups: tuple[str, ...],
        *,
        customer: str,
        webhook: str = "",
    ) -> None:
        self.name = name
        self._client = client
        self._headers = {"Authorization": f"Token token={key}"}
        self._groups = groups
        self._customer = customer
        self._webhook = webhook
        self._seen = Seen()

    async def _call(self, method: str, path: str, **request: Any) -> Answer:
        return await self._client.call(method, _API + path, headers=self._headers, **request)

    async def _search(self, condition: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = {"condition": condition, "per_page": _PAGE, "page": len(found) // _PAGE + 1}
            expand = {"expand": "true"}
            answer = (await self._call("POST", "/tickets/search", params=expand, json=page)).json()
            if not isinstance(answer, list):
                raise BackendUnavailable("answer-form")
            found += answer
            if len(answer) < _PAGE:
                return found

    async def _find(self, thread: str) -> list[str]:
        condition = {f"ticket.{THREAD}": {"operator": "is", "value": token(thread)}}
        tickets = await self._search(condition)
        return [str(ticket["id"]) for ticket in tickets if ticket.get(THREAD) == thread]

    async def _load(self, ref: str) -> dict[str, Any] | None:
        answer = await self._call("GET", f"/tickets/{ref}", params={"expand": "true"}, good=(200, 403, 404))
        found = answer.json() if answer.status == 200 else None
        return found if isinstance(found, dict) else None

    async def _articles(self, ref: str) -> list[dict[str, Any]]:
        answer = (await self._call("GET", f"/ticket_articles/by_ticket/{ref}")).json()
        if not isinstance(answer, list):
            raise BackendUnavailable("answer-form")
        return answer

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Log in, and look whether the attribute with the thread can be searched."""
        place = f"backend.{self.name}"
        try:
            await self._call("GET", "/users/me")
        except VeildeskError as error:
            wrong = error.detail in ("status-401", "status-403")
            found = "wrong token" if wrong else error.detail
            fix = "correct token_file" if wrong else "check url, and that Zammad runs"
            return [CheckResult(f"{place}.login", "Zammad lets us in", Level.FAIL, found, fix=fix)]
        results = [CheckResult(f"{place}.login", "Zammad lets us in", Level.OK)]
        title, fix = f"attribute {THREAD} can be searched", ""
        try:
            wrong = bool(await self._search({f"ticket.{THREAD}": {"operator": "is", "value": "0" * 32}}))
        except VeildeskError:
            wrong = True
        if wrong:
            fix = f"make the ticket attribute {THREAD} (text, 64 characters) and run its migration"
        results.append(CheckResult(f"{place}.field", title, Level.FAIL if wrong else Level.OK, fix=fix))
        fix = "see that no trigger mails customers about notes, and that agents answer with public notes"
        results.append(CheckResult(f"{place}.triggers", "triggers and channels", Level.SKIP, fix=fix))
        return results

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """Zammad warns against making attributes by its interface: a slip there can break an instance."""
        place = f"backend.{self.name}.setup"
        fix = f"an administrator makes the attribute {THREAD} and the customer by hand; see its page"
        return [CheckResult(place, "attributes are made by hand", Level.SKIP, fix=fix)]

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Look for the key among the articles of the thread's ticket; else append to it or make it."""
        key, thread = token(entry.key), token(entry.thread)
        for ref in dict.fromkeys([*([entry.ref] if entry.ref else []), *await self._find(thread)]):
            ticket = await self._load(ref)
            if ticket is None or ticket.get(THREAD) != thread or ticket.get("state") in _ENDED:
                continue
            mark = _mark(key, thread)
            if any(mark in str(article.get("body")) for article in await self._articles(ref)):
                return Delivered(ref, fresh=False)
            body = {**_article(entry), "ticket_id": int(ref), "internal": False}
            await self._call("POST", "/ticket_articles", json=body)
            if ticket.get("state") != "new":
                await self._call("PUT", f"/tickets/{ref}", json={"state": "open"})
            return Delivered(ref)
        body = {
            "title": subject_line(entry.subject),
            "state": "new",
            "priority": _PRIORITIES.get(entry.priority, "2 normal"),
            "owner": "-",
            "customer": self._customer,
            "group": entry.place or self._groups[0],
            THREAD: thread,
            "article": _article(entry),
        }
        made = (await self._call("POST", "/tickets", json=body)).json()
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise BackendUnavailable("answer-form")
        return Delivered(str(made["id"]))

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Public articles of agents in tickets that changed since shortly before the position."""
        position = _time(cursor)
        condition = {"operator": "after (absolute)", "value": since(position).isoformat()}
        tickets = {str(one["id"]): one for one in await self._search({"ticket.updated_at": condition})}

        async def read(ref: str) -> tuple[datetime, list[AgentReply]]:
            ticket = tickets[ref]
            thread = str(ticket.get(THREAD) or "") if ticket.get("state") != "merged" else ""
            return _time(str(ticket.get("updated_at"))), await self._answers(ref, thread) if thread else []

        write = datetime.isoformat
        async for reply in answers_in_order(self.name, cursor, position, tickets, read, write):
            yield reply

    async def _answers(self, ref: str, thread: str) -> list[AgentReply]:
        answers = []
        articles = await self._articles(ref)
        for article in articles:
            ours = "[veildesk " in str(article.get("body"))
            public = article.get("sender") == "Agent" and article.get("internal") is False
            if not public or ours or str(article["id"]) in self._seen:
                continue
            kind = str(article.get("content_type") or "text/plain")
            answers.append(
                AgentReply(
                    thread=thread,
                    reply_id=str(article["id"]),
                    cursor="",
                    text=answer_text([(kind, str(article.get("body") or ""))]),
                    ref=ref,
                    remote=tuple(
                        _remote(ref, article["id"], one) for one in article.get("attachments") or ()
                    ),
                    others=_others(articles, thread),
                    doubt=Reason.FORWARDED if _went_to_others(article, self._customer) else Reason.NONE,
                )
            )
        return answers

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not load it again while it is within the overlap."""
        if reply.reply_id:
            self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """The attachment's own address, in pieces."""
        async for piece in self._client.pieces(_API + file.handle, headers=self._headers):
            yield piece

    def hint(self, headers: Mapping[str, str], body: bytes) -> bool:
        """A webhook signed with our secret (`X-Hub-Signature: sha1=...` over the exact body)."""
        given = headers.get("x-hub-signature", "")
        wanted = "sha1=" + hmac.new(self._webhook.encode(), body, hashlib.sha1).hexdigest()
        return bool(self._webhook) and hmac.compare_digest(given.encode(), wanted.encode())

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """State and priority; a note as an internal article."""
        body: dict[str, Any] = {}
        if change.state is not None:
            body["state"] = change.state
        if change.priority is not None:
            body["priority"] = _PRIORITIES.get(change.priority, "2 normal")
        if body:
            await self._call("PUT", f"/tickets/{ref}", json=body)
        if change.note:
            mark = _mark(change.note_key)
            if change.note_key and any(mark in str(one.get("body")) for one in await self._articles(ref)):
                return
            note = {
                "ticket_id": int(ref),
                "body": f"{change.note}\n\n{mark}",
                "type": "note",
                "internal": True,
            }
            await self._call("POST", "/ticket_articles", json={**note, "content_type": "text/plain"})

    async def erase(self, ref: str, thread: str) -> Erased:
        """Delete the thread's tickets, which needs a token with the permission "admin".

        What was merged cannot be deleted apart: the other ticket's messages lie in the same one.
        """
        await self._call("GET", "/users/me")  # A token that lost its rights finds nothing.
        left = False
        for number in dict.fromkeys([*await self._find(thread), *([ref] if ref else [])]):
            answer = await self._call(
                "GET", f"/tickets/{number}", params={"expand": "true"}, good=(200, 403, 404)
            )
            ticket = answer.json() if answer.status == 200 else {}
            if answer.status == 404 or ticket.get(THREAD) not in (thread, "", None):
                continue
            whole = (
                answer.status == 200 and ticket.get("state") not in _ENDED and ticket.get(THREAD) == thread
            )
            if not whole or _others(await self._articles(number), thread):
                left = True
                continue
            try:
                await self._call("DELETE", f"/tickets/{number}", good=(200, 204, 404))
            except BackendRefused as error:
                if error.detail != "status-403":
                    raise
                left = True
                await self._call("PUT", f"/tickets/{number}", json={"title": "(deleted)", "state": "closed"})
        return Erased.UNSUPPORTED if left else Erased.GONE

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _mark(key: str, thread: str = "") -> str:
    """The last line of our articles. Merging moves them: with the thread each says whose it is."""
    return f"[veildesk {key} {thread}]" if thread else f"[veildesk {key}]"


def _others(articles: Sequence[Mapping[str, Any]], thread: str) -> tuple[str, ...]:
    """Whose messages lie in the ticket beside those of `thread`."""
    theirs = (one for one in articles if one.get("sender") == "Customer")
    marks = (_MARK.search(str(one.get("body"))) for one in theirs)
    return tuple(sorted({found[1] for found in marks if found} - {thread}))


def _went_to_others(article: Mapping[str, Any], customer: str) -> bool:
    """Whether it is no answer to the person: mails that agents forward are public too, and notes of calls."""
    kind = str(article.get("type") or "note")
    if kind == "email":
        return {a.lower() for _, a in getaddresses([str(article.get("to") or "")])} != {customer.lower()}
    return kind not in ("note", "web")


def _article(entry: TicketEntry) -> dict[str, Any]:
    article: dict[str, Any] = {
        "sender": "Customer",
        "type": "note",
        "subject": subject_line(entry.subject),
        "content_type": "text/plain",
        "body": f"{shown(entry)}\n{_mark(entry.key, entry.thread)}",
    }
    if entry.files:
        article["attachments"] = [
            {"filename": f.name, "data": base64.b64encode(f.content).decode(), "mime-type": f.media_type}
            for f in entry.files
        ]
    return article


def _remote(ref: str, article: int, one: Mapping[str, Any]) -> RemoteFile:
    kinds = one.get("preferences") or {}
    kind = str(kinds.get("Content-Type") or kinds.get("Mime-Type") or "application/octet-stream")
    size = str(one.get("size") or "")
    return RemoteFile(
        str(one.get("filename") or ""),
        kind.partition(";")[0],
        f"/ticket_attachment/{ref}/{article}/{int(one['id'])}",
        int(size) if size.isdigit() else None,
    )


def _time(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return START
    return found if found.tzinfo else found.replace(tzinfo=UTC)
