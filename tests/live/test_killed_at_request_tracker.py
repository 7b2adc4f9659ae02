"""SIGKILL of the gateway in the middle of a call to a real Request Tracker: one ticket, one message."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.fault_proxy import FaultProxy, fault_proxy
from testbed.helpdesks.gateway import GatewayProcess, gateway_before, send
from testbed.helpdesks.rt import RTDesk, RTServer, rt_desk

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("rt"), pytest.mark.timeout(300)]


@pytest.fixture
def server(request_tracker: RTServer) -> RTServer:
    return request_tracker


@pytest_asyncio.fixture
async def house(server: RTServer) -> AsyncIterator[tuple[GatewayProcess, FaultProxy, RTDesk]]:
    # A short path: sockets have 108 bytes.
    folder = Path("/tmp") / f"vd-{secrets.token_hex(4)}"
    async with fault_proxy(server.url) as proxy, rt_desk(server) as desk:
        settings = {**server.settings, "url": proxy.url}
        made = gateway_before(folder, "rt", settings)
        gateway = await asyncio.to_thread(made.__enter__)
        try:
            yield gateway, proxy, desk
        finally:
            await asyncio.to_thread(made.__exit__, None, None, None)
            shutil.rmtree(folder, ignore_errors=True)


async def tickets(desk: RTDesk) -> set[str]:
    """The latest hundred tickets of the queue."""
    found = await desk._post("/tickets?orderby=id&order=DESC&per_page=100", data={"query": "Queue='Secure'"})
    return {str(item["id"]) for item in found.json()["items"]}


@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("/REST/2.0/ticket HTTP", "act-after"),
        ("/correspond", "act-before"),
        ("/correspond", "act-after"),
    ],
    ids=["after-create", "before-correspond", "after-correspond"],
)
async def test_a_kill_in_the_middle_of_a_call_leaves_one_ticket_with_one_message(
    house: tuple[GatewayProcess, FaultProxy, RTDesk], call: str, moment: str
) -> None:
    gateway, proxy, desk = house
    killed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def kill() -> None:
        gateway.kill()
        loop.call_soon_threadsafe(killed.set)

    proxy.act = kill
    before = await tickets(desk)
    await asyncio.to_thread(gateway.start)
    proxy.break_next(call, moment)
    await asyncio.to_thread(send, gateway, "My wallet does not open.")
    await asyncio.wait_for(killed.wait(), 120)
    assert await asyncio.to_thread(gateway.status) is None
    await asyncio.to_thread(gateway.start)
    await asyncio.to_thread(gateway.wait, "delivered", 120, delivered=1)
    (ref,) = await tickets(desk) - before
    fields = (await desk._agent.get(f"/ticket/{ref}")).json()["CustomFields"]
    (thread,) = [one["values"][0] for one in fields if one["name"] == "veildesk-thread"]
    texts = await desk.texts(thread)
    assert len(texts) == 1
    assert "My wallet does not open." in texts[0]
