"""What doctor asks of the onion service: from key file to a descriptor that a directory really has.

Each check says ok only for what was looked at just now. What an earlier failure kept from being looked
at is skipped, never ok. Nothing is changed: no service is added or removed here.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from veildesk.core.errors import KeyUnusable
from veildesk.core.ticket import CheckResult, Level
from veildesk.onion.another import another_published
from veildesk.onion.control import ControlLink, DescriptorEvent
from veildesk.onion.descriptor import proof_of_work_offered
from veildesk.onion.key import load_key
from veildesk.onion.trouble import ControlFailed, Trouble

__all__ = ["check_onion"]

_OLDEST = (0, 4, 8)
_TITLES = {
    "onion.key": "Onion key file",
    "onion.control": "Control socket of tor",
    "onion.authentication": "Authentication to tor",
    "onion.version": "Version of tor",
    "onion.anonymous": "Service location is hidden",
    "onion.network": "tor reaches its network",
    "onion.published": "Descriptor is in the directories",
    "onion.alone": "No other gateway publishes this address",
    "onion.proof-of-work": "Proof of work against floods",
}


async def check_onion(
    control_socket: Path,
    *,
    key_file: Path | None = None,
    address: str | None = None,
    proof_of_work: bool = True,
    timeout: float = 10.0,
) -> list[CheckResult]:
    """All checks, in the order of `onion.key` to `onion.proof-of-work`.

    `address` (with ".onion") is needed only without `key_file`. `timeout` in seconds is for each
    question to tor, and twice that for the directories. Never raises for what it finds.
    """
    found: dict[str, CheckResult] = {}
    if key_file is not None:
        address = _check_key(found, key_file) or address
    try:
        link = await ControlLink.open(control_socket, timeout)
    except ControlFailed as failure:
        _refused(found, failure.trouble)
    else:
        _put(found, "onion.control", Level.OK, "reachable")
        _put(found, "onion.authentication", Level.OK, "accepted")
        try:
            await _check_tor(found, link)
            if address is not None:
                await _check_published(found, link, address.removesuffix(".onion"), 2 * timeout)
                await _check_proof_of_work(found, link, address, proof_of_work)
        except ControlFailed as failure:
            _put(found, "onion.control", Level.FAIL, failure.trouble.value, "answers", failure.trouble.hint)
        finally:
            await link.close()
    return [
        found.get(name) or CheckResult(name, title, Level.SKIP, "could not be checked")
        for name, title in _TITLES.items()
    ]


def _put(
    found: dict[str, CheckResult], name: str, level: Level, seen: str, expected: str = "", fix: str = ""
) -> None:
    found[name] = CheckResult(name, _TITLES[name], level, seen, expected, fix)


def _check_key(found: dict[str, CheckResult], path: Path) -> str | None:
    try:
        key = load_key(path)
    except KeyUnusable as error:
        fix = "Restore the key file from your backup, owned by the gateway's user, mode 0600."
        _put(found, "onion.key", Level.FAIL, error.detail, "a key file of mode 0600", fix)
        return None
    _put(found, "onion.key", Level.OK, key.address)
    return key.address


def _refused(found: dict[str, CheckResult], trouble: Trouble) -> None:
    if trouble is Trouble.AUTHENTICATION:
        _put(found, "onion.control", Level.OK, "reachable")
        _put(found, "onion.authentication", Level.FAIL, trouble.value, "accepted", trouble.hint)
    else:
        _put(found, "onion.control", Level.FAIL, trouble.value, "reachable", trouble.hint)


async def _check_tor(found: dict[str, CheckResult], link: ControlLink) -> None:
    """Version, mode and network."""
    version = await link.info("version") or ""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is not None:
        recent = tuple(map(int, numbers.groups())) >= _OLDEST
        fix = "" if recent else "Update tor from your distribution or the Tor Project."
        level = Level.OK if recent else Level.FAIL
        _put(found, "onion.version", level, numbers[0], "at least 0.4.8", fix)
    open_location = await link.option("HiddenServiceNonAnonymousMode")
    if open_location == "1":
        trouble = Trouble.NOT_ANONYMOUS
        _put(found, "onion.anonymous", Level.FAIL, trouble.value, "three hops", trouble.hint)
    elif open_location == "0":
        _put(found, "onion.anonymous", Level.OK, "three hops")
    phase = await link.info("status/bootstrap-phase")
    if phase is None:
        return
    progress = re.search(r"PROGRESS=(\d+)", phase)
    if progress is not None and progress[1] == "100":
        _put(found, "onion.network", Level.OK, "bootstrapped")
        return
    off = await link.option("DisableNetwork") == "1"
    trouble = Trouble.OFFLINE if off else Trouble.BOOTSTRAPPING
    seen = trouble.value if off or progress is None else f"{progress[1]} %"
    _put(found, "onion.network", Level.FAIL, seen, "bootstrapped", trouble.hint)


async def _check_published(
    found: dict[str, CheckResult], link: ControlLink, label: str, timeout: float
) -> None:
    """Fetch the descriptor from the directories, as a visitor's tor does."""
    if "onion.network" not in found or found["onion.network"].level is not Level.OK:
        return
    if await link.info(f"hs/service/desc/id/{label}") is None:
        trouble = Trouble.ABSENT
        fix = "Start the gateway; if it runs, see 'veildesk status' for the onion service's trouble."
        _put(found, "onion.published", Level.FAIL, trouble.value, "published", fix)
        return
    outcome: asyncio.Queue[DescriptorEvent] = asyncio.Queue()
    await link.watch_descriptors(outcome.put_nowait)
    if not (await link.send(f"HSFETCH {label}")).ok:
        return
    try:
        async with asyncio.timeout(timeout):
            while True:
                event = await outcome.get()
                if event.address == label and event.action == "RECEIVED":
                    break
    except TimeoutError:
        trouble = Trouble.UPLOAD
        _put(found, "onion.published", Level.FAIL, trouble.value, "published", trouble.hint)
    else:
        _put(found, "onion.published", Level.OK, "fetched from a directory")
        await _check_alone(found, link, label)


async def _check_alone(found: dict[str, CheckResult], link: ControlLink, label: str) -> None:
    """Whether what a directory gave us is what our tor published."""
    own = await link.info(f"hs/service/desc/id/{label}")
    another = another_published(own, await link.info(f"hs/client/desc/id/{label}"))
    if another:
        trouble = Trouble.ANOTHER
        _put(found, "onion.alone", Level.FAIL, trouble.value, "published by our tor alone", trouble.hint)
    elif another is False:
        _put(found, "onion.alone", Level.OK, "published by our tor alone")
    else:
        fix = "Look again between 0 and 12 UTC: tor tells only of the descriptor that visitors ask for then."
        _put(found, "onion.alone", Level.SKIP, "cannot be compared now", fix=fix)


async def _check_proof_of_work(
    found: dict[str, CheckResult], link: ControlLink, address: str, wanted: bool
) -> None:
    """Whether the descriptor offers it; only a descriptor without client authorisation can be read."""
    name = "onion.proof-of-work"
    if not wanted:
        fix = "Set proof_of_work = true, unless another defence stands in front of tor."
        _put(found, name, Level.WARN, "switched off", "switched on", fix)
        return
    label = address.removesuffix(".onion")
    text = await link.info(f"hs/service/desc/id/{label}")
    offered = proof_of_work_offered(text, address) if text else None
    if offered:
        _put(found, name, Level.OK, "offered in the descriptor")
    elif offered is False:
        _put(found, name, Level.FAIL, "not offered", "offered", Trouble.PROOF_OF_WORK.hint)
