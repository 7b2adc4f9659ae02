"""One PostgreSQL for each test process, a fresh database for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.postgres import Cluster, cluster

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running throw-away cluster."""
    with cluster() as made:
        yield made
