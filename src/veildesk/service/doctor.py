"""Say whether the whole set-up is sound. What could not be looked at is "skip", never "ok".

Each check only reads. Nothing is sent, published or changed, and no content is opened.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from veildesk.core.errors import VeildeskError
from veildesk.core.ports import Closes
from veildesk.core.ticket import CheckResult, Level
from veildesk.deliver.registry import load_backend
from veildesk.service.build import cleaner_from
from veildesk.service.config import AttachmentsConfig, Config
from veildesk.service.doctor_clock import check_clock
from veildesk.service.doctor_files import check_files
from veildesk.service.doctor_keys import check_keys, check_memory
from veildesk.service.doctor_mail import check_mail
from veildesk.service.doctor_portal import check_portal_process
from veildesk.service.doctor_running import check_running
from veildesk.service.notice_checks import check_notices
from veildesk.service.routing import places_of
from veildesk.service.safekeeping import check_store
from veildesk.spool.keyring import KeyRing

__all__ = ["examine"]


async def examine(config: Config) -> list[CheckResult]:
    """Run every check; a check that breaks is a failure of its own, not of the report."""
    groups: list[tuple[str, Callable[[Config], Awaitable[list[CheckResult]]]]] = [
        ("files", check_files),
        ("memory", check_memory),
        ("clock", check_clock),
        ("ring", _ring),
        ("spool", _store),
        ("keys", check_keys),
        ("notices", check_notices),
        ("attachments", _attachments),
        ("backends", _backends),
        ("mail", check_mail),
        ("onion", _onion),
        ("portal", check_portal_process),
        ("gateway", check_running),
    ]
    results: list[CheckResult] = []
    for name, group in groups:
        try:
            results += await group(config)
        except VeildeskError as error:
            results.append(CheckResult(name, name, Level.FAIL, error.detail or error.public, fix=error.hint))
        except OSError as error:
            found = f"{type(error).__name__} {error.errno}"
            results.append(CheckResult(name, name, Level.FAIL, found, fix="check paths and permissions"))
        except Exception as error:
            # Its text may hold what was looked at.
            found, fix = f"internal fault ({type(error).__name__})", "report it: 'veildesk report'"
            results.append(CheckResult(name, name, Level.FAIL, found, fix=fix))
    return results


async def _ring(config: Config) -> list[CheckResult]:
    ring = await asyncio.to_thread(KeyRing.load, config.keys.ring)
    return [CheckResult("ring.loads", "the store's key ring can be read", Level.OK, f"epoch {ring.newest}")]


async def _store(config: Config) -> list[CheckResult]:
    """Everything that 'veildesk check' looks at: every page, key and file."""
    embedded = config.store is None or config.store.database is None
    if embedded and not (config.gateway.state_dir / "spool.db").exists():
        fix = "the first 'veildesk run' makes it"
        return [CheckResult("spool", "the store is sound", Level.SKIP, "no store yet", fix=fix)]
    return await asyncio.to_thread(check_store, config)


async def _attachments(config: Config) -> list[CheckResult]:
    return await cleaner_from(config.attachments or AttachmentsConfig()).check()


async def _backends(config: Config) -> list[CheckResult]:
    results = []
    for name, settings in config.backends.items():
        places = list(places_of(name, config.queues, config.routes))
        given = {**settings.settings, "places": places} if places else settings.settings
        backend = load_backend(settings.kind, name, given)
        try:
            results += await backend.check()
        finally:
            if isinstance(backend, Closes):
                await backend.close()
    return results


async def _onion(config: Config) -> list[CheckResult]:
    if config.onion is None:
        fix = "add [onion] with the control socket of an own tor instance"
        return [CheckResult("onion", "onion service", Level.SKIP, "not configured", fix=fix)]
    from veildesk.onion.health import check_onion

    onion = config.onion
    key_file = None if onion.mode == "torrc" and onion.address else onion.key_file
    results = await check_onion(
        onion.control_socket, key_file=key_file, address=onion.address, proof_of_work=onion.proof_of_work
    )
    if onion.status_key_file is not None:
        alone = await check_onion(
            onion.control_socket, key_file=onion.status_key_file, proof_of_work=onion.proof_of_work
        )
        results += [
            dataclasses.replace(check, id=f"status-{check.id}", title=f"{check.title} (notices alone)")
            for check in alone
            if check.id in ("onion.key", "onion.published", "onion.alone", "onion.proof-of-work")
        ]
    return results
