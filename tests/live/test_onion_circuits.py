"""tor tells circuits apart (HiddenServiceExportCircuitID), and the real portal counts each for itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from portal.fakes import World, settings
from testbed.onion_http import OnionClient
from testbed.private_tor import PrivateTor
from veildesk.core.receipt import WORDS
from veildesk.onion import WatchedOnion, create_key
from veildesk.portal.app import create_app
from veildesk.portal.serve import config

pytestmark = pytest.mark.live


@pytest.fixture
async def onion(private_tor: PrivateTor, tmp_path: Path) -> AsyncIterator[str]:
    folder = private_tor.net.nodes["host"].directory / "hs-circuits"
    folder.mkdir(mode=0o700)
    key = create_key(tmp_path / "key")
    shutil.copy(tmp_path / "key", folder / "hs_ed25519_secret_key")
    world = World(replace(settings(), hosts=(key.address,), circuit_rate=0.001, circuit_burst=2))
    socket = tmp_path / "portal.sock"
    server = uvicorn.Server(config(create_app(world.settings, world.ports), socket, circuits=True))
    watched = WatchedOnion(private_tor.control("host"), key.address)
    lines = (
        f'HiddenServiceDir="{folder}" HiddenServicePort="80 unix:{socket}" '
        "HiddenServiceExportCircuitID=haproxy"
    )
    with private_tor.controller("host") as control:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            assert (await asyncio.to_thread(control.msg, f"SETCONF {lines}")).is_ok()
            watching = group.create_task(watched.run())
            try:
                await watched.wait_published(90)
                yield key.address
            finally:
                watching.cancel()
                server.should_exit = True
                control.msg("RESETCONF HiddenServiceDir HiddenServicePort HiddenServiceExportCircuitID")


async def test_one_circuit_uses_up_its_own_share_only(private_tor: PrivateTor, onion: str) -> None:
    words = {"words": " ".join(WORDS[:8])}

    def visit() -> list[int]:
        client = OnionClient(private_tor.socks_port, onion)
        client.wait_reachable()
        return [client.post("/en/track", words).status for _ in range(3)]

    assert await asyncio.to_thread(visit) == [200, 200, 429]
    assert await asyncio.to_thread(visit) == [200, 200, 429]
