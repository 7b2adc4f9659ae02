"""Find a helpdesk connector by its name in the entry point group "veildesk.backends"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, cast

from veildesk.core.errors import ConfigInvalid
from veildesk.core.ports import Backend

__all__ = ["GROUP", "backend_names", "load_backend"]

GROUP = "veildesk.backends"


def backend_names() -> list[str]:
    """Names of the connectors that are installed, sorted."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load_backend(kind: str, name: str, settings: Mapping[str, Any]) -> Backend:
    """Make the connector `kind`, known to the gateway as `name`, from its own settings.

    Raises `ConfigInvalid` when no such connector is installed or it refuses its settings.
    """
    for point in entry_points(group=GROUP):
        if point.name == kind:
            factory = cast(Callable[[str, Mapping[str, Any]], Backend], point.load())
            return factory(name, settings)
    raise ConfigInvalid(f"no connector named {kind!r}; installed: {', '.join(backend_names()) or 'none'}")
