"""What `veildesk keys` does with our own keys: look, extend, rotate, revoke, publish."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from veildesk.core.errors import ConfigInvalid, KeyUnusable
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.own_keys import OwnKey
from veildesk.openpgp.wkd_export import wkd_paths
from veildesk.ops.clock import SystemClock
from veildesk.service.config import Config
from veildesk.service.key_watch import days_left, roles, why_unusable
from veildesk.service.runtime import runtime_folder

__all__ = ["KeyCare", "KeyLine", "key_care"]


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One of our keys for a list.

    `role` is "support", "notice" or "earlier"; `trouble` says why it cannot serve, None when it can.
    """

    role: str
    fingerprint: str
    created: int
    expires: int | None
    days: int | None
    trouble: str | None
    subkeys: tuple[str, ...]
    secret: str


@asynccontextmanager
async def key_care(config: Config) -> AsyncIterator[KeyCare]:
    """Keys of a configuration, for one command."""
    with runtime_folder(config.gateway.runtime_dir) as runtime:
        home = GnuPGEngine(config.keys.home, runtime_dir=runtime)
        await home.start()
        # Not closed: the agent may be serving a running gateway.
        yield KeyCare(config, home)


class KeyCare:
    """Operations on the keys of one configuration; each may raise `KeyUnusable`."""

    def __init__(self, config: Config, home: GnuPGEngine) -> None:
        self._config = config
        self._home = home
        self._now = SystemClock().now

    async def lines(self) -> list[KeyLine]:
        """Every own key, those in use first."""
        known = {fingerprint: role for role, fingerprint in reversed(roles(self._config.keys).items())}
        found = [
            self._line(one, known.get(one.fingerprint, "earlier")) for one in await self._home.own_keys()
        ]
        return sorted(found, key=lambda one: ("support", "notice", "earlier").index(one.role))

    def _line(self, key: OwnKey, role: str) -> KeyLine:
        return KeyLine(
            role,
            key.fingerprint,
            key.primary.created,
            key.primary.expires,
            days_left(key, role, self._now()),
            why_unusable(key, role),
            tuple(f"{one.usage}:{one.algorithm}" for one in key.parts[1:] if one.usable),
            str(key.primary.secret),
        )

    async def extend(self, role: str, period: str) -> KeyLine:
        """Let a key and its subkeys end `period` from now."""
        name = self._fingerprint(role)
        await self._home.own_key(name)
        await self._home.set_expiry(name, period)
        return self._line(await self._home.own_key(name), role)

    async def rotate(self, role: str, period: str) -> KeyLine:
        """A new encryption subkey, and a new end for the key itself.

        The old subkey still opens what was sent to it. The fingerprint that people know stays the same.
        """
        name = self._fingerprint(role)
        key = await self._home.own_key(name)
        rsa = key.primary.algorithm.startswith("rsa")
        await self._home.set_expiry(name, period)
        await self._home.add_encryption_subkey(name, period, key.primary.algorithm if rsa else "cv25519")
        return self._line(await self._home.own_key(name), role)

    async def replace(self, role: str, period: str) -> str:
        """A new key for a role, certified by the present one; returns its fingerprint.

        The configuration is not touched: the operator puts the fingerprint there. The old key stays in the
        home, so that mail to it can still be opened.
        """
        old = self._fingerprint(role)
        await self._home.own_key(old)
        name, address = self._config.gateway.name, self._config.gateway.address
        user_id = f"{name} <{address}>" if role == "support" else f"{name} notices <{address}>"
        new = await self._home.generate_key(user_id, expires=period, again=True)
        await self._home.certify(new, old)
        return new

    async def revocation(self, role: str, target: Path) -> None:
        """Write a revocation certificate to a new file that only its owner can read."""
        certificate = await self._home.revocation_certificate(self._fingerprint(role))
        _write_new(target, certificate)

    async def revoke(self, role: str, certificate: bytes) -> KeyLine:
        """Revoke a key for good with its certificate."""
        name = self._fingerprint(role)
        await self._home.revoke(name, certificate)
        return self._line(await self._home.own_key(name), role)

    async def public(self, role: str) -> bytes:
        """A public key, armored."""
        return await self._home.export(self._fingerprint(role))

    async def publish(self, folder: Path, *, advanced: bool, address: str | None = None) -> list[Path]:
        """Write the support key for a Web Key Directory below `folder`; returns the files."""
        wanted = address or self._config.gateway.address
        key, policy = wkd_paths(wanted, advanced=advanced)
        data = await self._home.export_for(self._fingerprint("support"), wanted)
        for place, content in ((key, data), (policy, b"")):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return [folder / key, folder / policy]

    def _fingerprint(self, role: str) -> str:
        try:
            return roles(self._config.keys)[role]
        except KeyError:
            raise KeyUnusable("role") from None


def _write_new(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigInvalid(f"{path}: there is such a file already; nothing was written") from None
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be written ({type(error).__name__})") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
