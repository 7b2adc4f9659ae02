"""The portal's surroundings asked over the link: fakes on the gateway's side, a real socket in between."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from portal.fakes import World, settings
from veildesk.link.client import LinkClient
from veildesk.link.remote import RemoteEraser, RemoteNews, RemoteReceipts, RemoteStore
from veildesk.link.server import LinkServer
from veildesk.link.shape import dump
from veildesk.portal.ports import PortalPorts
from veildesk.service.portal_desk import PortalDesk

__all__ = ["LinkedWorld", "linked"]


@dataclass
class LinkedWorld(World):
    """As `World`; its `ports` are those of a portal process, `within` are the gateway's own."""

    client: LinkClient | None = None
    offer: bytes = b""
    desk: PortalDesk | None = None

    def change(self, **changes: object) -> None:
        super().change(**changes)
        assert self.desk is not None
        self.desk._settings = self.settings

    @property
    def within(self) -> PortalPorts:
        return super().ports

    @property
    def ports(self) -> PortalPorts:
        assert self.client is not None
        store, receipts = RemoteStore(self.client), RemoteReceipts(self.client)
        digest = hashlib.sha256(self.offer).digest()
        news = RemoteNews(self.client, self.clock, digest, seconds=0.0)
        return PortalPorts(
            intake=store,
            threads=store,
            cipher=self.cipher,
            cleaner=self.cleaner,
            notices=news,
            clock=self.clock,
            erase=RemoteEraser(self.client),
            random_bytes=os.urandom,
            receipts=receipts,
            count=receipts.count,
            parking=lambda: news.parking,
            erasure=receipts.erasure,
            subscription=receipts.token,
            refresh=news.refresh,
        )


@contextlib.asynccontextmanager
async def linked(folder: Path, world: LinkedWorld | None = None) -> AsyncIterator[LinkedWorld]:
    """A world whose gateway listens while the block runs."""
    world = world or LinkedWorld(settings())
    world.offer = dump(world.settings)
    path = folder / "gateway.sock"
    world.desk = PortalDesk(world.within, world.settings, world.offer)
    server = LinkServer(path, os.geteuid(), world.desk)
    await server.start()
    world.client = LinkClient(path)
    try:
        yield world
    finally:
        await world.client.close()
        await server.close()
