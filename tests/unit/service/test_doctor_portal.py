"""Doctor says whether a portal process is really apart from the gateway, and whether it answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.core.ticket import Level
from veildesk.ops.control import ControlServer
from veildesk.service.config import Config, parse_config
from veildesk.service.doctor_portal import check_portal_process


def parsed(folder: Path, user: str | None) -> Config:
    portal: dict[str, Any] = {} if user is None else {"process": {"user": user}}
    raw = {
        "gateway": {"name": "Desk", "address": "support@desk.example", "domain": "desk.example"},
        "keys": {"home": "gnupg", "support": "A" * 40, "notice": "B" * 40},
        "backends": {"desk": {"kind": "memory"}},
        "queues": {"support": {"addresses": ["support@desk.example"], "backend": "desk"}},
        "portal": portal,
    }
    (folder / "state").mkdir(mode=0o700)
    return parse_config(raw, folder)


async def levels(config: Config) -> dict[str, Level]:
    return {check.id: check.level for check in await check_portal_process(config)}


async def test_nothing_is_said_of_a_portal_within_the_gateway(tmp_path: Path) -> None:
    config = parsed(tmp_path, None)
    assert config.portal is not None
    assert await levels(config) == {}


async def test_the_gateways_own_user_is_not_apart(tmp_path: Path) -> None:
    found = await levels(parsed(tmp_path, str(os.geteuid())))
    assert found == {"portal.user": Level.FAIL, "portal.process": Level.SKIP}


async def test_another_user_is_apart_as_long_as_the_state_is_closed_to_him(tmp_path: Path) -> None:
    config = parsed(tmp_path, "54321")
    assert (await levels(config))["portal.user"] is Level.OK
    config.gateway.state_dir.chmod(0o705)
    assert (await levels(config))["portal.user"] is Level.FAIL


async def test_a_user_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="user"):
        await check_portal_process(parsed(tmp_path, "no-such-user-here"))


@pytest.mark.parametrize(("portal", "level"), [("answers", Level.OK), ("away", Level.FAIL)])
async def test_a_process_that_asks_for_nothing_does_not_answer(
    tmp_path: Path, portal: str, level: Level
) -> None:
    config = parsed(tmp_path, "54321")

    async def status(request: object) -> dict[str, str]:
        return {"portal": portal}

    control = ControlServer(config.gateway.state_dir / "control", {"status": status})
    await control.start()
    assert (await levels(config))["portal.process"] is level
    await control.close()
