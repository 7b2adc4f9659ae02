"""The Unix sockets that a configuration names for this machine."""

from __future__ import annotations

from pathlib import Path

from veildesk.service.config import Config

__all__ = ["gateway_sockets", "mail_sockets"]


def mail_sockets(config: Config) -> list[tuple[str, Path]]:
    """The Unix sockets that the mail listeners wait at, each with its key in the configuration."""
    listeners = (("lmtp", config.lmtp), ("smtp", config.smtp))
    return [
        (f"[{name}] listen", config.base / listen.listen.removeprefix("unix:"))
        for name, listen in listeners
        if listen is not None and listen.listen.startswith("unix:")
    ]


def gateway_sockets(config: Config) -> list[tuple[str, Path]]:
    """The Unix sockets that 'veildesk run' listens on, each with its key in the configuration."""
    found = mail_sockets(config)
    if (portal := config.portal) is not None and portal.process is not None:
        found.append(("[portal.process] socket", portal.process.socket))
    elif portal is not None:
        found.append(("[portal] socket", portal.socket))
        if config.onion is not None and config.onion.status_key_file is not None and config.status is None:
            found.append(("[portal] status_socket", portal.status_socket))
    if config.metrics is not None:
        found.append(("[metrics] socket", config.metrics.socket))
    if config.webhooks is not None and config.webhooks.listen.startswith("unix:"):
        found.append(("[webhooks] listen", config.base / config.webhooks.listen.removeprefix("unix:")))
    return found
