"""Everything `veildesk inspect` needs, made for one call and gone after it.

Secret keys are taken over into a throw-away gpg home on tmpfs, which is removed at the end. One home
serves all mails of a call.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.core.errors import KeyUnusable
from veildesk.core.limits import Limits
from veildesk.core.ports import Engine
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.service.engines import from_bytes, in_front_of
from veildesk.service.inspection import Inspector
from veildesk.service.key_files import certificates_in, only_in_process, passphrases_in, secret_packets
from veildesk.service.runtime import runtime_folder

__all__ = ["InspectionKeys", "inspection"]


@dataclass(frozen=True, slots=True)
class InspectionKeys:
    """Contents of key files, each with the name it has in warnings."""

    secret: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    public: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    passphrases: bytes = field(default=b"", repr=False)


@asynccontextmanager
async def inspection(
    keys: InspectionKeys, *, redacted: bool = False, limits: Limits | None = None, engine: str = "both"
) -> AsyncIterator[tuple[Inspector, list[str]]]:
    """An inspector and the names of key files that could not be used, each with a code.

    `engine` is "both" or "gpg", as in the configuration; with "both" unprotected keys of the files are also
    used in process, version 6 included. Raises `KeyUnusable` when gpg itself cannot be used.
    """
    limits = limits or Limits()
    unusable: list[str] = []
    async with AsyncExitStack() as stack:
        runtime = stack.enter_context(runtime_folder(None))
        gpg = GnuPGEngine(
            runtime / "home",
            runtime_dir=runtime / "rings",
            limits=limits,
            passphrases=passphrases_in(keys.passphrases),
        )
        await gpg.start()
        stack.push_async_callback(gpg.close)
        for name, data in keys.secret:
            try:
                await gpg.import_secret(data)
            except KeyUnusable as error:
                if engine == "both" and only_in_process(data):
                    continue
                unusable.append(f"{name}: {error.detail}")
        certificates: dict[bytes, None] = {}
        for name, data in keys.public:
            try:
                certificates.update(dict.fromkeys(certificates_in(data)))
            except KeyUnusable as error:
                unusable.append(f"{name}: {error.detail}")
        used: Engine = gpg
        if engine == "both":
            secret = b"".join(map(secret_packets, (data for _, data in keys.secret)))
            used = await in_front_of(gpg, limits, stack, secret=from_bytes(secret), workers=1)
        yield (
            Inspector(
                engine=used,
                cleaner=SandboxCleaner(),
                key=secrets.token_bytes(32),
                certificates=tuple(certificates),
                limits=limits,
                redacted=redacted,
            ),
            unusable,
        )
