"""The listener for helpdesks' webhooks: each genuine call makes its poller look at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from veildesk.core.ports import Hints
from veildesk.ops.webhook_server import Proves, WebhookServer
from veildesk.service.config import Config
from veildesk.service.workers import Poller

__all__ = ["webhook_server"]


def webhook_server(config: Config, pollers: Mapping[str, Poller]) -> WebhookServer | None:
    """The listener that `[webhooks]` asks for, not started yet; None without that section."""
    if config.webhooks is None:
        return None
    takers: dict[str, tuple[Proves, Callable[[], None]]] = {}
    for name, poller in pollers.items():
        if isinstance(poller.backend, Hints):
            takers[name] = (poller.backend.hint, poller.nudge)
    kind, _, rest = config.webhooks.listen.partition(":")
    if kind == "unix":
        return WebhookServer(takers, path=config.base / rest)
    host, _, port = config.webhooks.listen.rpartition(":")
    return WebhookServer(takers, host=host.strip("[]"), port=int(port))
