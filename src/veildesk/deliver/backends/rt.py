"""Request Tracker 5 by its REST 2 interface.

A ticket has the thread in a ticket field, each of our messages its key in a transaction field; both are
looked up before anything is made, since RT itself knows no idempotency. Tickets have no requestor: RT
then has nobody to mail. Answers are "Correspond" transactions of privileged users, so that a stranger who
mails into a ticket never speaks for the team.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
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
from veildesk.deliver.backends.rt_check import KEY, THREAD, came_by_mail, check_queue
from veildesk.deliver.backends.rt_session import PAGE, Login, RTSession, id_of, member, thread_of
from veildesk.deliver.host_command import erase_on_host, set_up_on_host
from veildesk.deliver.http import HelpdeskClient, client_from, read_secret
from veildesk.deliver.settings import Settings, token
from veildesk.deliver.standard_webhook import SharedSecret, shared_secret

__all__ = ["RequestTracker", "from_config"]

_KNOWN: Final = {
    *(
        "url",
        "user",
        "password_file",
        "token_file",
        "queue",
        "ca_file",
        "timeout",
        "erase_command",
        "setup_command",
    ),
    "webhook_file",
}
_PRIORITIES: Final = {"low": 10, "high": 70, "urgent": 90}
_INACTIVE: Final = frozenset({"resolved", "rejected", "stalled"})
_WINDOW: Final = 200


def from_config(name: str, settings: Mapping[str, Any]) -> RequestTracker:
    """Make the connector from `[backends.NAME]`: url, user and password_file (fast) or token_file, queue."""
    read = Settings(name, settings, _KNOWN)
    by_token = "token_file" in settings
    secret = read_secret(name, settings, "token_file" if by_token else "password_file")
    return RequestTracker(
        name,
        client_from(read),
        Login(read.text("user"), secret, by_token),
        read.places(read.text("queue")),
        erase_command=read.words("erase_command"),
        setup_command=read.words("setup_command"),
        hints=shared_secret(read, "webhook_file"),
    )


class RequestTracker:
    """Implements `core.ports.Backend` and `Hints`. `queues` are RT's, the first for those without a place."""

    def __init__(
        self,
        name: str,
        client: HelpdeskClient,
        login: Login,
        queues: tuple[str, ...],
        *,
        erase_command: tuple[str, ...] = (),
        setup_command: tuple[str, ...] = (),
        hints: SharedSecret | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._user = login.user
        self._rt = RTSession(client, login)
        self._call = self._rt.call
        self._queues = queues
        self._erase_command = erase_command
        self._setup_command = setup_command
        self._hints = hints
        self._seen = Seen()
        self._agents: OrderedDict[str, bool] = OrderedDict()
        self._sound: set[str] = set()
        self._settled = False

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Log in, then look at each queue, its fields and our rights there."""
        place = f"backend.{self.name}"
        try:
            me = (await self._call("GET", f"/user/{self._user}")).json()
        except VeildeskError as error:
            wrong = error.detail in ("status-401", "status-302")
            return [
                CheckResult(
                    f"{place}.login",
                    "Request Tracker lets us in",
                    Level.FAIL,
                    "wrong user, password or token" if wrong else error.detail,
                    "an answer",
                    "correct user and password_file" if wrong else "check url, and that RT runs",
                )
            ]
        results = [CheckResult(f"{place}.login", "Request Tracker lets us in", Level.OK)]
        if not me.get("Privileged"):
            fix = "tick 'Let this user be granted rights' for the user in RT"
            results.append(
                CheckResult(f"{place}.user", "our user is privileged", Level.FAIL, "not privileged", fix=fix)
            )
        for queue in self._queues:
            answer = await self._call("GET", f"/queue/{queue}", good=(200, 403, 404))
            results += check_queue(place, queue, answer.json() if answer.status == 200 else None)
        fix = "set erase_command, see the page on Request Tracker" if not self._erase_command else ""
        results.append(
            CheckResult(
                f"{place}.erase",
                "deleted tickets are erased on RT's host",
                Level.OK if self._erase_command else Level.WARN,
                "by erase_command" if self._erase_command else "only hidden, until somebody runs rt-shredder",
                fix=fix,
            )
        )
        return results

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """By the companion command on its host; the network interface can make none of it whole."""
        if self._setup_command:
            return await set_up_on_host(self.name, self._setup_command, self._queues, dry_run=dry_run)
        fix = "set setup_command, or do what its page says by hand"
        return [CheckResult(f"backend.{self.name}.setup", "set up on its host", Level.SKIP, fix=fix)]

    async def _require_fields(self, queue: str) -> None:
        """RT drops a field that it does not know without a word, and the answers would find no way back."""
        if queue in self._sound:
            return
        answer = await self._call("GET", f"/queue/{queue}", good=(200, 403, 404))
        found = check_queue("", queue, answer.json() if answer.status == 200 else None)
        if any(result.level is Level.FAIL for result in found):
            raise BackendRefused("queue-not-set-up")
        self._sound.add(queue)

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Look up by key; else find or make the ticket, and correspond."""
        key, thread = token(entry.key), token(entry.thread)
        queue = entry.place or self._queues[0]
        await self._require_fields(queue)
        known = await self._rt.search("transactions", f"'CF.{{{KEY}}}'='{key}'", "ObjectId")
        if known:
            return Delivered(str(known[0]["ObjectId"]), fresh=False)
        ref, status = await self._ticket(thread, entry.ref)
        if ref is None:
            ref, status = await self._create(queue, thread, entry), "new"
        await self._correspond(ref, entry)
        if status in _INACTIVE:
            await self._call("PUT", f"/ticket/{ref}", json={"Status": "open"})
        return Delivered(ref)

    async def _ticket(self, thread: str, ref: str | None) -> tuple[str | None, str]:
        """The ticket of this thread that may be written to, and its status."""
        known = [ref] if ref else []
        if not known:
            found = await self._rt.search("tickets", f"'CF.{{{THREAD}}}'='{thread}'")
            known = [str(item["id"]) for item in found]
        for number in known:
            ticket = await self._rt.load(number)
            # A ticket that was merged away is another person's now; a deleted one nobody reads.
            mine = ticket is not None and str(ticket.get("id")) == number and thread_of(ticket) == thread
            if ticket and mine and ticket.get("Status") != "deleted":
                return number, str(ticket.get("Status"))
        return None, ""

    async def _create(self, queue: str, thread: str, entry: TicketEntry) -> str:
        """A ticket without text: the transaction that makes it cannot carry a key, the next one can."""
        body: dict[str, Any] = {
            "Queue": queue,
            "Subject": subject_line(entry.subject),
            "CustomFields": {THREAD: thread},
        }
        if entry.priority in _PRIORITIES:
            body["Priority"] = _PRIORITIES[entry.priority]
        answer = await self._call("POST", "/ticket", json=body)
        return str(member(answer, "id", (str, int)))

    async def _correspond(self, ref: str, entry: TicketEntry) -> None:
        text = shown(entry)
        # RT refuses an empty file; agents are told of it instead.
        empty = [file.name for file in entry.files if not file.content]
        text += "".join(f"\nThe file {name} is empty.\n" for name in empty)
        body = {"Content": text, "ContentType": "text/plain", "TxnCustomFields": {KEY: entry.key}}
        parts: list[Any] = [("JSON", (None, json.dumps(body), "application/json"))]
        parts += [
            ("Attachments", (file.name, io.BytesIO(file.content), file.media_type))
            for file in entry.files
            if file.content
        ]
        request: dict[str, Any] = {"files": parts} if len(parts) > 1 else {"json": body}
        answer = await self._call("POST", f"/ticket/{ref}/correspond", **request)
        if any("Unable" in str(line) for line in answer.json()):
            raise BackendRefused("field-refused")

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Correspondence by agents after transaction `cursor`.

        Numbers are given before they are committed, so a few below the position are looked at again.
        """
        await self._see_queues()
        last = int(cursor) if cursor and cursor.isdigit() else 0
        if not self._settled:
            last = await self._not_beyond(last)
        self._settled = False
        queues = " OR ".join(f"TicketQueue='{queue}'" for queue in self._queues)
        after = max(0, last - _WINDOW)
        query = f"({queues}) AND id > {after} AND Type='Correspond' AND Creator != '{self._user}'"
        page = 1
        while True:
            items = await self._rt.search("transactions", query, "Creator,ObjectId", page)
            for item in items:
                number = str(item["id"])
                last = max(last, int(number))
                if number not in self._seen:
                    try:
                        yield await self._reply(item, number, str(last))
                    except BackendRefused:
                        # One that RT does not hand out whole must not hold up those after it.
                        yield await self._unreadable(item, number, str(last))
            if len(items) < PAGE:
                break
            page += 1
        self._settled = True

    async def _see_queues(self) -> None:
        """RT finds nothing in a queue that was renamed or that we may not see any more, and says no word."""
        for queue in self._queues:
            answer = await self._call("GET", f"/queue/{queue}", good=(200, 403, 404))
            found = check_queue("", queue, answer.json() if answer.status == 200 else None)
            if any(one.level is Level.FAIL and not one.id.endswith(".create") for one in found):
                raise BackendUnavailable("queue-not-set-up")

    async def _not_beyond(self, last: int) -> int:
        """The position, or the last number there is: an older copy of RT gives later ones once more."""
        if not last:
            return 0
        parameters = {"orderby": "id", "order": "DESC", "per_page": 1}
        answer = await self._call("POST", "/transactions", data={"query": "id > 0"}, params=parameters)
        items = member(answer, "items", list)
        return min(last, int(items[0]["id"])) if items else last

    async def _reply(self, item: Mapping[str, Any], number: str, cursor: str) -> AgentReply:
        nothing = AgentReply(thread="", reply_id=number, cursor=cursor, text="")
        if not await self._is_agent(str(id_of(item.get("Creator")))):
            return nothing
        ref = str(item["ObjectId"])
        thread, others = await self._rt.meant(ref, number)
        if not thread:
            return nothing
        parts = await self._parts(number)
        texts: list[tuple[str, str]] = []
        remote: list[RemoteFile] = []
        for part in parts:
            kind, name = str(part.get("ContentType") or ""), str(part.get("Filename") or "")
            if kind.startswith(("multipart/", "message/")) and not name:
                continue
            if name or not kind.startswith("text/"):
                size = str(part.get("ContentLength") or "")
                remote.append(RemoteFile(name, kind, str(part["id"]), int(size) if size.isdigit() else None))
            else:
                content = await self._content(str(part["id"]))
                texts.append((kind, content.decode("utf-8", "replace")))
        return AgentReply(
            thread=thread,
            reply_id=number,
            cursor=cursor,
            text=answer_text(texts),
            ref=ref,
            remote=tuple(remote),
            others=others,
            doubt=Reason.BY_MAIL if came_by_mail(parts) else Reason.NONE,
        )

    async def _unreadable(self, item: Mapping[str, Any], number: str, cursor: str) -> AgentReply:
        """Held for a person to look at: it is named as a file that could not be taken over."""
        ref = str(item["ObjectId"])
        thread, others = await self._rt.meant(ref, number)
        missing = ("the whole answer",) if thread else ()
        return AgentReply(thread, number, cursor, "", ref=ref, missing=missing, others=others)

    async def _parts(self, number: str) -> list[dict[str, Any]]:
        parameters = {"fields": "ContentType,Filename,ContentLength,Headers", "per_page": PAGE}
        answer = await self._call("GET", f"/transaction/{number}/attachments", params=parameters)
        parts: list[dict[str, Any]] = member(answer, "items", list)
        return parts

    async def _is_agent(self, user: str) -> bool:
        if user not in self._agents:
            answer = await self._call("GET", f"/user/{user}", good=(200, 403, 404))
            found = answer.json() if answer.status == 200 else {}
            self._agents[user] = bool(found.get("Privileged"))
            while len(self._agents) > 500:
                self._agents.popitem(last=False)
        return self._agents[user]

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not load it again while its number is within the window."""
        self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """RT hands files out as base64 in JSON: one piece."""
        yield await self._content(file.handle)

    async def _content(self, attachment: str) -> bytes:
        answer = await self._call("GET", f"/attachment/{attachment}")
        try:
            return base64.b64decode(member(answer, "Content", str))
        except binascii.Error:
            raise BackendUnavailable("answer-form") from None

    def hint(self, headers: Mapping[str, str], body: bytes) -> bool:
        """A notice of the scrip in deploy/helpdesk/rt, signed with the secret in `webhook_file`."""
        return self._hints is not None and self._hints.verifies(headers, body, int(time.time()))

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """Status, priority and fields by PUT; a note as a comment. RT has no tags."""
        body: dict[str, Any] = {}
        if change.state is not None:
            body["Status"] = "resolved" if change.state == "closed" else "open"
        if change.priority is not None:
            body["Priority"] = _PRIORITIES.get(change.priority, 50)
        if change.fields:
            body["CustomFields"] = dict(change.fields)
        ticket = await self._rt.load(ref)
        if ticket is not None and str(ticket.get("id")) != ref:
            # Merged: it would be said in another person's ticket, about that one.
            return
        if body:
            await self._call("PUT", f"/ticket/{ref}", json=body)
        if change.note:
            await self._comment(ref, change)

    async def _comment(self, ref: str, change: TicketChange) -> None:
        body: dict[str, Any] = {"Content": change.note, "ContentType": "text/plain"}
        if change.note_key:
            key = token(change.note_key)
            if await self._rt.search("transactions", f"'CF.{{{KEY}}}'='{key}'"):
                return
            body["TxnCustomFields"] = {KEY: key}
        await self._call("POST", f"/ticket/{ref}/comment", json=body)

    async def erase(self, ref: str, thread: str) -> Erased:
        """Delete all tickets of the thread, which hides them; then erase them by the host's command.

        What was merged is taken apart there first, so that each goes and stays with its own.
        """
        await self._see_queues()
        query = f"'CF.{{{THREAD}}}'='{token(thread)}' AND EffectiveId > 0"
        found = await self._rt.search("tickets", query)
        numbers = list(dict.fromkeys([*(str(item["id"]) for item in found), *([ref] if ref else [])]))
        left = [number for number in numbers if await self._rt.is_there(number, thread) is not False]
        for number in left:
            await self._hide(number)
        if left and self._erase_command:
            wanted = [f"{number} {thread}" for number in left]
            done = await erase_on_host(self.name, self._erase_command, wanted)
            there = [await self._rt.is_there(number, thread) for number in left]
            left = [] if done and not any(there) else left
        return Erased.REQUESTED if left else Erased.GONE

    async def _hide(self, number: str) -> None:
        """Should nobody erase it on the host, at least no list shows what it was about."""
        ticket = await self._rt.load(number)
        if ticket is None or ticket.get("Status") == "deleted":
            return
        together = await self._rt.search("tickets", f"EffectiveId={ticket['id']}")
        if len(together) <= 1:  # RT would hide a merged one with it.
            await self._call("PUT", f"/ticket/{number}", json={"Subject": "(deleted)"})
            await self._call("DELETE", f"/ticket/{number}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
