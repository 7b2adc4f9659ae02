"""Real helpdesks: our connectors beside a bare client that makes the same calls, both with a session.

The calls are those of the first message of a ticket: look for its key, look for its thread, make it. What
the connectors add is building the calls, reading and judging the answers.
"""

from __future__ import annotations

import resource
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from measure import Row, measure

from testbed.helpdesks.rt import PASSWORDS, RTServer, rt_desk, rt_server
from testbed.helpdesks.webhook import webhook_desk, webhook_server
from testbed.helpdesks.znuny import ZnunyServer, znuny_desk, znuny_server
from veildesk.core.ports import Backend
from veildesk.core.shown import shown
from veildesk.core.ticket import TicketEntry

__all__ = ["GROUPS"]

TEXT = "The wallet does not open after the update.\n" * 40
_TURN = 5
_CPU = 10
Act = Callable[[], Awaitable[Any]]


def entry() -> TicketEntry:
    """A fresh ticket's first message."""
    return TicketEntry(secrets.token_hex(16), secrets.token_hex(16), "Wallet", TEXT)


def processor() -> float:
    """Processor time of this process so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def times(act: Act, count: int) -> Callable[[], Awaitable[None]]:
    """The same, several times."""

    async def run() -> None:
        for _ in range(count):
            await act()

    return run


async def compared(
    name: str, backend: Backend, deliver: Act, poll: Act, begin: str | None = None
) -> list[Row]:
    """Deliveries and idle polls beside a bare client's; our own processor time for one of each.

    `begin` is the position that polls start at.
    """
    position: list[str | None] = [begin]

    async def ours() -> None:
        await backend.deliver(entry())

    async def idle() -> None:
        async for reply in backend.replies(position[0]):
            position[0] = reply.cursor or position[0]

    what = "bare client, same calls"
    rows = [
        await measure(
            Row(f"helpdesk.{name}.deliver", f"{name}: deliver {_TURN} messages", what, goal=0.9),
            times(ours, _TURN),
            times(deliver, _TURN),
        ),
        await measure(
            Row(f"helpdesk.{name}.poll", f"{name}: {_TURN} idle polls", what, goal=0.9),
            times(idle, _TURN),
            times(poll, _TURN),
        ),
    ]
    rows[0].note = f"{_TURN * 1000 / rows[0].ours:.1f} messages a second"
    for kind, act in (("deliver", ours), ("poll", idle)):
        before = processor()
        await times(act, _CPU)()
        spent = 1000 * (processor() - before) / _CPU
        rows.append(
            Row(
                f"helpdesk.{name}.{kind}.cpu", f"{name}: our processor time, one {kind}", ours=round(spent, 2)
            )
        )
    return rows


class BareRT:
    """Calls of Request Tracker's REST 2 and nothing around them."""

    def __init__(self, server: RTServer) -> None:
        self.client = httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)

    async def log_in(self) -> None:
        """Once: the cookie lasts."""
        form = {"user": "veildesk", "pass": PASSWORDS["veildesk"]}
        await self.client.post("/NoAuth/Login.html", data=form)

    async def search(self, what: str, query: str, **more: Any) -> httpx.Response:
        """One page."""
        parameters = {"orderby": "id", "per_page": 100, **more}
        return await self.client.post(f"/REST/2.0/{what}", data={"query": query}, params=parameters)

    async def deliver(self) -> None:
        """Key, thread, ticket, message."""
        one = entry()
        await self.search("transactions", f"'CF.{{veildesk-key}}'='{one.key}'", fields="ObjectId")
        await self.search("tickets", f"'CF.{{veildesk-thread}}'='{one.thread}'")
        fields = {"Queue": "Secure", "Subject": one.subject, "CustomFields": {"veildesk-thread": one.thread}}
        made = (await self.client.post("/REST/2.0/ticket", json=fields)).json()
        body = {
            "Content": shown(one),
            "ContentType": "text/plain",
            "TxnCustomFields": {"veildesk-key": one.key},
        }
        answer = await self.client.post(f"/REST/2.0/ticket/{made['id']}/correspond", json=body)
        answer.raise_for_status()

    async def poll(self) -> None:
        """Answers of agents after a position."""
        query = "(TicketQueue='Secure') AND id > 0 AND Type='Correspond' AND Creator != 'veildesk'"
        await self.search("transactions", query, fields="Creator,ObjectId")


