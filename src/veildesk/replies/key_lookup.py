"""Fetches published keys (Web Key Directory) through a SOCKS proxy, which is tor's, and never without one.

The proxy resolves the names, each question has a circuit of its own, TLS is verified, and nothing of us is
said but the question itself: no user agent, no cookie, no redirect followed. Answers are bounded in size
and time. What an answer is worth is not decided here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections import deque
from dataclasses import dataclass, field

import h11
from python_socks import ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy

from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.errors import ConfigInvalid
from veildesk.openpgp.wkd_address import WkdPlace, published_keys, wkd_places
from veildesk.replies.mailer import SocksProxy

__all__ = ["WkdLookup"]

_log = logging.getLogger("veildesk.replies")
_MOST = 256 * 1024
_HOST_UNREACHABLE = 4
_STEP = 16 * 1024
_MAX_FAILED = 1000


class _NoHost(Exception):
    """The proxy says that there is no such host."""


@dataclass(slots=True)
class WkdLookup:
    """Asks a mail domain for the key of one of its addresses.

    `proxy` is tor's SOCKS port. `timeout` is seconds for one question, both places included. A domain that
    does not answer is left alone for `pause` seconds, and no more than `per_hour` questions are asked, so
    that a flood of mails cannot make us wait or be noticed. Raises `ConfigInvalid` at construction for a
    context that does not verify.
    """

    proxy: SocksProxy
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    timeout: float = 20.0
    pause: float = 600.0
    per_hour: int = 60
    port: int = 443
    _failed: dict[str, float] = field(default_factory=dict, repr=False)
    _asked: deque[float] = field(default_factory=deque, repr=False)

    def __post_init__(self) -> None:
        if self.context.verify_mode is not ssl.CERT_REQUIRED or not self.context.check_hostname:
            raise ConfigInvalid("wkd-tls-unverified")

    async def find(self, address: str) -> tuple[KnownKey, ...]:
        """Keys that the address's domain publishes for it. Faults of any kind give none."""
        places = wkd_places(address)
        if places is None:
            return ()
        now = asyncio.get_running_loop().time()
        domain = places[1].host
        while self._asked and self._asked[0] < now - 3600:
            self._asked.popleft()
        if self._failed.get(domain, now) > now or len(self._asked) >= self.per_hour:
            return ()
        self._asked.append(now)
        try:
            async with asyncio.timeout(self.timeout):
                data = await self._ask(*places)
        except (OSError, ProxyError, h11.RemoteProtocolError, TimeoutError) as error:
            _log.info("key-lookup-failed kind=%s", type(error).__name__)
            while len(self._failed) >= _MAX_FAILED:
                del self._failed[next(iter(self._failed))]
            self._failed[domain] = now + self.pause
            return ()
        return tuple(
            KnownKey(key.certificate, key.fingerprint, key.keys, key.addresses, Provenance.WKD)
            for key in (published_keys(data, address) if data else ())
        )

    async def _ask(self, advanced: WkdPlace, direct: WkdPlace) -> bytes:
        try:
            return await self._fetch(advanced)
        except _NoHost:
            try:
                return await self._fetch(direct)
            except _NoHost:
                return b""

    async def _fetch(self, place: WkdPlace) -> bytes:
        """The body of a 200 answer, else nothing."""
        reader, writer = await asyncio.open_connection(
            sock=await self._tunnel(place.host), ssl=self.context, server_hostname=place.host
        )
        try:
            return await _exchange(reader, writer, place)
        finally:
            writer.transport.abort()

    async def _tunnel(self, host: str) -> socket.socket:
        token = secrets.token_hex(8)
        proxy = Proxy(
            ProxyType.SOCKS5, self.proxy.host, self.proxy.port, username=token, password=token, rdns=True
        )
        try:
            return await proxy.connect(host, self.port, timeout=self.timeout)
        except ProxyTimeoutError:
            raise TimeoutError from None
        except ProxyError as error:
            if error.error_code == _HOST_UNREACHABLE:
                raise _NoHost from None
            raise


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: WkdPlace) -> bytes:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_STEP)
    headers = [("Host", place.host), ("Accept", "application/octet-stream"), ("Connection", "close")]
    request = h11.Request(method="GET", target=place.target, headers=headers)
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_STEP))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                return b""
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MOST:
                return b""
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed early")
