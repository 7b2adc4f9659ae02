"""Signed JSON over a real connection to the small receiver: the suite, forgeries, and hostile answers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from testbed.helpdesks.webhook import WebhookDesk, WebhookServer, encoded, webhook_desk, webhook_server
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import PICTURE, entry, fresh
from veildesk.core.errors import BackendRefused, BackendUnavailable, ConfigInvalid
from veildesk.core.ticket import Erased, File, Level
from veildesk.deliver.backends.webhook import from_config
from veildesk.deliver.standard_webhook import SharedSecret, read_key, signed_headers


@pytest.fixture(scope="module", params=["hmac", "ed25519"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path_factory.mktemp("webhook"), request.param) as started:
        yield started


@pytest_asyncio.fixture
async def desk(server: WebhookServer) -> AsyncIterator[WebhookDesk]:
    async with webhook_desk(server) as made:
        yield made


async def test_check_names_what_is_wrong(server: WebhookServer) -> None:
    (server.home / "wrong").write_text(encoded("whsec", bytes(32)))
    async with webhook_desk(server, key_file="wrong") as desk:
        (result,) = await desk.backend.check()
        assert (result.level, result.found) == (Level.FAIL, "our signature is not accepted")
    async with webhook_desk(server, queue="nowhere") as desk:
        assert [r.title for r in await desk.backend.check() if r.level is Level.FAIL] == [
            "queue nowhere is there"
        ]
    async with webhook_desk(server, url="http://127.0.0.1:1") as desk:
        (result,) = await desk.backend.check()
        assert result.level is Level.FAIL


def _post(server: WebhookServer, body: bytes, **changes: str) -> int:
    key = read_key((server.home / "key").read_text())
    headers = {**signed_headers(key, "a" * 32, int(time.time()), body), **changes}
    return httpx.post(server.url, content=body, headers=headers, trust_env=False).status_code


def test_the_receiver_believes_no_forgery(server: WebhookServer) -> None:
    body = b'{"type": "check", "data": {}}'
    assert _post(server, body) == 200
    now = int(time.time())
    assert _post(server, body, **{"webhook-id": "b" * 32}) == 401
    # Not the next second, in which a slow machine may sign.
    assert _post(server, body, **{"webhook-timestamp": str(now - 60)}) == 401
    assert _post(server, body, **{"webhook-signature": ""}) == 401
    assert _post(server, body, **{"webhook-signature": "v1,AAAA v1a,AAAA"}) == 401
    key = read_key((server.home / "key").read_text())
    old = signed_headers(key, "a" * 32, now - 400, body)
    assert _post(server, body, **old) == 401
    assert _post(server, b'{"type": "check", "data": {"x": 1}}', **signed_headers(key, "a", now, body)) == 401


async def test_a_file_that_is_not_the_signed_one_is_refused(desk: WebhookDesk) -> None:
    """The signature covers the digests of the files, and the receiver compares."""
    made = entry(fresh(), files=(File("a.png", "image/png", PICTURE),))
    event = desk.backend._event("ticket.message", desk.backend._message(made))
    files = [("event", (None, event, "application/json")), ("files", ("a.png", PICTURE + b"x", "image/png"))]
    headers = desk.backend._headers(made.key, event)
    with pytest.raises(BackendRefused, match="status-400"):
        await desk.backend._client.call("POST", "", headers=headers, files=files)
    assert await desk.texts(made.thread) == []


# ------------------------------------------------------------------ hostile answers


@pytest_asyncio.fixture
async def told(tmp_path: Path) -> AsyncIterator[Any]:
    """A connector whose receiver answers with what the test puts into `answers`, by type of call."""
    (tmp_path / "key").write_text(encoded("whsec", bytes(32)))
    (tmp_path / "hints").write_text(encoded("whsec", bytes(range(32))))
    settings = {
        "base": str(tmp_path),
        "url": "http://127.0.0.1:1",
        "key_file": "key",
        "webhook_file": "hints",
    }
    backend = from_config("desk", settings)
    await backend._client.close()
    backend.answers = {}

    def answer(request: httpx.Request) -> httpx.Response:
        found = backend.answers[json.loads(request.content)["type"]]
        content = found if isinstance(found, bytes) else json.dumps(found).encode()
        return httpx.Response(200, content=content)

    backend._client._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    yield backend
    await backend.close()


def reply(**changes: Any) -> dict[str, Any]:
    whole = {
        "id": "1",
        "cursor": "1",
        "thread": "a" * 32,
        "ref": "7",
        "visibility": "public",
        "text": "Hello.",
    }
    return {**whole, **changes}


async def test_only_what_is_marked_public_goes_to_a_person(told: Any) -> None:
    for odd in ({"visibility": "internal"}, {"visibility": "PUBLIC"}, {"visibility": None}, {"public": True}):
        one = reply(**odd)
        if "public" in odd:
            del one["visibility"]
        told.answers["replies.list"] = {"replies": [one]}
        (found,) = [r async for r in told.replies(None)]
        assert (found.thread, found.text, found.cursor) == ("", "", "1")


async def test_a_receiver_names_whose_ticket_was_merged_into_this_one(told: Any) -> None:
    told.answers["replies.list"] = {"replies": [reply(others=["b" * 32, ""])]}
    (found,) = [r async for r in told.replies(None)]
    assert found.others == ("b" * 32, "")


@pytest.mark.parametrize(
    "answer",
    [
        [],
        b"<html>log in</html>",
        {"replies": "none"},
        {"replies": [1]},
        {"replies": [reply(id=None)]},
        {"replies": [reply(cursor="")]},
        {"replies": [reply(cursor={"a": 1})]},
        {"replies": [reply(ref="a\nb")]},
        {"replies": [reply(ref="")]},
        {"replies": [reply(id="x" * 2000)]},
        {"replies": [reply(files="none")]},
        {"replies": [reply(others="b" * 32)]},
        {"replies": [reply(files=[{"name": "x"}])]},
        {"error": "broken inside", "replies": None},
    ],
)
async def test_an_answer_that_does_not_fit_the_format_is_a_passing_fault(told: Any, answer: Any) -> None:
    told.answers["replies.list"] = answer
    with pytest.raises(BackendUnavailable):
        [r async for r in told.replies(None)]


async def test_a_receiver_that_says_more_for_ever_ends(told: Any) -> None:
    told.answers["replies.list"] = {"replies": [], "more": True}
    assert [r async for r in told.replies(None)] == []


async def test_nothing_is_called_gone_that_is_not(told: Any) -> None:
    for outcome in (None, True, "GONE", "deleted", 1):
        told.answers["ticket.erase"] = {"outcome": outcome}
        with pytest.raises(BackendUnavailable):
            await told.erase("7", "a" * 32)
    told.answers["ticket.erase"] = {"outcome": "requested"}
    assert await told.erase("7", "a" * 32) is Erased.REQUESTED


async def test_delivered_without_a_number_is_a_fault(told: Any) -> None:
    for answer in ({}, {"ref": "1"}, {"ref": "", "fresh": True}, {"ref": "1", "fresh": 1}, {"fresh": True}):
        told.answers["ticket.message"] = answer
        with pytest.raises(BackendUnavailable):
            await told.deliver(entry(fresh()))


async def test_a_notice_is_genuine_with_its_own_secret_and_of_now(told: Any) -> None:
    body, now = b'{"type": "replies.waiting"}', int(time.time())
    genuine = signed_headers(SharedSecret(bytes(range(32))), "n1", now, body)
    assert told.hint(genuine, body)
    assert not told.hint(genuine, body + b" ")
    assert not told.hint(signed_headers(SharedSecret(bytes(32)), "n1", now, body), body)
    assert not told.hint(signed_headers(SharedSecret(bytes(range(32))), "n1", now - 301, body), body)
    assert not told.hint(signed_headers(SharedSecret(bytes(range(32))), "n1", now + 301, body), body)
    assert not told.hint({**genuine, "webhook-id": "a.1"}, body)
    assert not told.hint({}, body)
    # Several signatures, as while a secret is replaced: one that fits is enough.
    both = {**genuine, "webhook-signature": "v1,AAAA " + genuine["webhook-signature"]}
    assert told.hint(both, body)


def test_keys_are_read_strictly(tmp_path: Path) -> None:
    for text in ("", "whsec_", "whsec_!!", encoded("whsec", b"short"), encoded("whsk", b"x" * 31), "secret"):
        with pytest.raises(ValueError):
            read_key(text)
    (tmp_path / "key").write_text("secret")
    with pytest.raises(ConfigInvalid, match="key_file"):
        from_config("d", {"base": str(tmp_path), "url": "http://127.0.0.1:1", "key_file": "key"})


def test_signatures_are_those_of_the_specification() -> None:
    """The example of Standard Webhooks 1.0."""
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
