"""Redmine 5 and 6 by its REST interface.

The thread lies in an issue field. Journals have no fields of their own, so a message's key stands in the
last line of its text. The text is defused: Redmine would load an image that a stranger names in it, and
tell its host who reads the ticket when.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
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
from veildesk.deliver.answers import Seen, answer_text
from veildesk.deliver.changed_tickets import START, answers_in_order, since
from veildesk.deliver.http import Answer, HelpdeskClient, client_from, read_secret
from veildesk.deliver.markup import without_markup
from veildesk.deliver.settings import Settings, token

__all__ = ["Redmine", "from_config"]

THREAD: Final = "veildesk-thread"
_KNOWN: Final = {"url", "token_file", "project", "field", "ca_file", "timeout"}
_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_PAGE: Final = 100


def from_config(name: str, settings: Mapping[str, Any]) -> Redmine:
    """Make the connector from `[backends.NAME]`: url, token_file (our account's API key), project, field."""
    read = Settings(name, settings, _KNOWN)
    return Redmine(
        name,
        client_from(read),
        read_secret(name, settings, "token_file"),
        read.places(read.text("project")),
        read.whole("field", 1) if "field" in settings else 0,
    )


class Redmine:
    """Implements `core.ports.Backend`. `projects` are identifiers, the first for entries without a place.

    `field` is the number of the field with the thread; 0 looks it up, which Redmine allows where the field is
    ticked for the project, not where it is for all."""

    def __init__(
        self, name: str, client: HelpdeskClient, key: str, projects: tuple[str, ...], field: int = 0
    ) -> None:
        self.name = name
        self._client = client
        self._headers = {"X-Redmine-API-Key": key}
        self._projects = projects
        self._seen = Seen()
        self._fields: dict[str, int] = dict.fromkeys(projects, field) if field else {}
        self._me = 0

    # -------------------------------------------------------------- transport
    async def _call(
        self, method: str, path: str, extra: Mapping[str, str] | None = None, **request: Any
    ) -> Answer:
        return await self._client.call(method, path, headers={**self._headers, **(extra or {})}, **request)

    async def _get(self, path: str, member: str, **parameters: Any) -> Any:
        answer = (await self._call("GET", path, params=parameters)).json()
        if not isinstance(answer, dict) or member not in answer:
            raise BackendUnavailable("answer-form")
        return answer[member]

    async def _field(self, project: str) -> int:
        """The number of the field with the thread. Raises `BackendRefused` when the project has none."""
        if project not in self._fields:
            found = await self._get(f"/projects/{project}.json", "project", include="issue_custom_fields")
            for one in found.get("issue_custom_fields") or ():
                if one.get("name") == THREAD:
                    self._fields[project] = int(one["id"])
        if project not in self._fields:
            raise BackendRefused("field-missing")
        return self._fields[project]

    async def _find(self, thread: str) -> list[str]:
        found: list[str] = []
        for project in self._projects:
            condition = {f"cf_{await self._field(project)}": thread, "status_id": "*"}
            issues = await self._get("/issues.json", "issues", project_id=project, **condition)
            found += [str(issue["id"]) for issue in issues if _thread_of(issue) == thread]
        return found

    async def _load(self, ref: str) -> dict[str, Any] | None:
        answer = await self._call(
            "GET",
            f"/issues/{ref}.json",
            params={"include": "journals,attachments"},
            good=(200, 403, 404),
        )
        if answer.status != 200:
            return None
        issue = answer.json().get("issue")
        return issue if isinstance(issue, dict) else None

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Log in, then look at each project, its field and our membership."""
        place = f"backend.{self.name}"
        try:
            me = await self._get("/users/current.json", "user")
        except VeildeskError as error:
            wrong = error.detail in ("status-401", "status-403")
            found = "wrong key, or the REST interface is off" if wrong else error.detail
            fix = "correct token_file; tick 'Enable REST web service' in Redmine" if wrong else "check url"
            return [CheckResult(f"{place}.login", "Redmine lets us in", Level.FAIL, found, fix=fix)]
        results = [CheckResult(f"{place}.login", "Redmine lets us in", Level.OK)]
        if me.get("admin"):
            fix = "use an account with a role in the project and no more"
            results.append(
                CheckResult(f"{place}.admin", "our account is no administrator", Level.WARN, fix=fix)
            )
        return results + [await self._check_project(place, project) for project in self._projects]

    async def set_up(self, *, dry_run: bool) -> list[CheckResult]:
        """Redmine's interface can make no fields, roles or accounts: that is a person's work."""
        place = f"backend.{self.name}.setup"
        fix = f"an administrator makes the field {THREAD}, the role and the account by hand; see its page"
        return [CheckResult(place, "fields cannot be made by its interface", Level.SKIP, fix=fix)]

    async def _check_project(self, place: str, project: str) -> CheckResult:
        """A filter on a field that does not exist is ignored, and everything is found."""
        title = f"issues of {project} are found by {THREAD}"
        try:
            condition = {f"cf_{await self._field(project)}": "0" * 32, "status_id": "*", "limit": 1}
            found = await self._get("/issues.json", "issues", project_id=project, **condition)
        except BackendRefused as error:
            if error.detail != "field-missing":
                fix = f"give our account a role in {project}, or correct the name"
                return CheckResult(f"{place}.project", title, Level.FAIL, error.detail, fix=fix)
            found = ["missing"]
        if found:
            fix = f"make the issue field {THREAD}: text, a filter, for {project} and all trackers; or name it"
            fix += " by its number in field"
            return CheckResult(f"{place}.project", title, Level.FAIL, "no such field", fix=fix)
        return CheckResult(f"{place}.project", title, Level.OK)

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Look for the key in the issue of the thread; else append to it or make it."""
        key, thread = token(entry.key), token(entry.thread)
        project = entry.place or self._projects[0]
        field = await self._field(project)
        for ref in dict.fromkeys([*([entry.ref] if entry.ref else []), *await self._find(thread)]):
            issue = await self._load(ref)
            if issue is None or _thread_of(issue) != thread:
                continue
            texts = [str(issue.get("description")), *(str(j.get("notes")) for j in issue.get("journals", ()))]
            if any(_mark(key) in text for text in texts):
                return Delivered(ref, fresh=False)
            change: dict[str, Any] = {"notes": _text(entry), "uploads": await self._upload(entry)}
            if (issue.get("status") or {}).get("is_closed") or await self._is_closed(issue):
                change["status_id"] = await self._status(closed=False)
            await self._call("PUT", f"/issues/{ref}.json", json={"issue": change})
            return Delivered(ref)
        body = {
            "project_id": project,
            "subject": subject_line(entry.subject),
            "description": _text(entry),
            "custom_fields": [{"id": field, "value": thread}],
            "uploads": await self._upload(entry),
        }
        answer = (await self._call("POST", "/issues.json", json={"issue": body})).json()
        made = answer.get("issue") if isinstance(answer, dict) else None
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise BackendUnavailable("answer-form")
        if _thread_of(made) != thread:
            # A field with another number is dropped without a word, and no answer would find the way back.
            await self._call("DELETE", f"/issues/{made['id']}.json", good=(200, 204, 404))
            raise BackendRefused("field-missing")
        return Delivered(str(made["id"]))

    async def _upload(self, entry: TicketEntry) -> list[dict[str, str]]:
        """Files go first; one that no issue takes is swept by Redmine itself."""
        tokens = []
        for file in entry.files:
            if not file.content:
                continue
            answer = await self._call(
                "POST",
                "/uploads.json",
                params={"filename": file.name},
                content=_pieces(file.content),
                good=(201,),
                extra={"Content-Type": "application/octet-stream", "Content-Length": str(len(file.content))},
            )
            upload = answer.json()["upload"]["token"]
            tokens.append({"token": upload, "filename": file.name, "content_type": file.media_type})
        return tokens

    async def _is_closed(self, issue: Mapping[str, Any]) -> bool:
        statuses = await self._get("/issue_statuses.json", "issue_statuses")
        current = (issue.get("status") or {}).get("id")
        return any(one["id"] == current and one.get("is_closed") for one in statuses)

    async def _status(self, *, closed: bool) -> int:
        for one in await self._get("/issue_statuses.json", "issue_statuses"):
            if bool(one.get("is_closed")) is closed:
                return int(one["id"])
        raise BackendRefused("no-such-status")

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Public notes of members in issues that changed since shortly before the position."""
        position = _time(cursor)
        members: dict[str, set[int]] = {}
        changed: dict[str, tuple[str, datetime]] = {}
        for project in self._projects:
            members[project] = await self._members(project)
            for ref, time in await self._changed(project, since(position).strftime(_FORM)):
                changed[ref] = project, time

        async def read(ref: str) -> tuple[datetime, list[AgentReply]]:
            project, time = changed[ref]
            issue = await self._load(ref)
            if issue is None or not _thread_of(issue):
                return time, []
            journals = issue.get("journals") or ()
            theirs = [one for one in journals if self._is_answer(one, members[project])]
            return time, [_reply(str(one["id"]), ref, issue, one) for one in theirs]

        write = lambda time: time.strftime(_FORM)  # noqa: E731
        async for reply in answers_in_order(self.name, cursor, position, changed, read, write):
            yield reply

    async def _changed(self, project: str, since: str) -> list[tuple[str, datetime]]:
        changed: list[tuple[str, datetime]] = []
        while True:
            page = await self._get(
                "/issues.json",
                "issues",
                project_id=project,
                status_id="*",
                updated_on=f">={since}",
                sort="updated_on",
                limit=_PAGE,
                offset=len(changed),
            )
            changed += [(str(issue["id"]), _time(str(issue.get("updated_on")))) for issue in page]
            if len(page) < _PAGE:
                return changed

    async def _members(self, project: str) -> set[int]:
        """Users with a role in the project but us: a stranger who mails into an issue has none."""
        if not self._me:
            self._me = int((await self._get("/users/current.json", "user"))["id"])
        members: set[int] = set()
        offset = 0
        while True:
            page = await self._get(
                f"/projects/{project}/memberships.json", "memberships", limit=_PAGE, offset=offset
            )
            members |= {int(one["user"]["id"]) for one in page if "user" in one}
            offset += _PAGE
            if len(page) < _PAGE:
                return members - {self._me}

    def _is_answer(self, journal: Mapping[str, Any], members: set[int]) -> bool:
        files = any(one.get("property") == "attachment" for one in journal.get("details") or ())
        return (
            not journal.get("private_notes")
            and int((journal.get("user") or {}).get("id") or 0) in members
            and bool((journal.get("notes") or "").strip() or files)
            and str(journal["id"]) not in self._seen
        )

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not load it again while it is within the overlap."""
        if reply.reply_id:
            self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """The file's own address, in pieces."""
        async for piece in self._client.pieces(file.handle, headers=self._headers):
            yield piece

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """State, and a remark as a private note. Redmine has no tags; priorities are each site's own."""
        body: dict[str, Any] = {}
        if change.state is not None:
            body["status_id"] = await self._status(closed=change.state == "closed")
        if change.note:
            mark = f"\n\n{_mark(token(change.note_key))}" if change.note_key else ""
            issue = await self._load(ref)
            if issue is None:
                return
            notes = [str(journal.get("notes")) for journal in issue.get("journals") or ()]
            if not (mark and any(mark.strip() in note for note in notes)):
                body |= {"notes": change.note + mark, "private_notes": True}
        if body:
            await self._call("PUT", f"/issues/{ref}.json", json={"issue": body})

    async def erase(self, ref: str, thread: str) -> Erased:
        """Delete every issue of the thread; Redmine removes its notes and files with it."""
        for number in dict.fromkeys([*await self._find(token(thread)), *([ref] if ref else [])]):
            answer = await self._call("GET", f"/issues/{number}.json", good=(200, 403, 404))
            if answer.status == 403:
                # Moved to where we may not look: it is not gone.
                raise BackendUnavailable("issue-not-shown")
            issue = answer.json().get("issue") if answer.status == 200 else None
            if issue is not None and _thread_of(issue) == thread:
                await self._call("DELETE", f"/issues/{number}.json", good=(200, 204, 404))
        return Erased.GONE

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _mark(key: str) -> str:
    return f"[veildesk {key}]"


def _text(entry: TicketEntry) -> str:
    empty = "".join(f"\nThe file {file.name} is empty.\n" for file in entry.files if not file.content)
    return without_markup(shown(entry) + empty) + f"\n{_mark(entry.key)}"


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    reader = io.BytesIO(content)
    while piece := reader.read(65536):
        yield piece


def _reply(number: str, ref: str, issue: Mapping[str, Any], journal: Mapping[str, Any]) -> AgentReply:
    attached = {str(one["id"]): one for one in issue.get("attachments") or ()}
    names = [
        str(one.get("name")) for one in journal.get("details") or () if one.get("property") == "attachment"
    ]
    remote = tuple(
        RemoteFile(
            str(attached[name].get("filename") or ""),
            str(attached[name].get("content_type") or "application/octet-stream"),
            f"/attachments/download/{name}",
            int(attached[name].get("filesize") or 0) or None,
        )
        for name in names
        if name in attached
    )
    return AgentReply(
        thread=_thread_of(issue),
        reply_id=number,
        cursor="",
        text=answer_text([("text/plain", str(journal.get("notes") or ""))]),
        ref=ref,
        remote=remote,
    )


def _thread_of(issue: Mapping[str, Any]) -> str:
    for one in issue.get("custom_fields") or ():
        if one.get("name") == THREAD:
            return str(one.get("value") or "")
    return ""


def _time(text: str | None) -> datetime:
    try:
        return datetime.strptime(text or "", _FORM).replace(tzinfo=UTC)
    except ValueError:
        return START
