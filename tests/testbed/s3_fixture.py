"""One S3 server for each test process, a fresh bucket for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.s3_server import S3Server, s3_server

__all__ = ["s3"]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A running throw-away server."""
    with s3_server() as made:
        yield made
