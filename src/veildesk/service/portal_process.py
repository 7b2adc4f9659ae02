"""`veildesk portal serve`: the portal as a process of its own, which holds no key to anything at rest.

It has no configuration but the path of the gateway's socket, no key ring, no store, no GnuPG home and no
helpdesk. Who breaks into it sees what visitors type and open from then on, and opens nothing that came
before. What it works by comes from the gateway; it begins anew when that changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Final

from veildesk.child.memory import forbid_core_files
from veildesk.core.errors import ConfigInvalid, SpoolUnavailable
from veildesk.link.client import LinkClient
from veildesk.link.frames import BadFrame
from veildesk.link.remote import RemoteEraser, RemoteNews, RemoteReceipts, RemoteStore
from veildesk.link.replies import read_one
from veildesk.link.requests import Settings
from veildesk.link.shape import load
from veildesk.ops.clock import SystemClock
from veildesk.ops.notify import notify, watchdog_seconds
from veildesk.portal.app import create_app
from veildesk.portal.ports import PortalPorts
from veildesk.service.cleaning import make_cleaner
from veildesk.service.portal_offer import PortalOffer
from veildesk.service.serving import QuietServer, serve_site, site_server
from veildesk.service.stopping import stop_at_signals
from veildesk.service.taken import refuse_taken
from veildesk.spool.thread_cipher import WordsCipher

__all__ = ["remote_ports", "serve_portal"]

_log = logging.getLogger("veildesk.service")
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_NEWS_SECONDS: Final = 10.0


async def serve_portal(gateway: Path) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    `gateway` is the gateway's socket. Waits for it as long as it is not there. Raises `ConfigInvalid` for a
    gateway of another version and for folders that cannot be used.
    """
    forbid_core_files()
    stop = stop_at_signals()
    watchdog = asyncio.create_task(_watchdog())
    notify("READY=1", "STATUS=waiting for the gateway")
    try:
        while not stop.is_set():
            client = LinkClient(gateway)
            given = await _given(client, stop)
            if given is not None:
                await _serve(client, given, stop)
            await client.close()
    finally:
        watchdog.cancel()
    notify("STOPPING=1")
    _log.info("stopped")
    return 0


async def _given(client: LinkClient, stop: asyncio.Event) -> bytes | None:
    """What the gateway gives us to work by, as soon as it answers; None when we are to stop."""
    tries = 0
    while True:
        try:
            return read_one(await client.ask(Settings(), seconds=10.0))
        except SpoolUnavailable as error:
            if not tries:
                _log.info("waiting-for-gateway reason=%s", error.detail)
        except BadFrame:
            raise ConfigInvalid("the gateway's settings cannot be read; restart both") from None
        if await _either(stop.wait(), seconds=_PAUSES[min(tries, len(_PAUSES) - 1)]):
            return None
        tries += 1


async def _serve(client: LinkClient, given: bytes, stop: asyncio.Event) -> None:
    """Serve until we are to stop or the gateway has other settings."""
    try:
        offer = load(PortalOffer, given)
    except BadFrame:
        raise ConfigInvalid("the gateway's settings cannot be read; restart both") from None
    sites = [(offer.site, offer.socket)]
    if offer.status is not None:
        sites.append((offer.status, offer.status_socket))
    for _, place in sites:
        _check_place(place)
    refuse_taken(("[portal] socket", place) for _, place in sites)
    news = RemoteNews(client, SystemClock(), hashlib.sha256(given).digest())
    cipher = WordsCipher(offer.pepper)
    try:
        ports = remote_ports(client, offer, news, cipher)
        await news.refresh()
        servers = []
        for settings, place in sites:
            app = await asyncio.to_thread(create_app, settings, ports)
            servers.append(site_server(app, place, circuits=settings.circuits))
        await _until_over(servers, news, stop)
    finally:
        cipher.close()
    if not stop.is_set():
        notify("STATUS=waiting for the gateway")
        _log.info("settings-changed")


async def _until_over(servers: Sequence[QuietServer], news: RemoteNews, stop: asyncio.Event) -> None:
    """Serve; returns when we are to stop or other settings are there, raises what a server ended with."""
    listening = asyncio.create_task(_listening(servers))
    ends = [asyncio.create_task(stop.wait()), asyncio.create_task(_look(news))]
    ends += [asyncio.create_task(serve_site(server)) for server in servers]
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in (listening, *ends):
        task.cancel()
    await asyncio.gather(listening, *ends, return_exceptions=True)
    for task in done:
        task.result()


async def _listening(servers: Sequence[QuietServer]) -> None:
    for server in servers:
        await server.listening.wait()
    notify("STATUS=serving")
    _log.info("serving sites=%d", len(servers))


def remote_ports(
    client: LinkClient, offer: PortalOffer, news: RemoteNews, cipher: WordsCipher
) -> PortalPorts:
    """The portal's roles: its own cipher and cleaner, and the gateway for all that is kept or signed."""
    store, receipts = RemoteStore(client), RemoteReceipts(client)
    return PortalPorts(
        intake=store,
        threads=store,
        cipher=cipher,
        cleaner=make_cleaner(require_sandbox=offer.require_sandbox, clamd=offer.clamd),
        notices=news,
        clock=SystemClock(),
        erase=RemoteEraser(client),
        random_bytes=os.urandom,
        receipts=receipts,
        count=receipts.count,
        parking=lambda: news.parking,
        erasure=receipts.erasure,
        subscription=receipts.token if offer.subscriptions else None,
        refresh=news.refresh,
    )


async def _look(news: RemoteNews) -> None:
    """Ask for news now and then, also without visitors, until there are other settings."""
    while not await _either(news.changed.wait(), seconds=_NEWS_SECONDS):
        await news.refresh()


async def _either(event: Awaitable[object], *, seconds: float) -> bool:
    """Whether the event came within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event
    except TimeoutError:
        return False
    return True


def _check_place(socket: Path) -> None:
    folder = socket.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigInvalid(
            "[portal] socket: this user cannot make it in its folder; deploy/README.md has the folders"
        )


async def _watchdog() -> None:
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)