async def request_tracker() -> list[Row]:
    """Debian's Request Tracker 5 with SQLite."""
    with tempfile.TemporaryDirectory() as folder, rt_server(Path(folder)) as server:
        async with rt_desk(server) as desk:
            bare = BareRT(server)
            await bare.log_in()
            rows = await compared("rt", desk.backend, bare.deliver, bare.poll)
            await bare.client.aclose()
            return rows


class BareZnuny:
    """Calls of the web service and nothing around them."""

    def __init__(self, server: ZnunyServer) -> None:
        self.client = httpx.AsyncClient(timeout=30, trust_env=False)
        self.url = server.url
        self.session = ""

    async def call(self, path: str, **body: Any) -> dict[str, Any]:
        """One call with the session."""
        whole = {"SessionID": self.session, **body} if self.session else body
        answer: dict[str, Any] = (await self.client.post(self.url + path, json=whole)).json()
        return answer

    async def deliver(self) -> None:
        """Thread, then ticket with its message."""
        one = entry()
        await self.call("/Ticket/Search", DynamicField_VeildeskThread={"Equals": one.thread})
        article = {
            "CommunicationChannel": "Internal",
            "SenderType": "customer",
            "IsVisibleForCustomer": 1,
            "Subject": one.subject,
            "Body": shown(one),
            "ContentType": "text/plain; charset=utf8",
        }
        fields = [("VeildeskKey", one.key), ("VeildeskThread", one.thread)]
        made = await self.call(
            "/Ticket",
            Ticket={
                "Title": one.subject,
                "Queue": "Raw",
                "State": "new",
                "Priority": "3 normal",
                "CustomerUser": "veildesk",
            },
            Article=article,
            DynamicField=[{"Name": name, "Value": value} for name, value in fields],
        )
        assert made["TicketID"], made

    async def poll(self) -> None:
        """Tickets that changed."""
        await self.call(
            "/Ticket/Search",
            Queues=["Raw"],
            TicketLastChangeTimeNewerDate="2099-01-01 00:00:00",
            SortBy="Changed",
            OrderBy="Up",
            Limit=10000,
        )


async def znuny() -> list[Row]:
    """Debian's Znuny 6.5 with PostgreSQL. Polls are idle: nothing changed in the last minute."""
    with znuny_server() as server:
        async with znuny_desk(server) as desk:
            bare = BareZnuny(server)
            login = {"UserLogin": "veildesk", "Password": PASSWORDS["veildesk"]}
            bare.session = (await bare.call("/Session", **login))["SessionID"]
            later = "2099-01-01 00:00:00"
            rows = await compared("znuny", desk.backend, bare.deliver, bare.poll, later)
            await bare.client.aclose()
            return rows


async def webhook() -> list[Row]:
    """The small receiver, which answers in a moment: what signing and reading cost beside a bare post."""
    with tempfile.TemporaryDirectory() as folder, webhook_server(Path(folder)) as server:
        async with webhook_desk(server) as desk, httpx.AsyncClient(trust_env=False) as client:

            async def bare(kind: str, data: dict[str, Any]) -> None:
                event = desk.backend._event(kind, data)
                headers = {**desk.backend._headers("", event), "Content-Type": "application/json"}
                (await client.post(server.url, content=event, headers=headers)).raise_for_status()

            return await compared(
                "webhook",
                desk.backend,
                lambda: bare("ticket.message", desk.backend._message(entry())),
                lambda: bare("replies.list", {"after": None}),
            )


GROUPS = (webhook, request_tracker, znuny)
