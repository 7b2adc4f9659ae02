"""The onion services that a configuration asks for: the portal's, and that of the notices alone."""

from __future__ import annotations

from pathlib import Path

from veildesk.core.errors import ConfigInvalid
from veildesk.core.ports import OnionService
from veildesk.onion.key import load_key, public_key_of
from veildesk.onion.service import ManagedOnion, WatchedOnion
from veildesk.service.config import Config, OnionConfig

__all__ = ["build_onions", "portal_address", "smtp_target", "status_address"]


def portal_address(onion: OnionConfig | None) -> str | None:
    """The portal's address with ".onion". Raises `KeyUnusable` or `ConfigInvalid`."""
    if onion is None:
        return None
    if onion.address is None:
        return load_key(onion.key_file).address
    try:
        public_key_of(onion.address)
    except ValueError:
        raise ConfigInvalid("[onion] address: this is not a whole v3 address") from None
    return onion.address.lower()


def status_address(onion: OnionConfig | None) -> str | None:
    """The address of the notices' own onion, None without one. Raises `KeyUnusable`."""
    if onion is None or onion.status_key_file is None:
        return None
    return load_key(onion.status_key_file).address


def build_onions(config: Config) -> dict[str, OnionService]:
    """Services by name, "onion" first. Raises `KeyUnusable` or `ConfigInvalid`."""
    onion, portal = config.onion, config.portal
    if onion is None:
        return {}
    if onion.mode == "torrc":
        address = portal_address(onion)
        assert address is not None
        return {"onion": WatchedOnion(onion.control_socket, address)}
    targets = [(80, f"unix:{portal.socket}")] if portal else []
    if onion.smtp:
        targets.append((25, smtp_target(config)))
    services: dict[str, OnionService] = {"onion": _managed(onion, onion.key_file, targets, onion.client_keys)}
    # With a status site its own process publishes this one.
    if onion.status_key_file is not None and portal is not None and config.status is None:
        services["status-onion"] = _managed(
            onion, onion.status_key_file, [(80, f"unix:{portal.status_socket}")]
        )
    return services


def smtp_target(config: Config) -> str:
    """Where tor finds the SMTP listener: a socket or port of this machine."""
    assert config.smtp is not None
    kind, _, rest = config.smtp.listen.partition(":")
    return f"unix:{config.base / rest}" if kind == "unix" else config.smtp.listen


def _managed(
    onion: OnionConfig, key_file: Path, targets: list[tuple[int, str]], client_keys: tuple[str, ...] = ()
) -> ManagedOnion:
    """Client keys close the portal only: notices are for everybody."""
    return ManagedOnion(
        onion.control_socket,
        key_file,
        targets,
        proof_of_work=onion.proof_of_work,
        max_streams=onion.max_streams,
        client_keys=client_keys,
    )
