"""One gpg lab for all tests of this folder, one house for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.house import House, open_house
from testbed.openpgp_lab import Lab, new_lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.make("stranger", "Mallory <mallory@example.net>")
        yield made


@pytest_asyncio.fixture
async def house(tmp_path: Path, lab: Lab) -> AsyncIterator[House]:
    async with open_house(tmp_path, lab) as opened:
        yield opened
