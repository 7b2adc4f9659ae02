"""From `[onion]` to the services that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from veildesk.core.errors import ConfigInvalid, KeyUnusable
from veildesk.onion import ManagedOnion, WatchedOnion, create_key
from veildesk.service.config import Config, parse_config
from veildesk.service.onions import build_onions, portal_address, status_address

CLIENT = "B" * 51 + "Q"


def config(folder: Path, onion: dict[str, Any], **sections: dict[str, Any]) -> Config:
    raw: dict[str, Any] = {
        "gateway": {"name": "Example", "address": "support@example.org", "domain": "example.org"},
        "keys": {"home": "gnupg", "support": "A" * 40, "notice": "B" * 40},
        "backends": {"maildir": {"kind": "maildir"}},
        "portal": {"socket": "run/portal.sock"},
        "onion": {"control_socket": "control", "key_file": "onion.key", **onion},
    }
    return parse_config(raw | sections, folder)


def commands(services: dict[str, Any]) -> dict[str, str]:
    """What each managed service would ask tor, without the key."""
    return {
        name: " ".join(word for word in one._request.command(one._key).split() if "ED25519" not in word)
        for name, one in services.items()
        if isinstance(one, ManagedOnion)
    }


def test_mail_and_client_keys_are_asked_for_on_the_portals_onion(tmp_path: Path) -> None:
    key = create_key(tmp_path / "onion.key")
    made = config(tmp_path, {"smtp": True, "client_keys": [CLIENT]}, smtp={"listen": "unix:run/smtp.sock"})
    services = build_onions(made)
    assert list(services) == ["onion"]
    assert services["onion"].address == portal_address(made.onion) == key.address
    asked = commands(services)["onion"]
    assert f"Port=80,unix:{tmp_path}/run/portal.sock" in asked
    assert f"Port=25,unix:{tmp_path}/run/smtp.sock" in asked
    assert f"ClientAuthV3={CLIENT}" in asked
    assert "V3Auth" in asked
    assert "PoWDefensesEnabled=1" in asked


def test_a_loopback_port_for_mail_is_taken_as_it_is(tmp_path: Path) -> None:
    create_key(tmp_path / "onion.key")
    made = config(tmp_path, {"smtp": True}, smtp={"listen": "127.0.0.1:2525"})
    assert "Port=25,127.0.0.1:2525" in commands(build_onions(made))["onion"]


def test_mail_that_others_could_reach_too_is_not_offered(tmp_path: Path) -> None:
    create_key(tmp_path / "onion.key")
    with pytest.raises(ConfigInvalid):
        build_onions(config(tmp_path, {"smtp": True}, smtp={"listen": "0.0.0.0:25"}))


def test_the_notices_have_an_onion_of_their_own_without_mail_and_client_keys(tmp_path: Path) -> None:
    create_key(tmp_path / "onion.key")
    status = create_key(tmp_path / "status.key")
    made = config(
        tmp_path,
        {"smtp": True, "client_keys": [CLIENT], "status_key_file": "status.key"},
        smtp={"listen": "unix:run/smtp.sock"},
    )
    services = build_onions(made)
    assert services["status-onion"].address == status_address(made.onion) == status.address
    asked = commands(services)["status-onion"]
    assert f"Port=80,unix:{tmp_path}/run/status.sock" in asked
    assert "Port=25" not in asked
    # Notices are for everybody, also while the portal is for holders of keys.
    assert "ClientAuthV3" not in asked


def test_in_mode_torrc_nothing_is_asked_of_tor(tmp_path: Path) -> None:
    key = create_key(tmp_path / "onion.key")
    by_key = build_onions(config(tmp_path, {"mode": "torrc", "circuits": True}))
    by_address = build_onions(
        config(tmp_path, {"mode": "torrc", "address": key.address.upper(), "key_file": "none"})
    )
    for services in (by_key, by_address):
        assert isinstance(services["onion"], WatchedOnion)
        assert services["onion"].address == key.address


def test_a_mistyped_address_and_a_missing_key_are_told(tmp_path: Path) -> None:
    key = create_key(tmp_path / "onion.key")
    wrong = ("b" if key.address[0] == "a" else "a") + key.address[1:]
    with pytest.raises(ConfigInvalid, match="not a whole v3 address"):
        build_onions(config(tmp_path, {"mode": "torrc", "address": wrong}))
    with pytest.raises(KeyUnusable):
        build_onions(config(tmp_path, {"key_file": "none"}))


def test_without_an_onion_there_is_none(tmp_path: Path) -> None:
    made = config(tmp_path, {})
    assert build_onions(Config(made.gateway, made.keys, made.queues, made.backends)) == {}
