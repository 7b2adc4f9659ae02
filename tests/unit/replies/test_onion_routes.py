"""Mail for a domain on the list goes to its onion service and nowhere else."""

from __future__ import annotations

import asyncio

import pytest

from testbed.socks_proxy import loopback_socks
from veildesk.core.errors import ConfigInvalid, SendFailed
from veildesk.replies.fake_mailer import FakeMailer
from veildesk.replies.onion_routes import OnionRoutes, parse_onion_routes

ONION = "b" * 56 + ".onion"
WIRE = b"Message-ID: <1@desk.example>\r\n\r\nx\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes everything."""
    writer.write(b"220 onion ESMTP\r\n")
    while line := await reader.readline():
        if line.startswith(b"DATA"):
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 ok\r\n")
    writer.close()


async def test_the_domain_decides_the_way() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    other = FakeMailer()
    async with loopback_socks({ONION: server.sockets[0].getsockname()[1]}) as socks:
        routes = parse_onion_routes([f"Mail.Example={ONION}:2525"])
        mailer = OnionRoutes(routes, socks.proxy, "desk.example", other, timeout=10)
        await mailer.send(WIRE, "desk@desk.example", "rosa@mail.example")
        assert [host for host, _ in socks.asked] == [ONION]
        assert not other.sent
        await mailer.send(WIRE, "desk@desk.example", "rosa@else.example")
        assert len(other.sent) == 1
    server.close()
    await server.wait_closed()


async def test_an_onion_that_does_not_answer_is_not_gone_around() -> None:
    other = FakeMailer()
    async with loopback_socks({}) as socks:
        mailer = OnionRoutes({"mail.example": (ONION, 25)}, socks.proxy, "desk.example", other, timeout=10)
        with pytest.raises(SendFailed):
            await mailer.send(WIRE, "desk@desk.example", "rosa@mail.example")
    assert not other.sent


@pytest.mark.parametrize("line", ["", "mail.example", "mail.example=host.example", "=x.onion", "a=b.onion:x"])
def test_lines_that_say_nothing_clear_are_refused(line: str) -> None:
    with pytest.raises(ConfigInvalid):
        parse_onion_routes([line])


def test_only_whole_onion_addresses_are_taken() -> None:
    async def make() -> None:
        async with loopback_socks({}) as socks:
            OnionRoutes({"mail.example": ("short.onion", 25)}, socks.proxy, "desk.example", FakeMailer())

    with pytest.raises(ConfigInvalid):
        asyncio.run(make())
