"""Merged and forwarded tickets in Zammad, in the form of its documentation; no server said so."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from veildesk.core.ticket import AgentReply, Erased
from veildesk.core.work import Reason
from veildesk.deliver.backends.zammad import Zammad
from veildesk.deliver.http import HelpdeskClient

MINE, THEIRS, KEY = "a" * 32, "b" * 32, "c" * 32
CUSTOMER = "veildesk@veildesk.invalid"


def ticket(number: int, thread: str, state: str = "open") -> dict[str, Any]:
    return {
        "id": number,
        "veildesk_thread": thread,
        "state": state,
        "updated_at": "2026-11-26T10:00:00.000Z",
    }


def article(number: int, body: str, sender: str = "Agent", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "sender": sender,
        "type": "note",
        "internal": False,
        "content_type": "text/plain",
        "body": body,
        **more,
    }


def message(number: int, thread: str) -> dict[str, Any]:
    return article(number, f"Question\n\n[veildesk {KEY} {thread}]", sender="Customer")


class Desk:
    def __init__(self, tickets: list[dict[str, Any]], articles: dict[int, list[dict[str, Any]]]) -> None:
        self.tickets, self.articles = tickets, articles
        self.deleted: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        number = int(path.rpartition("/")[2]) if path.rpartition("/")[2].isdigit() else 0
        if request.method == "DELETE":
            self.deleted.append(path)
        if path == "/tickets/search":
            condition = json.loads(request.content)["condition"]
            wanted = condition.get("ticket.veildesk_thread", {}).get("value")
            assert request.url.params["expand"] == "true"  # else states are numbers
            found: Any = [one for one in self.tickets if wanted in (None, one["veildesk_thread"])]
        elif path.startswith("/ticket_articles/"):
            found = self.articles[number]
        else:
            found = next((one for one in self.tickets if one["id"] == number), {})
        return httpx.Response(200, json=found)

    async def connector(self) -> Zammad:
        client = HelpdeskClient("http://127.0.0.1:1")
        await client._client.aclose()
        client._client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Zammad("zammad", client, "t", ("Users",), customer=CUSTOMER)

    async def replies(self) -> list[AgentReply]:
        return [reply async for reply in (await self.connector()).replies(None) if reply.thread]


async def test_answers_of_a_merged_ticket_name_the_other_and_the_remark_of_it_is_none() -> None:
    desk = Desk(
        [ticket(1, MINE, "merged"), ticket(2, THEIRS)],
        {1: [article(9, "merged")], 2: [message(1, THEIRS), message(2, MINE), article(3, "An answer.")]},
    )
    (reply,) = await desk.replies()
    assert (reply.thread, reply.others, reply.text.strip()) == (THEIRS, (MINE,), "An answer.")


async def test_what_was_merged_is_neither_deleted_nor_called_deleted() -> None:
    desk = Desk(
        [ticket(1, MINE, "merged"), ticket(2, THEIRS)], {1: [], 2: [message(1, THEIRS), message(2, MINE)]}
    )
    connector = await desk.connector()
    assert await connector.erase("1", MINE) is Erased.UNSUPPORTED
    assert await connector.erase("2", THEIRS) is Erased.UNSUPPORTED
    assert desk.deleted == []


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ({}, Reason.NONE),
        ({"type": "email", "to": f"V <{CUSTOMER}>"}, Reason.NONE),
        ({"type": "email", "to": "expert@elsewhere.test"}, Reason.FORWARDED),
        ({"type": "email", "to": "support@zammad.test"}, Reason.FORWARDED),
        ({"type": "phone"}, Reason.FORWARDED),
    ],
    ids=["note", "reply", "forwarded", "by-mail", "call"],
)
async def test_what_went_to_somebody_else_is_in_doubt(more: dict[str, Any], doubt: Reason) -> None:
    (reply,) = await Desk([ticket(2, THEIRS)], {2: [article(3, "Words.", **more)]}).replies()
    assert reply.doubt is doubt


async def test_a_remark_that_is_internal_stays() -> None:
    assert await Desk([ticket(2, THEIRS)], {2: [article(3, "Words.", internal=True)]}).replies() == []
