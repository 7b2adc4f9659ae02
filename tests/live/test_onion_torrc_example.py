"""A tor hardened as torrc.example says still publishes, is reached, and lives through a reload."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from testbed.onion_http import wait_reachable
from testbed.private_tor import PrivateTor
from testbed.tiny_portal import TIMING, tiny_portal
from veildesk.onion import ManagedOnion, check_onion, create_key

pytestmark = [pytest.mark.live, pytest.mark.slow]

EXAMPLE = Path(__file__).resolve().parents[2] / "torrc.example"
# Places, log and sockets are the test bed's own.
PLACES = ("DataDirectory", "ControlSocket", "CookieAuth", "SocksPort", "Log ", "DisableDebugger")


def hardening():
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.startswith(PLACES)]


async def test_managed_mode_in_the_sandbox(tmp_path):
    lines = hardening()
    assert {"Sandbox 1", "NoExec 1", "SafeLogging 1"} <= set(lines)
    with PrivateTor(host_lines=lines) as net:
        create_key(tmp_path / "onion.key")
        async with tiny_portal(tmp_path / "portal.sock") as target:
            onion = ManagedOnion(net.control("host"), tmp_path / "onion.key", [(80, target)], timing=TIMING)
            task = asyncio.create_task(onion.run())
            try:
                await onion.wait_published(90)
                await asyncio.to_thread(wait_reachable, net.socks_port, onion.address)
                os.kill(net.pid("host"), signal.SIGHUP)
                assert "host" in net.running()
                await asyncio.to_thread(wait_reachable, net.socks_port, onion.address)
                assert onion.state().published
                results = await check_onion(net.control("host"), key_file=tmp_path / "onion.key")
                levels = {result.id: str(result.level) for result in results}
                if not net.net.calm:
                    assert levels.pop("onion.alone") in ("ok", "skip")
                assert set(levels.values()) == {"ok"}
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        assert net.foreign_connections() == []
