"""Znuny 6.5 (and OTRS 6) by the web service `deploy/helpdesk/znuny/Veildesk.yml` (GenericInterface, REST).

The thread lies in a dynamic field of the ticket, a message's key in one of the article, with the thread once
more: merging moves articles into another ticket. Errors come with HTTP status 200; they are looked for in
every answer. Our messages are articles of sender type "customer"
in the channel Internal, so Znuny mails nothing when they arrive.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any, Final

from veildesk.core.errors import BackendRefused, BackendUnavailable
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
from veildesk.deliver.host_command import erase_on_host, set_up_on_host
from veildesk.deliver.http import HelpdeskClient, client_from, read_secret
from veildesk.deliver.settings import Settings, token

__all__ = ["Znuny", "from_config"]

THREAD: Final = "VeildeskThread"
KEY: Final = "VeildeskKey"
_KNOWN: Final = {
    *(
        "url",
        "user",
        "password_file",
        "queue",
        "customer",
        "customer_address",
        "ca_file",
        "timeout",
        "erase_command",
        "setup_command",
    ),
}
_PRIORITIES: Final = {"low": "2 low", "high": "4 high", "urgent": "5 very high"}
_FORM: Final = "%Y-%m-%d %H:%M:%S"
_CODE: Final = re.compile(r"[A-Za-z.]{1,60}\Z")
_LASTING: Final = (
    *("InvalidParameter", "MissingParameter", "AccessDenied", "NoPermission", "AuthFail", "EmptyRequest"),
    *("WrongStructure", "NotTicketData", "NotValidTicketID", "InvalidConfiguration"),
)
"""How codes end of faults that do not pass by themselves."""
_FILES_ANSWER: Final = 160 * 1024 * 1024


def from_config(name: str, settings: Mapping[str, Any]) -> Znuny:
    """Make the connector from `[backends.NAME]`; `url` is that of the web service."""
    read = Settings(name, settings, _KNOWN)
    return Znuny(
        name,
        client_from(read),
        (read.text("user"), read_secret(name, settings, "password_file")),
        read.places(read.text("queue")),
        customer=read.text("customer", "veildesk"),
        address=read.text("customer_address", "veildesk@veildesk.invalid"),
        erase_command=read.words("erase_command"),
        setup_command=read.words("setup_command"),
    )


class _Refusal(BackendRefused):
    """An error that Znuny names in its answer; `detail` is Znuny's own code word, `about` what it names."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code if _CODE.match(code) else "error")
        self.about = next((word for word in ("CustomerUser", "Queue", "Priority") if word in message), "")


