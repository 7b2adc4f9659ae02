"""Our calls to Zammad beside calls that others recorded from a real server. Nothing here invents answers:
searches find nothing, so that only the recorded calls are made."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from veildesk.core.ticket import TicketChange, TicketEntry
from veildesk.deliver.backends.zammad import Zammad
from veildesk.deliver.http import HelpdeskClient

RECORDED = json.loads((Path(__file__).parents[2] / "corpus" / "zammad" / "recorded.json").read_text())


@pytest.fixture
def calls() -> list[httpx.Request]:
    return []


@pytest.fixture
async def zammad(calls: list[httpx.Request]) -> Zammad:
    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        for one in (RECORDED["create"], RECORDED["update"], RECORDED["delete"]):
            if (request.method, request.url.path) == (one["method"], one["path"]):
                body = json.dumps(one["response"]).encode() if "response" in one else b""
                return httpx.Response(one["status"], content=body)
        return httpx.Response(200, content=b"[]")

    client = HelpdeskClient("http://127.0.0.1:1")
    await client._client.aclose()
    client._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Zammad("zammad", client, "t", ("Users",), customer="nicole.braun@zammad.org", webhook="secret")


def shape(value: Any) -> Any:
    return {key: shape(one) for key, one in value.items()} if isinstance(value, dict) else type(value)


async def test_a_ticket_is_made_as_recorded(zammad: Zammad, calls: list[httpx.Request]) -> None:
    entry = TicketEntry(thread="a" * 32, key="b" * 32, subject="some subject", text="some body\nnext line")
    delivered = await zammad.deliver(entry)
    assert delivered.ref == str(RECORDED["create"]["response"]["id"])
    sent = json.loads(calls[-1].content)
    assert sent.pop("veildesk_thread") == "a" * 32
    recorded = RECORDED["create"]["request"]
    assert shape(sent) == shape(recorded)
    same = ("state", "priority", "owner", "customer", "group")
    assert {k: sent[k] for k in same} == {k: recorded[k] for k in same}
    assert {k: sent["article"][k] for k in ("sender", "type", "subject", "content_type")} == {
        k: recorded["article"][k] for k in ("sender", "type", "subject", "content_type")
    }
    assert sent["article"]["body"].startswith(recorded["article"]["body"])
    assert calls[-1].headers["authorization"] == "Token token=t"


async def test_a_ticket_is_changed_as_recorded(zammad: Zammad, calls: list[httpx.Request]) -> None:
    await zammad.update("5", TicketChange(state="open"))
    assert (calls[-1].method, calls[-1].url.path) == ("PUT", RECORDED["update"]["path"])
    assert json.loads(calls[-1].content) == {"state": "open"}


def test_a_webhook_is_genuine_only_with_its_signature(zammad: Zammad) -> None:
    body = b'{"ticket":{"id":5}}'
    good = "sha1=" + hmac.new(b"secret", body, hashlib.sha1).hexdigest()
    assert zammad.hint({"x-hub-signature": good}, body)
    assert not zammad.hint({"x-hub-signature": good}, body + b" ")
    assert not zammad.hint({"x-hub-signature": ""}, body)
    assert not zammad.hint({}, body)
