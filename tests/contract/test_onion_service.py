"""The contract of `OnionService`, over the fake and over the real one on a private network."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from veildesk.core.errors import OnionUnavailable
from veildesk.core.ports import OnionService
from veildesk.onion import FakeOnion, ManagedOnion, Timing, WatchedOnion, create_key, public_key_of


@dataclass
class Pair:
    """A service that can publish, and a twin that cannot."""

    good: OnionService
    stuck: OnionService


@pytest.fixture(params=["fake", pytest.param("managed", marks=pytest.mark.live)])
async def pair(request: pytest.FixtureRequest, tmp_path: Any) -> Pair:
    if request.param == "fake":
        return Pair(FakeOnion(), FakeOnion(reachable=False))
    net = request.getfixturevalue("private_tor")
    create_key(tmp_path / "onion.key")
    targets = [(80, f"unix:{tmp_path}/portal.sock")]
    return Pair(
        ManagedOnion(net.control("host"), tmp_path / "onion.key", targets, timing=Timing(upload=20.0)),
        ManagedOnion(tmp_path / "no-socket", tmp_path / "onion.key", targets),
    )


@contextlib.asynccontextmanager
async def running(service: OnionService):
    task = asyncio.create_task(service.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_address_is_known_and_whole_before_anything_runs(pair):
    assert pair.good.address.endswith(".onion")
    assert len(public_key_of(pair.good.address)) == 32
    state = pair.good.state()
    assert (state.address, state.connected, state.published) == (pair.good.address, False, False)
    assert state.trouble


async def test_published_after_running(pair):
    async with running(pair.good):
        await pair.good.wait_published(90)
        state = pair.good.state()
        assert state.published
        assert state.connected
        assert state.trouble == ""
        await pair.good.wait_published(0.5)


async def test_cancelling_ends_publication_and_it_can_run_again(pair):
    for _ in range(2):
        async with running(pair.good) as task:
            await pair.good.wait_published(90)
            assert not task.done()
        assert not pair.good.state().published
        assert not pair.good.state().connected


async def test_waiting_in_vain_raises_with_a_word_for_the_operator(pair):
    async with running(pair.stuck) as task:
        with pytest.raises(OnionUnavailable) as failure:
            await pair.stuck.wait_published(0.3)
        assert failure.value.detail == pair.stuck.state().trouble != ""
        assert not pair.stuck.state().published
        assert not task.done()


async def test_waiting_without_running_raises(pair):
    with pytest.raises(OnionUnavailable):
        await pair.good.wait_published(0.05)


def test_watched_has_the_same_shape(tmp_path):
    service: OnionService = WatchedOnion(tmp_path / "control", FakeOnion().address)
    assert not service.state().published
