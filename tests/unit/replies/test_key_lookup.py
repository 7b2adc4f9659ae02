"""Keys are asked for through the proxy only, over verified TLS, with nothing said but the question."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from testbed.mail_tls import make_authority, make_certificate
from testbed.openpgp_lab import Lab, new_lab
from testbed.socks_proxy import loopback_socks
from veildesk.core.contact import Provenance
from veildesk.core.errors import ConfigInvalid
from veildesk.replies.key_lookup import WkdLookup
from veildesk.replies.mailer import SocksProxy

ROSA = "rosa@example.org"
ADVANCED, DIRECT = "openpgpkey.example.org", "example.org"
AUTHORITY = make_authority("known")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())


@asynccontextmanager
async def web_server(
    folder: Path,
    answer: Callable[[bytes], bytes],
    *,
    case: str = "good",
    names: tuple[str, ...] = (ADVANCED, DIRECT),
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """One TLS server; `answer` makes the whole reply from the request head."""
    authority = make_authority("stranger") if case == "self-signed" else AUTHORITY
    hosts = ("other.test",) if case == "wrong-host" else names
    certificate, key = make_certificate(authority, hosts, days=-1 if case == "expired" else 5)
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            writer.write(answer(seen[-1]))
            await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        await server.wait_closed()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_the_advanced_place_is_asked_first(tmp_path: Path, lab: Lab) -> None:
    async with (
        web_server(tmp_path, lambda _: ok(lab.certificate("user"))) as (port, seen),
        loopback_socks({ADVANCED: port, DIRECT: port}) as socks,
    ):
        lookup = WkdLookup(socks.proxy, trusting(), timeout=20)
        (key,) = await lookup.find(ROSA)
        await lookup.find(ROSA)
    assert key.fingerprint == lab.fingerprints["user"]
    assert key.provenance is Provenance.WKD
    assert [host for host, _ in socks.asked] == [ADVANCED] * 2
    assert len({user for _, user in socks.asked}) == 2
    # The golden set: who asks cannot be told from the question.
    assert seen[0] == (
        b"GET /.well-known/openpgpkey/example.org/hu/"
        + seen[0].split(b"/")[5].split(b" ")[0]
        + b" HTTP/1.1\r\n"
        b"Host: openpgpkey.example.org\r\nAccept: application/octet-stream\r\nConnection: close\r\n\r\n"
    )


async def test_the_direct_place_only_where_the_other_host_does_not_exist(tmp_path: Path, lab: Lab) -> None:
    async with (
        web_server(tmp_path, lambda _: ok(lab.certificate("user"))) as (port, _),
        loopback_socks({DIRECT: port}) as socks,
    ):
        assert len(await WkdLookup(socks.proxy, trusting(), timeout=20).find(ROSA)) == 1
    assert [host for host, _ in socks.asked] == [ADVANCED, DIRECT]
    async with (
        web_server(tmp_path, lambda _: b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") as (port, _),
        loopback_socks({ADVANCED: port, DIRECT: port}) as socks,
    ):
        assert await WkdLookup(socks.proxy, trusting(), timeout=20).find(ROSA) == ()
    assert [host for host, _ in socks.asked] == [ADVANCED]


@pytest.mark.parametrize("case", ["self-signed", "wrong-host", "expired"])
async def test_an_unverified_server_is_asked_nothing(tmp_path: Path, lab: Lab, case: str) -> None:
    async with (
        web_server(tmp_path, lambda _: ok(lab.certificate("user")), case=case) as (port, seen),
        loopback_socks({ADVANCED: port, DIRECT: port}) as socks,
    ):
        assert await WkdLookup(socks.proxy, trusting(), timeout=20).find(ROSA) == ()
    assert seen == []
    assert [host for host, _ in socks.asked] == [ADVANCED]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"",
        ok(b"<html>not a key</html>"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"\x99" * 400_000,
    ],
    ids=["redirect", "cut-off", "long-header", "no-http", "nothing", "no-key", "endless"],
)
async def test_bad_answers_give_no_key(tmp_path: Path, reply: bytes) -> None:
    async with (
        web_server(tmp_path, lambda _: reply) as (port, seen),
        loopback_socks({ADVANCED: port}) as socks,
    ):
        assert await WkdLookup(socks.proxy, trusting(), timeout=20).find(ROSA) == ()
    assert len(seen) == 1


async def test_a_silent_domain_is_left_alone_for_a_while() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with loopback_socks({ADVANCED: port}) as socks:
        lookup = WkdLookup(socks.proxy, trusting(), timeout=0.3)
        assert await lookup.find(ROSA) == ()
        assert await lookup.find("other@example.org") == ()
    assert len(socks.asked) == 1
    server.close()


async def test_a_flood_is_not_passed_on() -> None:
    async with loopback_socks({}) as socks:
        lookup = WkdLookup(socks.proxy, trusting(), timeout=5, per_hour=2)
        for number in range(5):
            assert await lookup.find(f"a@d{number}.example") == ()
    assert len({host for host, _ in socks.asked if host.startswith("openpgpkey.")}) == 2


async def test_a_proxy_that_is_not_there_is_no_way_around_it() -> None:
    assert await WkdLookup(SocksProxy("127.0.0.1", 1), trusting(), timeout=5).find(ROSA) == ()


def test_a_context_that_does_not_verify_is_refused() -> None:
    context = trusting()
    context.check_hostname = False
    with pytest.raises(ConfigInvalid):
        WkdLookup(SocksProxy("127.0.0.1", 9050), context)
