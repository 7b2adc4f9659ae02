"""Sections of the configuration about the portal and its onion service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from veildesk.core.errors import ConfigInvalid
from veildesk.portal.ports import TOPICS

__all__ = ["OnionConfig", "PortalConfig", "PortalProcessConfig", "check_onion", "check_portal"]


@dataclass(frozen=True, slots=True)
class PortalProcessConfig:
    """The portal as a process of its own ('veildesk portal serve').

    `socket` is the gateway's, where that process asks; only `user` (a name or number) may use it.
    """

    user: str
    socket: Path = Path("run/link/gateway.sock")


@dataclass(frozen=True, slots=True)
class PortalConfig:
    """The onion portal behind a Unix socket.

    `clearnet_hosts` are names under which a proxy of yours offers the same site without Tor. `challenge`
    asks for one of the ticket words before a new ticket is sent. `status_socket` is for a site of its own
    that has only notices and keys.

    `queues` names the queue of a topic, such as `security = "response"`; all others go to "support", or to
    the first queue there is. With `process` another process serves `socket` and `status_socket`.
    """

    socket: Path = Path("run/portal.sock")
    extra_hosts: tuple[str, ...] = ()
    clearnet_hosts: tuple[str, ...] = ()
    status_socket: Path = Path("run/status.sock")
    open: bool = True
    challenge: bool = False
    queues: Mapping[str, str] = field(default_factory=dict)
    process: PortalProcessConfig | None = None


@dataclass(frozen=True, slots=True)
class OnionConfig:
    """The onion service. `control_socket` is that of an own tor instance.

    `mode` is "managed" (we publish it) or "torrc" (tor's configuration does, we watch; then `address` takes
    the place of the key file if that is not here, and `circuits` says that tor exports circuits). With
    `client_keys` only their holders can connect. `smtp` also offers [smtp] on port 25. With
    `status_key_file` the notices get an onion of their own.
    """

    control_socket: Path
    mode: str = "managed"
    key_file: Path = Path("keys/hs_ed25519_secret_key")
    address: str | None = None
    proof_of_work: bool = True
    max_streams: int = 100
    client_keys: tuple[str, ...] = ()
    circuits: bool = False
    smtp: bool = False
    status_key_file: Path | None = None


def check_portal(portal: PortalConfig | None, queues: Collection[str]) -> None:
    """Raises `ConfigInvalid`. `queues` are the names of all queues."""
    for topic, name in (portal.queues if portal else {}).items():
        if topic not in TOPICS:
            raise ConfigInvalid(f"[portal.queues] {topic}: unknown topic; known: {', '.join(TOPICS)}")
        if name not in queues:
            raise ConfigInvalid(f"[portal.queues] {topic}: there is no [queues.{name}]")


def check_onion(onion: OnionConfig | None, *, smtp: bool) -> None:
    """Raises `ConfigInvalid`. `smtp` is whether there is an [smtp] section."""
    if onion is None:
        return
    if onion.mode == "torrc":
        for name, used in {
            "client_keys": onion.client_keys,
            "smtp": onion.smtp,
            "status_key_file": onion.status_key_file,
        }.items():
            if used:
                raise ConfigInvalid(f"[onion] {name}: in mode 'torrc' this belongs into tor's configuration")
        if onion.address is None and not onion.key_file.exists():
            raise ConfigInvalid("[onion] address: in mode 'torrc' the address is needed, with .onion")
        return
    if onion.circuits:
        raise ConfigInvalid("[onion] circuits: tor exports circuits in mode 'torrc' only")
    if onion.address is not None:
        raise ConfigInvalid("[onion] address: in mode 'managed' the key file tells the address")
    if onion.smtp and not smtp:
        raise ConfigInvalid("[onion] smtp: there is no [smtp] section")
