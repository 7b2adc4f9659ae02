"""What `veildesk keys` does with our own keys: look, extend, rotate, replace, revoke, publish."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from veildesk.core.errors import CannotVouch, ConfigInvalid, InputInvalid, KeyUnusable, VeildeskError
from veildesk.notices.archive import replace_file
from veildesk.notices.board import NEXT_KEY_FILE, TRANSITION_FILES
from veildesk.notices.signing import sign_text
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.own_keys import OwnKey
from veildesk.openpgp.wkd_export import wkd_paths
from veildesk.ops.clock import SystemClock
from veildesk.service.config import Config
from veildesk.service.key_pages import keep_file, keep_mail_key, notices_folder
from veildesk.service.key_watch import days_left, roles, why_unusable
from veildesk.service.onions import portal_address
from veildesk.service.runtime import runtime_folder

__all__ = ["KeyCare", "KeyLine", "Replacement", "key_care", "put_in_use", "transition_text"]


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One of our keys for a list.

    `role` is "support", "notice", "heartbeat" or "earlier"; `trouble` says why it cannot serve, else None.
    """

    role: str
    fingerprint: str
    created: int
    expires: int | None
    days: int | None
    trouble: str | None
    subkeys: tuple[str, ...]
    secret: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A key that is to take the place of another. `statement` is the file that both have signed, None
    where the old one could not."""

    role: str
    old: str
    fingerprint: str
    statement: Path | None


def transition_text(config: Config, role: str, old: str, new: str, now: int) -> str:
    """What both keys sign when one replaces the other."""
    purpose = "mail" if role == "support" else "notices"
    where: list[str] = []
    with contextlib.suppress(VeildeskError):
        if (onion := portal_address(config.onion)) is not None:
            where = [f"http://{onion}/transition-{role}.asc"]
            where += [f"http://{onion}/keys/support-next.asc"] if role == "support" else []
    lines = [
        "OpenPGP key transition",
        "",
        f"Organisation: {config.gateway.name}",
        f"Address: {config.gateway.address}",
        f"Purpose: {purpose}",
        f"Date: {datetime.fromtimestamp(now, UTC):%Y-%m-%d}",
        f"Old key: {old}",
        f"New key: {new}",
        "",
        "The new key replaces the old one. Both have signed this statement, and the",
        "old key has certified the new one.",
        *(["Where this statement and the new key are:", *where] if where else []),
    ]
    return "\n".join(lines) + "\n"


def put_in_use(config_file: Path, replacement: Replacement) -> None:
    """Name the new key in the configuration file; everything else of it stays byte for byte.

    Raises `ConfigInvalid` when the line is not there exactly once.
    """
    text = config_file.read_text(encoding="utf-8")
    line = re.compile(
        rf"^([ \t]*{replacement.role}[ \t]*=[ \t]*)([\"']){replacement.old}\2", re.MULTILINE | re.IGNORECASE
    )
    changed, count = line.subn(rf"\g<1>\g<2>{replacement.fingerprint}\g<2>", text)
    if count != 1:
        raise ConfigInvalid(
            f"[keys] {replacement.role}: the line was not found exactly once; write it yourself"
        )
    replace_file(config_file, changed.encode(), config_file.stat().st_mode & 0o777)


@asynccontextmanager
async def key_care(config: Config) -> AsyncIterator[KeyCare]:
    """Keys of a configuration, for one command."""
    with runtime_folder(config.gateway.runtime_dir) as runtime:
        home = GnuPGEngine(config.keys.home, runtime_dir=runtime)
        await home.start(create=False)
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
        if self._config.keys.heartbeat:
            known.setdefault(self._config.keys.heartbeat, "heartbeat")
        found = [
            self._line(one, known.get(one.fingerprint, "earlier")) for one in await self._home.own_keys()
        ]
        return sorted(found, key=lambda one: ("support", "notice", "heartbeat", "earlier").index(one.role))

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

    async def replace(self, role: str, period: str) -> Replacement:
        """A new key for a role, certified by the present one, and a statement that both have signed.

        The pages show the statement and the new key at once. The configuration is not touched here, and the
        old key stays in the home, so that mail to it can still be opened. Raises `CannotVouch` before making
        anything.
        """
        old = self._fingerprint(role)
        reason = why_unusable(await self._home.own_key(old), role)
        if reason is not None:
            raise CannotVouch(reason)
        new = await self._new_key(role, period)
        await self._home.certify(new, old)
        text = transition_text(self._config, role, old, new, self._now())
        folder = notices_folder(self._config)
        statement = folder / TRANSITION_FILES[role]
        signed = await sign_text(text, self._home, [old, new])
        await asyncio.to_thread(keep_file, statement, signed.encode())
        if role == "support":
            await asyncio.to_thread(keep_file, folder / NEXT_KEY_FILE, await self._home.export(new))
        return Replacement(role, old, new, statement)

    async def replace_lost(self, period: str) -> Replacement:
        """A new support key in the place of one that is revoked or lost.

        Nothing but the next signed list of addresses vouches for it.
        """
        return Replacement(
            "support", self._fingerprint("support"), await self._new_key("support", period), None
        )

    async def _new_key(self, role: str, period: str) -> str:
        name, address = self._config.gateway.name, self._config.gateway.address
        user_id = f"{name} <{address}>" if role == "support" else f"{name} notices <{address}>"
        return await self._home.generate_key(user_id, expires=period, again=True)

    async def serve_now(self) -> None:
        """Let pages show the mail key as it is now."""
        await keep_mail_key(self._config, self._home)

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
        raise InputInvalid(f"{path}: there is such a file already; nothing was written") from None
    except OSError as error:
        raise InputInvalid(f"{path}: cannot be written ({type(error).__name__})") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
