"""Servers that take long to start are shared by the modules of one run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.helpdesks.rt import RTServer, rt_server


@pytest.fixture(scope="session")
def request_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RTServer]:
    with rt_server(tmp_path_factory.mktemp("rt")) as started:
        yield started
