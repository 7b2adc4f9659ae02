"""What a listener for webhooks takes, and that it never hands on a word of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from veildesk.core.errors import ConfigInvalid
from veildesk.ops.webhook_server import WebhookServer
from veildesk.service.config_helpdesk import WebhooksConfig, check_webhooks

GOOD = b"POST /desk HTTP/1.1\r\nHost: x\r\nX-Proof: yes\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest_asyncio.fixture
async def port(told: list[str]) -> AsyncIterator[int]:
    def proves(headers: Mapping[str, str], body: bytes) -> bool:
        return headers.get("x-proof") == "yes" and body == b"{}"

    server = await WebhookServer({"desk": (proves, lambda: told.append("desk"))}).start()
    async with server:
        yield server.sockets[0].getsockname()[1]


async def say(port: int, *wire: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in wire:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_genuine_call_is_told_once_and_answered_without_a_body(port: int, told: list[str]) -> None:
    answer = await say(port, GOOD)
    assert answer.startswith(b"HTTP/1.1 204")
    assert answer.endswith(b"\r\n\r\n")
    assert told == ["desk"]


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (GOOD.replace(b"yes", b"no"), b"403"),
        (GOOD.replace(b"/desk", b"/other"), b"403"),
        (GOOD.replace(b"/desk", b"/../desk"), b"403"),
        (GOOD.replace(b"POST", b"GET"), b"405"),
        (b"POST /desk HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 5_000_000, b"413"),
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (b"POST /desk HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 90000 + b"\r\n", b"431"),
    ],
    ids=["proof", "name", "path", "method", "size", "not-http", "head"],
)
async def test_anything_else_is_refused(port: int, told: list[str], wire: bytes, status: bytes) -> None:
    try:
        answer = await say(port, wire)
        assert answer.split(b" ")[1:2] in ([status], [])
    except ConnectionError:
        pass
    assert told == []


async def test_an_unknown_name_and_a_wrong_proof_look_the_same(port: int) -> None:
    wrong = await say(port, GOOD.replace(b"yes", b"no"))
    unknown = await say(port, GOOD.replace(b"/desk", b"/other"))
    assert wrong == unknown


async def test_a_call_cut_off_tells_nothing(port: int, told: list[str]) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GOOD[:-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await say(port, GOOD)).startswith(b"HTTP/1.1 204")
    assert told == ["desk"]


async def test_who_waits_to_be_asked_for_the_body_is_asked(port: int, told: list[str]) -> None:
    head, _, body = GOOD.partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 204")
    writer.close()
    assert told == ["desk"]


async def test_a_unix_socket_is_for_the_gateways_user_and_group(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "run" / "webhooks"
    server = await WebhookServer({"desk": (lambda h, b: True, lambda: told.append("x"))}, path=path).start()
    async with server:
        assert path.stat().st_mode & 0o777 == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GOOD)
        assert (await reader.read()).startswith(b"HTTP/1.1 204")
        writer.close()
    assert told == ["x"]


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8930", "[::]:8930", "desk.example.org:80", "127.0.0.1", ":80", ""]
)
def test_it_listens_on_this_machine_only(listen: str) -> None:
    with pytest.raises(ConfigInvalid):
        check_webhooks(WebhooksConfig(listen))
    for good in ("127.0.0.1:8930", "[::1]:8930", "unix:run/webhooks"):
        check_webhooks(WebhooksConfig(good))
