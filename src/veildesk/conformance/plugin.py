"""pytest plugin: `pytest --veildesk-backend NAME` runs the suite over one connector.

NAME is an entry point of the group "veildesk.desks" or "module:function", either of them a `DeskFactory`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from veildesk.conformance.desk import Desk, DeskFactory

__all__ = ["load_desk"]

pytest.register_assert_rewrite("veildesk.conformance.suite")


def load_desk(name: str) -> DeskFactory:
    """The factory that `name` stands for. Raises `pytest.UsageError`."""
    for point in entry_points(group="veildesk.desks"):
        if point.name == name:
            return cast(DeskFactory, point.load())
    module, _, function = name.partition(":")
    if not function:
        raise pytest.UsageError(f"--veildesk-backend: no desk named {name!r}; give module:function")
    try:
        return cast(DeskFactory, getattr(import_module(module), function))
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"--veildesk-backend {name}: {error}") from None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("veildesk")
    group.addoption(
        "--veildesk-backend", metavar="NAME", default=None, help="run the conformance suite over a connector"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """With the option and nothing else named, the suite is what runs."""
    if config.getoption("veildesk_backend") and config.args_source != pytest.Config.ArgsSource.ARGS:
        config.args = [str(Path(__file__).with_name("suite.py"))]


@pytest_asyncio.fixture
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """The desk that the option names; test modules may have their own fixture of this name."""
    name = request.config.getoption("veildesk_backend")
    if not name:
        raise pytest.UsageError("--veildesk-backend NAME says which connector to test")
    async with load_desk(name)(tmp_path) as made:
        yield made
