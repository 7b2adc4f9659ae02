from __future__ import annotations

import pytest

from portal.fakes import World, settings
from portal.visitor import Visitor


@pytest.fixture
def world() -> World:
    return World(settings())


@pytest.fixture
def visitor(world: World) -> Visitor:
    return Visitor(world)
