"""Doctor's checks of our OpenPGP keys, and of the memory that secrets lie in."""

from __future__ import annotations

import resource
from pathlib import Path

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.own_keys import SecretPlace
from veildesk.ops.clock import SystemClock
from veildesk.service.config import Config
from veildesk.service.key_watch import WARN_DAYS, days_left, roles, why_unusable
from veildesk.service.runtime import runtime_folder

__all__ = ["check_keys", "check_memory", "core_dumps", "unencrypted_swap"]

_RENEW = "renew it with 'veildesk keys extend' or 'veildesk keys rotate', then publish it again"


_REPLACE = {
    "support": "make another with 'veildesk keys replace support --without-old --use', then publish it",
    "notice": "a revoked key signs nothing again: docs/notices.md, 'Drill', says what to do",
}
_ELSEWHERE = "sign notices where the key is: 'veildesk notice preview --out', then 'notice sign'"


async def _is_public(engine: GnuPGEngine, fingerprint: str) -> bool:
    """Whether the home has the public half of a key that may be elsewhere."""
    try:
        return bool(await engine.export(fingerprint))
    except VeildeskError:
        return False


async def check_keys(config: Config) -> list[CheckResult]:
    """Whether our keys sign and decrypt, and for how long; what `[keys] secret` makes of them."""
    results: list[CheckResult] = []
    with runtime_folder(config.gateway.runtime_dir) as runtime:
        engine = GnuPGEngine(config.keys.home, runtime_dir=runtime)
        await engine.start(create=False)
        for role, fingerprint in roles(config.keys).items():
            results += await _key(engine, role, fingerprint, config)
    return results


async def _key(engine: GnuPGEngine, role: str, fingerprint: str, config: Config) -> list[CheckResult]:
    title = f"{role} key can be used"
    name = f"keys.{role}"
    try:
        key = await engine.own_key(fingerprint)
        reason = why_unusable(key, role)
        if reason is None:
            await engine.sign_detached(b"doctor", fingerprint)
    except VeildeskError as error:
        if role == "notice" and await _is_public(engine, fingerprint):
            return [CheckResult(name, title, Level.SKIP, "its secret half is not here", "", _ELSEWHERE)]
        fix = error.hint if type(error) is not KeyUnusable else _RENEW
        return [CheckResult(name, title, Level.FAIL, error.detail, "signs", fix)]
    if reason is not None:
        fix = _REPLACE[role] if reason == "revoked" else _RENEW
        return [CheckResult(name, title, Level.FAIL, reason, "usable", fix)]
    aligned = [] if role != "support" else [_aligned(key.addresses, config.gateway.address)]
    left = days_left(key, role, SystemClock().now())
    if left is not None and left <= WARN_DAYS[0]:
        then = "publishing stops then" if role == "notice" else "the gateway stops then"
        last = f" {then}" if left <= WARN_DAYS[-1] else ""
        found = f"{left} days left;{last}" if last else f"{left} days left"
        results = [CheckResult(name, title, Level.WARN, found, f"more than {WARN_DAYS[0]} days", _RENEW)]
    else:
        found = "does not end" if left is None else f"{left} days left"
        results = [CheckResult(name, title, Level.OK, found)]
    if config.keys.secret == "memory" and config.keys.engine == "both":  # noqa: S105
        results += _in_memory(role, [(one.algorithm, one.secret) for one in key.parts])
    return results + aligned


def _aligned(addresses: list[str], sender: str) -> CheckResult:
    """Mail programs call a signature good only if From is in the key that made it."""
    title = "the address that answers come from is in the support key"
    if sender.lower() in addresses:
        return CheckResult("keys.support.address", title, Level.OK)
    fix = f"gpg --quick-add-uid FINGERPRINT 'NAME <{sender}>' in [keys] home, then publish the key again"
    found = ", ".join(addresses) or "none"
    return CheckResult("keys.support.address", title, Level.WARN, found, sender, fix)


def _in_memory(role: str, parts: list[tuple[str, SecretPlace]]) -> list[CheckResult]:
    fast = all(name in ("ed25519", "cv25519") and place is SecretPlace.HOME for name, place in parts)
    found = "" if fast else "RSA, another curve, or on a token"
    fix = "" if fast else 'it stays with gpg, which is slower and sound; or set [keys] secret = "agent"'
    title = f"{role} key can be held in memory"
    level = Level.OK if fast else Level.WARN
    return [CheckResult(f"keys.{role}.memory", title, level, found, "Ed25519 and Curve25519", fix)]


async def check_memory(config: Config) -> list[CheckResult]:
    """A folder in memory; no swap and no core file that plaintext or secret keys could get into.

    Where secret keys are in memory these are failures, else warnings: plaintext is there in any case.
    """
    with runtime_folder(config.gateway.runtime_dir):
        results = [CheckResult("memory.tmpfs", "a folder in memory for throw-away files", Level.OK)]
    holds_keys = config.keys.engine == "both" and config.keys.secret == "memory"  # noqa: S105
    bad = Level.FAIL if holds_keys else Level.WARN
    swap = unencrypted_swap()
    title = "no swap that could keep keys or plaintext"
    fix = "switch swap off, or encrypt it with a random key (dm-crypt)"
    if swap:
        results.append(CheckResult("memory.swap", title, bad, ", ".join(swap), "none, or encrypted", fix))
    else:
        results.append(CheckResult("memory.swap", title, Level.OK))
    title = "no core files that could keep keys or plaintext"
    if core_dumps():
        fix = "set LimitCORE=0 in the unit (deploy/systemd), or 'ulimit -c 0' before 'veildesk run'"
        results.append(CheckResult("memory.core", title, bad, "core files are on", "off", fix))
    else:
        results.append(CheckResult("memory.core", title, Level.OK))
    return results


def unencrypted_swap(
    swaps: Path = Path("/proc/swaps"), blocks: Path = Path("/sys/class/block")
) -> tuple[str, ...]:
    """Swap areas that are neither in memory (zram) nor on an encrypted device."""
    found: list[str] = []
    for line in swaps.read_text().splitlines()[1:]:
        name = line.split()[0]
        device = Path(name).resolve().name
        if device.startswith("zram") and not _backed(blocks / device):
            continue
        try:
            mapped = (blocks / device / "dm" / "uuid").read_text()
        except OSError:
            mapped = ""
        if not mapped.startswith("CRYPT-"):
            found.append(name)
    return tuple(found)


def _backed(device: Path) -> bool:
    """Whether a zram device writes what does not fit to a disk."""
    try:
        return (device / "backing_dev").read_text().strip() not in ("", "none")
    except OSError:
        return False


def core_dumps() -> bool:
    """Whether programs started from here may leave core files; the gateway forbids its own besides."""
    return resource.getrlimit(resource.RLIMIT_CORE)[0] != 0
