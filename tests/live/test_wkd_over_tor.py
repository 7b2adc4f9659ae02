"""A key is fetched from a Web Key Directory on an onion service, through a real tor."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.mail_tls import make_authority, make_certificate
from testbed.onion_http import wait_reachable
from testbed.openpgp_lab import new_lab
from testbed.private_tor import PrivateTor
from testbed.tiny_portal import TIMING
from veildesk.onion import ManagedOnion, create_key
from veildesk.openpgp.wkd_address import wkd_hash
from veildesk.replies.key_lookup import WkdLookup
from veildesk.replies.mailer import SocksProxy

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

AUTHORITY = make_authority("onion web")


@contextlib.asynccontextmanager
async def directory(folder: Path, onion: str, key: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A web server with one key; what it was asked for is kept."""
    certificate, secret = make_certificate(AUTHORITY, (f"openpgpkey.{onion}", onion), days=5)
    (folder / "server.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever only looks whether there is an onion asks nothing.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(key) + key)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def test_a_key_comes_from_an_onion(private_tor: PrivateTor, tmp_path: Path) -> None:
    create_key(tmp_path / "onion.key")
    with new_lab() as lab:
        # The address of the onion is known only now, and so is that of the person.
        service = ManagedOnion(
            private_tor.control("host"), tmp_path / "onion.key", [(443, "127.0.0.1:1")], timing=TIMING
        )
        onion = service.address
        fingerprint = lab.make("onion-user", f"Rosa <rosa@{onion}>")
        async with directory(tmp_path, onion, lab.certificate("onion-user")) as (port, seen):
            target = [(443, f"127.0.0.1:{port}")]
            service = ManagedOnion(private_tor.control("host"), tmp_path / "onion.key", target, timing=TIMING)
            publishing = asyncio.create_task(service.run())
            try:
                await service.wait_published(120)
                await asyncio.to_thread(wait_reachable, private_tor.socks_port, onion, port=443, speak=False)
                lookup = WkdLookup(
                    SocksProxy("127.0.0.1", private_tor.socks_port),
                    ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode()),
                    timeout=90,
                    pause=0,
                )
                found = await lookup.find(f"rosa@{onion}")
                for _ in range(3):
                    if not found:
                        found = await lookup.find(f"rosa@{onion}")
            finally:
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)
    assert [one.fingerprint for one in found] == [fingerprint]
    head = seen[-1].decode()
    assert head.startswith(f"GET /.well-known/openpgpkey/{onion}/hu/{wkd_hash('rosa')}?l=rosa HTTP/1.1\r\n")
    names = {line.split(":")[0].lower() for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "accept", "connection"}
    assert private_tor.foreign_connections() == []
