"""Our own keys while the gateway runs: warned about before they end, and no service without them.

A key that has expired, was revoked or lost its secret half ends the process with exit code 11: mail would
otherwise go out unsigned or stay unreadable, and nobody would notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.openpgp.gnupg_home import GnuPGHome
from veildesk.openpgp.own_keys import OwnKey
from veildesk.service.config import KeysConfig

__all__ = ["WARN_DAYS", "KeyWatch", "days_left", "roles", "usages", "why_unusable"]

_LOG = logging.getLogger("veildesk.keys")
WARN_DAYS = (30, 15, 5)
_DAY = 86400
_PERIOD = 3600.0


def roles(keys: KeysConfig) -> dict[str, str]:
    """Our keys by what they are for."""
    return {"support": keys.support, "notice": keys.notice}


def usages(role: str) -> tuple[str, ...]:
    """What a key must be able to do: notices are only signed."""
    return ("s", "e") if role == "support" else ("s",)


def why_unusable(key: OwnKey, role: str) -> str | None:
    """Why a key cannot serve, as a fixed word; None when it can."""
    if key.primary.revoked:
        return "revoked"
    if not key.primary.usable:
        return "expired"
    if not key.can("s"):
        return "cannot-sign"
    if "e" in usages(role) and not key.can("e"):
        return "cannot-decrypt"
    return None


def days_left(key: OwnKey, role: str, now: int) -> int | None:
    """Whole days until the key can no longer do what it is for; None for never."""
    end = key.ends(*usages(role))
    return None if end is None else max(0, (end - now) // _DAY)


class KeyWatch:
    """Looks at the keys of a configuration. `now` gives seconds since 1970."""

    def __init__(self, home: GnuPGHome, keys: KeysConfig, now: Callable[[], int]) -> None:
        self._home = home
        self._keys = keys
        self._now = now
        self._told: dict[str, int] = {}
        self.days: dict[str, int | None] = {}

    async def look(self) -> None:
        """Look once and note the days left. Raises `KeyUnusable` when a key cannot serve."""
        for role, fingerprint in roles(self._keys).items():
            try:
                key = await self._home.own_key(fingerprint)
            except KeyUnusable:
                if role != "notice":
                    raise
                # It may be on another machine: notices are then signed there (docs/notices.md).
                self.days[role] = None
                continue
            if (reason := why_unusable(key, role)) is not None:
                _LOG.critical("key-unusable role=%s reason=%s", role, reason)
                raise KeyUnusable(f"{role}-key-{reason}")
            self.days[role] = left = days_left(key, role, self._now())
            step = min((one for one in WARN_DAYS if left is not None and left <= one), default=None)
            if step is not None and step < self._told.get(role, WARN_DAYS[0] + 1):
                # Once for each step; a restart tells again.
                self._told[role] = step
                _LOG.warning("key-ends role=%s days=%d", role, left)

    async def run(self) -> None:
        """Look every hour until cancelled. Raises `KeyUnusable`."""
        while True:
            await asyncio.sleep(_PERIOD)
            try:
                await self.look()
            except KeyUnusable:
                raise
            except VeildeskError as error:
                # gpg did not answer this time, which says nothing about the keys.
                _LOG.warning("keys-not-seen reason=%s", error.detail)
