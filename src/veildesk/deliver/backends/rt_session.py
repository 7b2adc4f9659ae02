"""A session with Request Tracker's REST 2 interface, and what it shows of merged tickets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from veildesk.core.errors import BackendUnavailable
from veildesk.deliver.backends.rt_check import THREAD
from veildesk.deliver.http import Answer, HelpdeskClient

__all__ = ["PAGE", "Login", "RTSession", "id_of", "member", "thread_of"]

PAGE: Final = 100
_NO_SESSION: Final = (302, 401)
_REST: Final = "/REST/2.0"


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are in RT. With a token each request costs RT a bcrypt; a session costs it once."""

    user: str
    secret: str
    is_token: bool = False

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


class RTSession:
    """Calls as our user; a session that ended is renewed."""

    def __init__(self, client: HelpdeskClient, login: Login) -> None:
        self._client = client
        self._login = login

    async def call(
        self, method: str, path: str, *, good: tuple[int, ...] = (200, 201, 204), **request: Any
    ) -> Answer:
        """One call, see `HelpdeskClient.call`."""
        if self._login.is_token:
            request["headers"] = {"Authorization": f"token {self._login.secret}"}
            return await self._client.call(method, _REST + path, good=good, **request)
        if not len(self._client.cookies.jar):
            await self.log_in()
        answer = await self._client.call(method, _REST + path, good=(*good, *_NO_SESSION), **request)
        if answer.status in _NO_SESSION:
            # The session ended; RT forgets it after a while and at a restart.
            await self.log_in()
            answer = await self._client.call(method, _REST + path, good=good, **request)
        return answer

    async def log_in(self) -> None:
        """Begin a session."""
        self._client.cookies.clear()
        form = {"user": self._login.user, "pass": self._login.secret}
        await self._client.call("POST", "/NoAuth/Login.html", good=(200, 302), data=form)

    async def search(self, what: str, query: str, fields: str = "", page: int = 1) -> list[dict[str, Any]]:
        """One page of what RT finds, by number; empty where we may not look."""
        parameters: dict[str, Any] = {"orderby": "id", "per_page": PAGE, "page": page}
        if fields:
            parameters["fields"] = fields
        answer = await self.call("POST", f"/{what}", data={"query": query}, params=parameters)
        items: list[dict[str, Any]] = member(answer, "items", list)
        return items

    async def load(self, ref: str) -> dict[str, Any] | None:
        """The ticket, or the one it was merged into; None when it is not there for us."""
        answer = await self.call("GET", f"/ticket/{ref}", good=(200, 403, 404))
        if answer.status != 200:
            return None
        ticket = answer.json()
        return ticket if isinstance(ticket, dict) else None

    async def meant(self, ref: str, number: str) -> tuple[str, tuple[str, ...]]:
        """The thread of the ticket that the answer `number` was written in, and those of tickets that RT
        showed the agent together with it.

        A ticket that was merged keeps its field and its answers, but RT hands out the other one in its place.
        """
        ticket = await self.load(ref)
        if ticket is None:
            return "", ()
        shown_as = str(ticket.get("id"))
        query = f"TicketId={ref} AND Type='AddLink' AND Field='MergedInto' AND id < {number}"
        merged = bool(await self.search("transactions", query))
        if shown_as == ref and not merged:
            return thread_of(ticket), ()
        found = await self.search("tickets", f"EffectiveId={shown_as}", "CustomFields")
        threads = {str(one["id"]): thread_of(one) for one in found}
        thread = threads.pop(ref, "")
        # One that we may not see is none of ours.
        return thread, tuple(threads.values()) or ("",) if merged else ()

    async def is_there(self, number: str, thread: str) -> bool | None:
        """Whether the ticket is there and the thread's; None when RT does not show enough of it to say."""
        answer = await self.call("GET", f"/ticket/{number}", good=(200, 403, 404))
        if answer.status != 200:
            return None if answer.status == 403 else False
        ticket = answer.json()
        if str(ticket.get("id")) != number:
            found = await self.search("tickets", f"EffectiveId={ticket.get('id')}", "CustomFields")
            ticket = next((one for one in found if str(one["id"]) == number), {})
        return thread_of(ticket) == thread if thread_of(ticket) else None


def thread_of(ticket: Mapping[str, Any]) -> str:
    """What our field of a ticket holds."""
    for field in ticket.get("CustomFields") or ():
        if isinstance(field, Mapping) and field.get("name") == THREAD:
            values = field.get("values") or [""]
            return str(values[0])
    return ""


def id_of(value: Any) -> Any:
    """RT names the same record by its id in one place, by an object in another."""
    return value.get("id") if isinstance(value, Mapping) else value


def member(answer: Answer, name: str, kind: type | tuple[type, ...]) -> Any:
    """A member of an answer. Raises `BackendUnavailable` when it is not there in that form."""
    body = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get(name), kind):
        raise BackendUnavailable("answer-form")
    return body[name]
