from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.openpgp_lab import Lab, new_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.differential = True
        yield made
