"""The in-process engine behind a small pool of worker processes, as an `Engine` under asyncio.

A worker serves one message at a time. One that dies, takes too long or is left by a cancelled caller is
killed and replaced; the message is declined then, and gpg with its own limits takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from veildesk.core.errors import EngineUnavailable
from veildesk.core.limits import Limits
from veildesk.core.message import Signature
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.frames import (
    HEAD,
    Frame,
    FrameMalformed,
    body_size,
    decode_body,
    encode,
    error_of,
    integrity_of,
    read_signatures,
    read_status,
)
from veildesk.openpgp.status_cache import StatusCache

__all__ = ["AgentAccess", "InProcessEngine", "SecretSource"]

_LOG = logging.getLogger("veildesk.openpgp")
_MEMORY = 768 * 1024 * 1024
_START_SECONDS = 60.0
_BUFFER = 4 * 1024 * 1024
_AGENT_SECONDS = 5.0
SecretSource = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """How workers use keys that stay with gpg-agent: a new connection for each, and the keygrips by
    fingerprint. `connect` may raise `OSError`."""

    connect: Callable[[], socket.socket]
    keygrips: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    locked: bool
    signing: int
    decryption: int
    generation: int


class InProcessEngine:
    """`core.ports.Engine` over workers; every method may raise `Declined` besides.

    `own` are our own certificates, binary. `secret` writes our secret keys, binary and unprotected, to the
    descriptor it is given. `agent` lets workers use keys without having them. Without either nothing is
    decrypted, signed or sealed here. `memory` is what a worker may take for a message, in bytes.
    """

    name = "in-process"

    def __init__(
        self,
        own: Sequence[bytes] = (),
        *,
        secret: SecretSource | None = None,
        agent: AgentAccess | None = None,
        limits: Limits | None = None,
        now: Callable[[], int] = lambda: int(time.time()),
        workers: int = 2,
        memory: int = _MEMORY,
    ) -> None:
        self._own = tuple(own)
        self._secret = secret
        self._agent = agent
        self._limits = limits or Limits()
        self._now = now
        self._count = workers
        self._memory = memory
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        self._all: set[asyncio.subprocess.Process] = set()
        self._generation = 0
        self._statuses = StatusCache()

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the workers. Raises `EngineUnavailable`."""
        spawning = (self._spawn() for _ in range(self._count))
        made = await asyncio.gather(*spawning, return_exceptions=True)
        for one in made:
            if isinstance(one, BaseException):
                await self.close()
                raise one
            self._idle.put_nowait(one)
            if self._secret is not None and not one.locked:
                _LOG.warning("openpgp-worker-memory-not-locked")
            if self._secret is not None and not (one.signing and one.decryption):
                _LOG.warning(
                    "openpgp-worker-without-keys signing=%d decryption=%d", one.signing, one.decryption
                )

    def renew(self, own: Sequence[bytes], agent: AgentAccess | None = None) -> None:
        """Our keys have changed: workers that started with the earlier ones take no further message."""
        self._own = tuple(own)
        self._agent = agent
        self._generation += 1
        self._statuses.clear()

    async def close(self) -> None:
        """End the workers; nothing may be under way."""
        for process in list(self._all):
            await self._end(process)

    async def _spawn(self) -> _Worker:
        generation = self._generation
        reading, writing = os.pipe() if self._secret is not None else (-1, -1)
        channel = self._connected()
        descriptors = [reading, channel.fileno() if channel is not None else -1]
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "veildesk.openpgp.worker"),
                *("none" if one < 0 else str(one) for one in descriptors),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[one for one in descriptors if one >= 0],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                start_new_session=True,
                limit=_BUFFER,
            )
        except BaseException as error:
            if writing >= 0:
                os.close(writing)
            if isinstance(error, OSError):
                raise EngineUnavailable("worker-start") from error
            raise
        finally:
            if reading >= 0:
                os.close(reading)
            if channel is not None:
                channel.close()
        self._all.add(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                # The worker reads the first frame before the keys; it is on its way while they are poured.
                assert process.stdin is not None
                process.stdin.write(self._first())
                await self._pour(writing)
                ready = await _answer(process)
            locked, signing, decryption = (ready.header[name] for name in ("locked", "signing", "decryption"))
            return _Worker(process, locked, signing, decryption, generation)
        except (TimeoutError, OSError, EOFError, FrameMalformed, KeyError) as error:
            await self._end(process)
            raise EngineUnavailable("worker-start") from error
        except BaseException:
            await self._end(process)
            raise

    def _first(self) -> bytes:
        header = {
            "memory": self._memory,
            "seconds": self._limits.crypto_seconds,
            "plaintext_size": self._limits.plaintext_size,
            "agent_seconds": _AGENT_SECONDS,
            "keygrips": dict(self._agent.keygrips) if self._agent is not None else {},
        }
        return encode(header, self._own)

    def _connected(self) -> socket.socket | None:
        """A connection to gpg-agent, None without one: gpg starts it again when it is asked next."""
        if self._agent is None or not self._agent.keygrips:
            return None
        try:
            return self._agent.connect()
        except OSError:
            _LOG.warning("openpgp-agent-not-reached")
            return None

    async def _pour(self, writing: int) -> None:
        """Let the source write the secret keys into the worker's pipe; this process never reads them."""
        if self._secret is None:
            return
        try:
            await self._secret(writing)
        finally:
            os.close(writing)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._all.discard(process)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            while await process.stdout.read(_BUFFER):
                pass
        await process.wait()

    async def _ask(self, operation: str, blobs: Sequence[bytes], **words: Any) -> Frame:
        worker = await self._idle.get()
        try:
            if worker is not None and worker.generation != self._generation:
                old, worker = worker, None
                await asyncio.shield(self._end(old.process))
            if worker is None:
                worker = await self._spawn()
            request = encode({"op": operation, "now": self._now(), **words}, blobs)
            async with asyncio.timeout(self._limits.crypto_seconds + 1.0):
                answer = await _exchange(worker.process, request)
        except BaseException as error:
            # Whatever is still on its way in the pipes would be taken for the next answer.
            self._idle.put_nowait(None)
            if worker is not None:
                await asyncio.shield(self._end(worker.process))
            if isinstance(error, OSError | EOFError | FrameMalformed | TimeoutError):
                _LOG.warning("openpgp-worker-replaced")
                raise Declined("worker-died") from None
            raise
        if answer.header.get("last") is True:
            self._idle.put_nowait(None)
            await asyncio.shield(self._end(worker.process))
        else:
            self._idle.put_nowait(worker)
        if "declined" in answer.header:
            raise Declined(str(answer.header["declined"])[:60])
        if "error" in answer.header:
            raise error_of(answer.header["error"], answer.header.get("detail"))
        return answer

    # ------------------------------------------------------------------ Engine

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        """See `core.ports.Engine.open`."""
        answer = await self._ask("open", [data, *certificates])
        words = answer.header
        return DecryptedData(
            answer.blobs[0],
            encrypted=words["encrypted"] is True,
            integrity=integrity_of(words["integrity"]),
            signatures=read_signatures(words["signatures"]),
            recipients=tuple(words["recipients"]),
        )

    async def content(
        self, data: bytes, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """What a decrypted message holds: the content of its literal packet and verdicts."""
        answer = await self._ask("content", [data, *certificates])
        return answer.blobs[0], read_signatures(answer.header["signatures"])

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        """See `core.ports.Engine.verify_detached`."""
        answer = await self._ask("verify", [data, signature, *certificates])
        return read_signatures(answer.header["signatures"])

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        """See `core.ports.Engine.seal`."""
        return (await self._ask("seal", [data, *recipients], signer=signer)).blobs[0]

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        """See `core.ports.Engine.sign_detached`."""
        answer = await self._ask("sign", [data], signer=signer)
        return DetachedSignature(answer.blobs[0].decode("ascii"), str(answer.header["hash"]))

    async def clearsign(self, text: str, signer: str) -> str:
        """See `core.ports.Engine.clearsign`."""
        return (await self._ask("clearsign", [text.encode()], signer=signer)).blobs[0].decode()

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        """See `core.ports.Engine.certificate_status`."""
        now = self._now()
        known = self._statuses.get(certificate, now) if at is None else None
        if known is not None:
            return known
        status = read_status((await self._ask("status", [certificate], at=at)).header["status"])
        if at is None:
            self._statuses.put(certificate, now, status)
        return status

    async def export(self, fingerprint: str) -> bytes:
        """Always declined: our keys live with gpg."""
        raise Declined("export")


async def _exchange(process: asyncio.subprocess.Process, request: bytes) -> Frame:
    """One question and its answer. Raises `EOFError`, `OSError` or `FrameMalformed`."""
    assert process.stdin is not None
    process.stdin.write(request)
    await process.stdin.drain()
    return await _answer(process)


async def _answer(process: asyncio.subprocess.Process) -> Frame:
    assert process.stdout is not None
    head = await process.stdout.readexactly(HEAD)
    return decode_body(head, await process.stdout.readexactly(body_size(head)))
