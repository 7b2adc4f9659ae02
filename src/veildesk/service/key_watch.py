"""Our own keys while the gateway runs: warned about before they end, and no service without them.

A mail key that has expired, was revoked or lost its secret half ends the process with exit code 11: mail
would otherwise go out unsigned or stay unreadable, and nobody would notice. A notice key that has ended stops
the publishing of notices and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

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
    """Looks at the keys of a configuration. `now` gives seconds since 1970.

    `changed` is called when a key differs from the look before: a new subkey, another end. `trouble` has the
    fixed word why a key that the gateway can do without is of no use.
    """

    def __init__(self, home: GnuPGHome, keys: KeysConfig, now: Callable[[], int]) -> None:
        self.home = home
        self._keys = keys
        self._now = now
        self._told: dict[str, int] = {}
        self._seen: dict[str, OwnKey] | None = None
        self._wake = asyncio.Event()
        self._asked: list[asyncio.Future[None]] = []
        self.changed: list[Callable[[], Awaitable[None]]] = []
        self.days: dict[str, int | None] = {}
        self.trouble: dict[str, str] = {}

    async def look(self) -> None:
        """Look once and note the days left. Raises `KeyUnusable` when the mail key cannot serve."""
        seen: dict[str, OwnKey] = {}
        for role, fingerprint in roles(self._keys).items():
            try:
                seen[role] = await self.home.own_key(fingerprint)
            except KeyUnusable:
                if role != "notice":
                    raise
                # It may be on another machine: notices are then signed there (docs/notices.md).
                self.days[role] = None
                self.trouble.pop(role, None)
                continue
            self._judge(role, seen[role])
        before, self._seen = self._seen, seen
        if before is not None and before != seen:
            _LOG.info("keys-changed")
            for tell in self.changed:
                await tell()

    def _judge(self, role: str, key: OwnKey) -> None:
        reason = why_unusable(key, role)
        if reason is not None and role != "notice":
            _LOG.critical("key-unusable role=%s reason=%s", role, reason)
            raise KeyUnusable(f"{role}-key-{reason}")
        if reason is None:
            self.trouble.pop(role, None)
        elif self.trouble.get(role) != reason:
            self.trouble[role] = reason
            _LOG.error("notices-stopped key=%s", reason)
        self.days[role] = left = 0 if reason is not None else days_left(key, role, self._now())
        step = min((one for one in WARN_DAYS if left is not None and left <= one), default=None)
        if step is not None and reason is None and step < self._told.get(role, WARN_DAYS[0] + 1):
            # Once for each step; a restart tells again.
            self._told[role] = step
            _LOG.warning("key-ends role=%s days=%d", role, left)

    async def again(self) -> None:
        """Let `run` look at once; returns when it has. Raises what it found."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._wake.set()
        await asked

    async def run(self) -> None:
        """Look every hour, and when asked, until cancelled. Raises `KeyUnusable`."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await self._wake.wait()
            self._wake.clear()
            asked, self._asked = self._asked, []
            try:
                await self.look()
            except KeyUnusable as error:
                _settle(asked, error)
                raise
            except VeildeskError as error:
                # gpg did not answer this time, which says nothing about the keys.
                _LOG.warning("keys-not-seen reason=%s", error.detail)
                # What was to be told of a change is told at the next look.
                self._seen = {} if self._seen is not None else None
                _settle(asked, error)
            else:
                _settle(asked, None)


def _settle(asked: list[asyncio.Future[None]], error: VeildeskError | None) -> None:
    for one in asked:
        if one.done():
            continue
        if error is None:
            one.set_result(None)
        else:
            one.set_exception(error)
