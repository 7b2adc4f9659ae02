from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from portal.fakes import World, settings
from portal.linked import LinkedWorld, linked
from portal.visitor import Visitor

BOTH = {
    "test_answer_files",
    "test_erasure",
    "test_journey",
    "test_nothing_is_lost",
    "test_report_proof_feedback",
    "test_status",
    "test_words_and_codes",
}
"""Modules whose tests hold for a portal within the gateway and for one of its own process alike."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in BOTH and "world" in metafunc.fixturenames:
        metafunc.parametrize("world", ["within", "linked"], indirect=True)


@pytest_asyncio.fixture
async def linked_world() -> AsyncIterator[LinkedWorld]:
    # Short: the name of a socket has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="vd-") as folder:
        async with linked(Path(folder)) as world:
            yield world


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    if getattr(request, "param", "within") == "linked":
        return request.getfixturevalue("linked_world")
    return World(settings())


@pytest.fixture
def visitor(world: World) -> Visitor:
    return Visitor(world)
