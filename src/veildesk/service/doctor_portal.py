"""Whether a portal apart from its gateway is really apart, and answers."""

from __future__ import annotations

import asyncio
import stat
from typing import Any

from veildesk.core.ticket import CheckResult, Level
from veildesk.ops.control import ask
from veildesk.service.config import Config
from veildesk.service.config_portal import PortalProcessConfig
from veildesk.service.portal_desk import uid_of

__all__ = ["check_portal_process"]


async def check_portal_process(config: Config) -> list[CheckResult]:
    """Nothing for a portal within the gateway. Raises `ConfigInvalid` for a user that is not there."""
    if config.portal is None or config.portal.process is None:
        return []
    return [_user(config, config.portal.process), await _answers(config)]


def _user(config: Config, process: PortalProcessConfig) -> CheckResult:
    title = "the portal process is another user than the gateway"
    if not config.gateway.state_dir.exists():
        return CheckResult("portal.user", title, Level.SKIP, "no state directory yet")
    about = config.gateway.state_dir.stat()
    uid = uid_of(process.user)
    if uid in (about.st_uid, 0):
        found = "root" if uid == 0 else "the same user"
        fix = "give it a user of its own (deploy/README.md): this one may read what the gateway keeps"
        return CheckResult("portal.user", title, Level.FAIL, found, "another user", fix)
    if about.st_mode & stat.S_IRWXO:
        fix = f"chmod o= {config.gateway.state_dir}"
        return CheckResult("portal.user", title, Level.FAIL, "state directory open to others", "", fix)
    return CheckResult("portal.user", title, Level.OK)


async def _answers(config: Config) -> CheckResult:
    title = "the portal process answers"
    try:
        path = config.gateway.state_dir / "control"
        status: dict[str, Any] = (await asyncio.to_thread(ask, path, {"command": "status"}, 5.0))["result"]
    except (OSError, TimeoutError, ValueError, KeyError):
        return CheckResult("portal.process", title, Level.SKIP, "the gateway is not running")
    if status.get("portal") == "answers":
        return CheckResult("portal.process", title, Level.OK)
    fix = "start it with 'veildesk portal serve' (veildesk-portal.service) and look into its log"
    return CheckResult(
        "portal.process", title, Level.FAIL, "it did not ask for anything lately", "answers", fix
    )