class Znuny:
    """Implements `core.ports.Backend`. `queues` are Znuny's, the first for entries without a place."""

    def __init__(
        self,
        name: str,
        client: HelpdeskClient,
        login: tuple[str, str],
        queues: tuple[str, ...],
        *,
        customer: str,
        address: str = "veildesk@veildesk.invalid",
        erase_command: tuple[str, ...] = (),
        setup_command: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._client = client
        self._login = login
        self._queues = queues
        self._customer = customer
        self._address = address
        self._erase_command = erase_command
        self._setup_command = setup_command
        self._session = ""
        self._seen = Seen()

    # -------------------------------------------------------------- transport
    async def _call(self, path: str, body: Mapping[str, Any], limit: int | None = None) -> dict[str, Any]:
        if not self._session:
            await self._log_in()
        try:
            return await self._once(path, body, limit)
        except _Refusal as error:
            if not error.detail.endswith("AuthFail"):
                raise
        # The session ended: Znuny forgets it after a while.
        await self._log_in()
        return await self._once(path, body, limit)

    async def _log_in(self) -> None:
        self._session = ""
        user, password = self._login
        answer = await self._once("/Session", {"UserLogin": user, "Password": password}, None)
        self._session = str(answer.get("SessionID") or "")

    async def _once(self, path: str, body: Mapping[str, Any], limit: int | None) -> dict[str, Any]:
        whole = {"SessionID": self._session, **body} if self._session else dict(body)
        answer = (await self._client.call("POST", path, json=whole, limit=limit)).json()
        if not isinstance(answer, dict):
            raise BackendUnavailable("answer-form")
        if "Error" in answer:
            error = answer["Error"] if isinstance(answer["Error"], dict) else {}
            code = str(error.get("ErrorCode") or "")
            if not code.endswith(_LASTING):
                # A database that is away, a lock: Znuny has no code of its own for those.
                raise BackendUnavailable("error-inside")
            raise _Refusal(code, str(error.get("ErrorMessage") or ""))
        return answer

    async def _find(self, thread: str) -> list[str]:
        query = {f"DynamicField_{THREAD}": {"Equals": token(thread)}, "SortBy": "Age", "OrderBy": "Up"}
        return _numbers(await self._call("/Ticket/Search", query))

    async def _load(self, ref: str, **more: Any) -> dict[str, Any] | None:
        """A ticket with its articles, without the content of files; None when it is not there for us."""
        body = {"TicketID": ref, "DynamicFields": 1, "AllArticles": 1, "Attachments": 1, **more}
        try:
            answer = await self._call("/Ticket/Get", {"GetAttachmentContents": 0, **body})
        except _Refusal as error:
            if error.detail.startswith("TicketGet."):
                return None
            raise
        tickets = answer.get("Ticket")
        if not isinstance(tickets, list) or not tickets or not isinstance(tickets[0], dict):
            raise BackendUnavailable("answer-form")
        ticket: dict[str, Any] = tickets[0]
        return ticket

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Log in, then look for each queue and both fields by searching."""
        place = f"backend.{self.name}"
        try:
            await self._log_in()
        except (BackendRefused, BackendUnavailable) as error:
            wrong = error.detail.endswith("AuthFail")
            found = "wrong user or password" if wrong else error.detail
            fix = "correct user and password_file" if wrong else "check url and the imported web service"
            return [CheckResult(f"{place}.login", "Znuny lets us in", Level.FAIL, found, "a session", fix)]
        results = [CheckResult(f"{place}.login", "Znuny lets us in", Level.OK)]
        for queue in self._queues:
            results.append(await self._check_queue(f"{place}.queue", queue))
        results.append(await self._check_field(f"{place}.field"))
        results.append(
            CheckResult(
                f"{place}.erase",
                "tickets are erased on Znuny's host",
                Level.OK if self._erase_command else Level.WARN,
                "by erase_command" if self._erase_command else "only renamed and set to removed",
                fix="" if self._erase_command else "set erase_command, see the page on Znuny",
            )
        )
        return results

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """By the companion command on its host; the network interface can make none of it whole."""
        if self._setup_command:
            return await set_up_on_host(self.name, self._setup_command, self._queues, dry_run=dry_run)
        fix = "set setup_command, or do what its page says by hand"
        return [CheckResult(f"backend.{self.name}.setup", "set up on its host", Level.SKIP, fix=fix)]

    async def _check_queue(self, identity: str, queue: str) -> CheckResult:
        """Ask for a ticket that cannot be made: what Znuny complains of first says what is wrong."""
        title = f"tickets can be made in {queue}"
        ticket = {
            "Title": "check",
            "Queue": queue,
            "State": "new",
            "Priority": "-",
            "CustomerUser": self._customer,
        }
        article = _article("check", "check", sender="customer", visible=0)
        about = ""
        try:
            await self._call("/Ticket", {"Ticket": ticket, "Article": article})
        except _Refusal as error:
            about = error.about
        if about == "Priority":
            return CheckResult(identity, title, Level.OK)
        if about == "CustomerUser":
            fix = f"register the customer {self._customer} in Znuny, or name another in customer"
            return CheckResult(identity, title, Level.FAIL, "unknown customer", fix=fix)
        fix = f"make the queue {queue}, correct its name, or grant our user rw on its group"
        return CheckResult(identity, title, Level.FAIL, "no such queue for us", fix=fix)

    async def _check_field(self, identity: str) -> CheckResult:
        title, nobody = f"field {THREAD} can be searched", "0" * 32
        query = {f"DynamicField_{THREAD}": {"Equals": nobody}, "Limit": 1}
        try:
            found = _numbers(await self._call("/Ticket/Search", query))
        except BackendRefused:
            found = ["?"]
        # A condition on a field that does not exist is ignored: then everything is found.
        fix = "run veildesk-znuny-setup on Znuny's host" if found else ""
        level = Level.FAIL if found else Level.OK
        return CheckResult(identity, title, level, "missing" if found else "", fix=fix)

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Find the ticket and look for the key among its articles; else append to it or make it."""
        key, thread = token(entry.key), token(entry.thread)
        found = await self._find(thread)
        for ref in dict.fromkeys([*([entry.ref] if entry.ref else []), *found]):
            ticket = await self._load(ref, ArticleSenderType=["customer"], Attachments=0)
            if ticket is None or _field(ticket, THREAD) != thread or ticket.get("StateType") in _ENDED:
                continue
            if any(_field(article, KEY) == f"{key} {thread}" for article in _articles(ticket)):
                return Delivered(ref, fresh=False)
            await self._call(
                "/Ticket/Update", {"TicketID": ref, "Ticket": {"State": "open"}, **_parts(entry)}
            )
            return Delivered(ref)
        return Delivered(await self._create(entry))

    async def _create(self, entry: TicketEntry) -> str:
        parts = _parts(entry)
        parts["DynamicField"].append({"Name": THREAD, "Value": entry.thread})
        ticket = {
            "Title": subject_line(entry.subject),
            "Queue": entry.place or self._queues[0],
            "State": "new",
            "Priority": _PRIORITIES.get(entry.priority, "3 normal"),
            "CustomerUser": self._customer,
        }
        answer = await self._call("/Ticket", {"Ticket": ticket, **parts})
        ref = str(answer.get("TicketID") or "")
        if not ref.isdigit():
            raise BackendUnavailable("answer-form")
        return ref

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Visible articles of agents in tickets that changed since shortly before the position."""
        position = _time(cursor) or START
        query = {
            "Queues": list(self._queues),
            "TicketLastChangeTimeNewerDate": since(position).strftime(_FORM),
            "SortBy": "Changed",
            "OrderBy": "Up",
            "Limit": 10000,
        }
        refs = _numbers(await self._call("/Ticket/Search", query))
        write = lambda time: time.strftime(_FORM)  # noqa: E731
        async for reply in answers_in_order(self.name, cursor, position, refs, self._answers, write):
            yield reply

    async def _answers(self, ref: str) -> tuple[datetime, list[AgentReply]]:
        ticket = await self._load(ref, ArticleSenderType=["agent"])
        if ticket is None:
            return START, []
        changed, thread = _time(str(ticket.get("Changed"))) or START, _field(ticket, THREAD)
        if not thread or ticket.get("StateType") == "merged":
            # Merging leaves a remark for the customer behind, with the number of the other ticket.
            return changed, []
        articles = {str(one.get("ArticleID")): one for one in _articles(ticket) if _is_answer(one)}
        fresh = [number for number in articles if number.isdigit() and number not in self._seen]
        others = await self._others(ref, thread) if fresh else ()
        return changed, [
            _reply(number, ref, thread, articles[number], others, self._address) for number in fresh
        ]

    async def _others(self, ref: str, thread: str) -> tuple[str, ...]:
        """Whose messages lie in the ticket beside those of `thread`. Merging moves articles, answers too."""
        ticket = await self._load(ref, ArticleSenderType=["customer"], Attachments=0) or {}
        threads = {_field(one, KEY).partition(" ")[2] for one in _articles(ticket)}
        return tuple(sorted(threads - {"", thread}))

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not load it again while it is within the overlap."""
        if reply.reply_id:
            self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Znuny hands files out with their ticket only, as base64 in JSON: one piece."""
        ref, article_id, file_id = file.handle.split("/")
        body = {"TicketID": ref, "AllArticles": 1, "ArticleSenderType": ["agent"], "Attachments": 1}
        answer = await self._call("/Ticket/Get", {**body, "GetAttachmentContents": 1}, limit=_FILES_ANSWER)
        for article in _articles((answer.get("Ticket") or [{}])[0]):
            for one in article.get("Attachment") or ():
                if (str(article.get("ArticleID")), str(one.get("FileID"))) == (article_id, file_id):
                    try:
                        yield base64.b64decode(one["Content"])
                    except (binascii.Error, KeyError, TypeError):
                        raise BackendUnavailable("answer-form") from None
                    return
        raise BackendRefused("file-gone")

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """State, priority and dynamic fields; a note as an article that only agents see."""
        ticket: dict[str, Any] = {}
        if change.state is not None:
            ticket["State"] = "closed successful" if change.state == "closed" else "open"
        if change.priority is not None:
            ticket["Priority"] = _PRIORITIES.get(change.priority, "3 normal")
        fields = [{"Name": name, "Value": value} for name, value in change.fields.items()]
        body: dict[str, Any] = {"TicketID": ref}
        if change.note and not await self._has_note(ref, change.note_key):
            body["Article"] = _article("Veildesk", change.note, sender="agent", visible=0)
            if change.note_key:
                fields.append({"Name": KEY, "Value": token(change.note_key)})
        if ticket:
            body["Ticket"] = ticket
        if fields:
            body["DynamicField"] = fields
        if len(body) > 1:
            await self._call("/Ticket/Update", body)

    async def _has_note(self, ref: str, key: str) -> bool:
        ticket = await self._load(ref, ArticleSenderType=["agent"], Attachments=0) if key else None
        return ticket is not None and any(_field(article, KEY) == key for article in _articles(ticket))

    async def erase(self, ref: str, thread: str) -> Erased:
        """Erase by the host's command; without one, the ticket loses its title and is set to removed.

        A ticket that we may not see looks like one that is not there: only the host knows.
        """
        left = []
        for number in dict.fromkeys([*await self._find(thread), *([ref] if ref else [])]):
            ticket = await self._load(number, ArticleSenderType=["system"], Attachments=0)
            if ticket is not None and _field(ticket, THREAD) not in (thread, ""):
                continue
            if ticket is not None and ticket.get("StateType") not in _ENDED and _field(ticket, THREAD):
                await self._hide(number, thread)
            left.append(number)
        wanted = [f"{number} {thread}" for number in left]
        if left and self._erase_command and await erase_on_host(self.name, self._erase_command, wanted):
            left = [number for number in left if await self._load(number, Attachments=0) is not None]
        return Erased.REQUESTED if left else Erased.GONE

    async def _hide(self, number: str, thread: str) -> None:
        change = {"Title": "(deleted)"}
        if not await self._others(number, thread):
            change["State"] = "removed"
        await self._call("/Ticket/Update", {"TicketID": number, "Ticket": change})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


_ENDED: Final = ("removed", "merged")
_BY_MAIL, _INTERNAL = "1", "3"
"""Numbers of the channels, as Znuny's own database script gives them."""


def _article(subject: str, text: str, *, sender: str, visible: int) -> dict[str, Any]:
    return {
        "CommunicationChannel": "Internal",
        "SenderType": sender,
        "IsVisibleForCustomer": visible,
        "Subject": subject,
        "Body": text,
        "ContentType": "text/plain; charset=utf8",
    }


def _parts(entry: TicketEntry) -> dict[str, Any]:
    """Article, key and files of an entry. Znuny refuses an empty file; agents are told of it instead."""
    text = shown(entry) + "".join(f"\nThe file {f.name} is empty.\n" for f in entry.files if not f.content)
    parts: dict[str, Any] = {
        "Article": _article(subject_line(entry.subject), text, sender="customer", visible=1),
        "DynamicField": [{"Name": KEY, "Value": f"{entry.key} {entry.thread}"}],
    }
    files = [
        {
            "Content": base64.b64encode(file.content).decode(),
            "ContentType": file.media_type,
            "Filename": file.name,
        }
        for file in entry.files
        if file.content
    ]
    if files:
        parts["Attachment"] = files
    return parts


def _is_answer(article: Mapping[str, Any]) -> bool:
    """By an agent, for the person, and neither one of ours nor Znuny's own remark about a merging."""
    visible = str(article.get("IsVisibleForCustomer")) == "1" and article.get("Subject") != "Ticket Merged"
    return visible and article.get("SenderType") == "agent" and not _field(article, KEY)


def _went_to_others(article: Mapping[str, Any], address: str) -> bool:
    """Whether it is no answer to the person: visible for the customer are also a mail that an agent forwards
    to somebody, and a note about a telephone call. Replies by mail go to our customer's address."""
    channel = str(article.get("CommunicationChannelID") or "")
    if channel == _BY_MAIL:
        to = {found.lower() for _, found in getaddresses([str(article.get("To") or "")])}
        return to != {address.lower()}
    return channel != _INTERNAL


def _reply(
    number: str, ref: str, thread: str, article: Mapping[str, Any], others: tuple[str, ...], address: str
) -> AgentReply:
    kind = str(article.get("MimeType") or article.get("ContentType") or "text/plain")
    remote = []
    for one in article.get("Attachment") or ():
        media_type = str(one.get("ContentType") or "").partition(";")[0].strip().lower()
        inline = str(one.get("Disposition") or "").startswith("inline")
        if inline and media_type == "text/html" and str(one.get("Filename")) in ("file-1", "file-2"):
            continue  # the same text as Body, as HTML
        size = str(one.get("FilesizeRaw") or "")
        handle = f"{ref}/{number}/{one.get('FileID')}"
        remote.append(
            RemoteFile(
                str(one.get("Filename") or ""), media_type, handle, int(size) if size.isdigit() else None
            )
        )
    return AgentReply(
        thread=thread,
        reply_id=number,
        cursor="",
        text=answer_text([(kind, str(article.get("Body") or ""))]),
        ref=ref,
        remote=tuple(remote),
        others=others,
        doubt=Reason.FORWARDED if _went_to_others(article, address) else Reason.NONE,
    )


def _articles(ticket: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    articles = ticket.get("Article") or ()
    for article in articles if isinstance(articles, list) else (articles,):
        if isinstance(article, dict):
            yield article


def _field(record: Mapping[str, Any], name: str) -> str:
    for one in record.get("DynamicField") or ():
        if isinstance(one, Mapping) and one.get("Name") == name:
            return str(one.get("Value") or "")
    return ""


def _numbers(answer: Mapping[str, Any]) -> list[str]:
    """Ticket ids of a search: Znuny leaves the member out when there are none."""
    found = answer.get("TicketID") or []
    return [str(number) for number in (found if isinstance(found, list) else [found])]


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
