"""The private tor network as a session fixture: started when first asked for, checked at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.private_tor import PrivateTor

__all__ = ["private_tor"]


@pytest.fixture(scope="session")
def private_tor() -> Iterator[PrivateTor]:
    """One network per test process. Every test that used it is answered for by the last assertion."""
    with PrivateTor() as net:
        yield net
        assert net.foreign_connections() == []
