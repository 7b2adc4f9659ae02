"""Sections of the configuration about which helpdesk gets what, and what agents' answers may carry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from veildesk.core.errors import ConfigInvalid

__all__ = [
    "AnswersConfig",
    "RouteConfig",
    "WebhooksConfig",
    "check_retention",
    "check_routes",
    "check_webhooks",
]


_MOST_DAYS = 3650
"""Ten years: who writes more means something else."""


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Where entries go that meet all named conditions. `place` is a queue of that helpdesk."""

    queue: str = ""
    topic: str = ""
    language: str = ""
    backend: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class AnswersConfig:
    """What agents' answers may carry. `allow`: values that never stop one, such as a hotline's number.

    `internal`: domains of ours that must not be named. `remarks`: tell agents what became of answers.
    """

    allow: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    remarks: bool = True


@dataclass(frozen=True, slots=True)
class WebhooksConfig:
    """Where helpdesks may say that there is something to fetch: "unix:PATH", or "HOST:PORT" on loopback."""

    listen: str


def check_webhooks(webhooks: WebhooksConfig | None) -> None:
    """Raise `ConfigInvalid` for a place that others than this machine could reach."""
    if webhooks is None or webhooks.listen.startswith("unix:"):
        return
    host, _, port = webhooks.listen.rpartition(":")
    if host.strip("[]") not in ("127.0.0.1", "::1") or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigInvalid("[webhooks] listen: expected unix:PATH, 127.0.0.1:PORT or [::1]:PORT")


def check_routes(
    routes: Mapping[str, RouteConfig], backends: Collection[str], queues: Collection[str]
) -> None:
    """Raise `ConfigInvalid` for a route that names what does not exist."""
    for name, one in routes.items():
        if one.backend and one.backend not in backends:
            raise ConfigInvalid(f"[routes.{name}] backend: there is no [backends.{one.backend}]")
        if one.queue and one.queue not in queues:
            raise ConfigInvalid(f"[routes.{name}] queue: there is no [queues.{one.queue}]")


def check_retention(gateway: int, queues: Mapping[str, int]) -> None:
    """Raise `ConfigInvalid` unless each queue (0: as the gateway) keeps from 1 day to the gateway's days."""
    if not 1 <= gateway <= _MOST_DAYS:
        raise ConfigInvalid(f"[gateway] retention_days: from 1 to {_MOST_DAYS}")
    for name, days in queues.items():
        if days and not 1 <= days <= gateway:
            raise ConfigInvalid(f"[queues.{name}] retention_days: from 1 to [gateway] retention_days")
