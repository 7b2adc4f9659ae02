"""The OpenPGP engine of a configuration: gpg alone, or gpg behind the in-process engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from veildesk.core.errors import KeyUnusable
from veildesk.core.limits import Limits
from veildesk.core.ports import Engine
from veildesk.openpgp.assuan import connect_agent
from veildesk.openpgp.combined_engine import CombinedEngine
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.pool import AgentAccess, InProcessEngine, SecretSource
from veildesk.service.config import KeysConfig
from veildesk.service.key_watch import KeyWatch

__all__ = ["agent_access", "from_bytes", "from_home", "in_front_of", "open_engine"]


async def open_engine(
    keys: KeysConfig, runtime: Path, limits: Limits, stack: AsyncExitStack, now: Callable[[], int]
) -> tuple[Engine, KeyWatch]:
    """The started engine and the watch over our keys; closed with `stack`.

    Raises `KeyUnusable` when one of our keys cannot serve, `EngineUnavailable` when nothing can be started.
    """
    gpg = GnuPGEngine(keys.home, runtime_dir=runtime, limits=limits)
    await gpg.start(create=False)
    stack.push_async_callback(gpg.close)
    watch = KeyWatch(gpg, keys, now)
    await watch.look()
    if keys.engine == "gpg":
        return gpg, watch
    ours = tuple(dict.fromkeys((keys.support, keys.notice)))
    in_memory = keys.secret == "memory"  # noqa: S105
    secret = from_home(gpg, ours) if in_memory else None
    return await in_front_of(gpg, limits, stack, secret=secret, watch=watch), watch


def from_home(gpg: GnuPGEngine, fingerprints: Sequence[str]) -> SecretSource:
    """Secret keys straight from gpg; this process does not see them."""

    async def pour(descriptor: int) -> None:
        await gpg.export_secret(fingerprints, descriptor)

    return pour


def from_bytes(data: bytes) -> SecretSource:
    """Secret keys, binary, that were given as files."""

    def write(descriptor: int) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    async def pour(descriptor: int) -> None:
        await asyncio.to_thread(write, descriptor)

    return pour


async def in_front_of(
    gpg: GnuPGEngine,
    limits: Limits,
    stack: AsyncExitStack,
    *,
    secret: SecretSource | None = None,
    workers: int = 2,
    watch: KeyWatch | None = None,
) -> CombinedEngine:
    """The in-process engine in front of a started gpg engine, with secret keys in its memory if given.

    When `watch` sees that our keys have changed, the workers get them anew.
    """
    own, agent = await _own(gpg), await agent_access(gpg)
    first = InProcessEngine(own, secret=secret, agent=agent, limits=limits, workers=workers)
    await first.start()
    stack.push_async_callback(first.close)

    async def renew() -> None:
        first.renew(await _own(gpg), await agent_access(gpg))

    if watch is not None:
        watch.changed.append(renew)
    return CombinedEngine(first, gpg)


async def agent_access(gpg: GnuPGEngine) -> AgentAccess | None:
    """How keys are used that stay with gpg-agent; None where it has none that we may use this way."""
    keygrips = await gpg.agent_keygrips()
    if not keygrips:
        return None
    return AgentAccess(partial(connect_agent, await gpg.agent_socket()), keygrips)


async def _own(gpg: GnuPGEngine) -> list[bytes]:
    """Our own certificates."""
    own: list[bytes] = []
    for fingerprint in await gpg.own_fingerprints():
        # What gpg cannot give out as one key is left to it.
        with contextlib.suppress(KeyUnusable):
            own.append(await gpg.export(fingerprint))
    return own
