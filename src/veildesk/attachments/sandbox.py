"""The `Cleaner` for real use: one sandboxed worker process per file.

Files go in and out through pipes and are never on disk. The worker's exit status is checked, its
answer read as a stranger's and looked at again; a worker that takes too long, answers too much or
ends badly is killed with everything it started, and the file is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from veildesk.attachments.assemble import assemble, refuse
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.bubblewrap import Layout, command
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.texts import declared_charset
from veildesk.attachments.wire import BadAnswer, Request, decode_item, encode_request
from veildesk.core.ports import Cleaned
from veildesk.core.ticket import CheckResult, Level

__all__ = ["SandboxCleaner"]

_LOG = logging.getLogger("veildesk.attachments")
_HERE = Path(__file__).resolve().parent
_STEP = 256 * 1024
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a process ended: exit status (negative for a signal) and what it wrote."""

    status: int
    output: bytes


class _Overrun(Exception):
    """The process took too long or wrote too much and was killed."""


class SandboxCleaner:
    """Cleans files in worker processes, at most `workers` at a time.

    `python` must belong to the running installation. With `require_sandbox` every file is refused
    where bubblewrap cannot be used; without it, limits of memory and time still hold and `check`
    warns. `worker` is the program to run, replaced by tests only.
    """

    def __init__(
        self,
        python: str = sys.executable,
        bounds: Bounds | None = None,
        *,
        workers: int = 2,
        require_sandbox: bool = False,
        worker: Path = _HERE / "worker.py",
    ) -> None:
        self._bounds = bounds or Bounds()
        self._layout = Layout.find(python)
        self._slots = asyncio.Semaphore(workers)
        self._require = require_sandbox
        self._worker = worker
        self._confined: bool | None = None
        self._probing = asyncio.Lock()

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        """Clean one file; never raises for its content. Of the declared type only the charset is used."""
        if len(content) > self._bounds.input_size:
            return refuse(name, Refusal.TOO_LARGE)
        request = Request(bytes(content), declared_charset(media_type), self._bounds)
        try:
            confined = await self._is_confined()
            if self._require and not confined:
                return refuse(name, Refusal.FAILED)
            async with self._slots:
                ended = await self._run(self._worker, encode_request(request), confined=confined)
            if ended.status != 0:
                _LOG.warning("worker-failed status=%d", ended.status)
                return refuse(name, Refusal.FAILED)
            return assemble(name, decode_item(ended.output), self._bounds)
        except _Overrun:
            _LOG.warning("worker-overrun")
            return refuse(name, Refusal.TIMEOUT)
        except BadAnswer:
            _LOG.warning("worker-bad-answer")
            return refuse(name, Refusal.FAILED)
        except Exception as error:  # whatever it is, the file is not delivered
            _LOG.error("cleaning-failed error=%s", type(error).__name__)
            return refuse(name, Refusal.FAILED)

    async def check(self) -> list[CheckResult]:
        """Whether files are cleaned in a sandbox, tried out and not assumed."""
        name, title = "attachments-sandbox", "Attachments are cleaned in a sandbox"
        if await self._is_confined():
            return [CheckResult(name, title, Level.OK, "bubblewrap", "bubblewrap")]
        gaps = await self._gaps(confined=False)
        if gaps is None:
            fix = "Mend the Python installation."
            return [CheckResult(name, title, Level.FAIL, "the worker does not start", "bubblewrap", fix)]
        found = "limits of memory and time only; open: " + ", ".join(gaps)
        level = Level.FAIL if self._require else Level.WARN
        fix = "Install bubblewrap and allow user namespaces for the service."
        return [CheckResult(name, title, level, found, "bubblewrap", fix)]

    async def _is_confined(self) -> bool:
        async with self._probing:
            if self._confined is None:
                self._confined = self._layout.bwrap is not None and await self._gaps(confined=True) == ()
                if not self._confined:
                    _LOG.warning("sandbox-unavailable")
            return self._confined

    async def _gaps(self, *, confined: bool) -> tuple[str, ...] | None:
        """What the probe could do; None if it did not run to its end."""
        try:
            ended = await self._run(_HERE / "probe.py", b"", confined=confined)
        except (OSError, _Overrun):
            return None
        words = ended.output.decode("ascii", "replace").split()
        return tuple(words) if ended.status == 0 else None

    async def _run(self, program: Path, given: bytes, *, confined: bool) -> _Ended:
        """Run a program to its end. Raises `_Overrun`; leaves no process behind on any way out."""
        process = await _start(command(self._layout, program, self._bounds, confined=confined))
        try:
            async with asyncio.timeout(self._bounds.wall):
                feeding = asyncio.create_task(_feed(process, given))
                try:
                    output = await _read(process, self._bounds.output_size * 2)
                finally:
                    feeding.cancel()
                    await asyncio.gather(feeding, return_exceptions=True)
                return _Ended(await process.wait(), output)
        except TimeoutError:
            raise _Overrun from None
        finally:
            await _kill(process)


async def _start(words: list[str]) -> asyncio.subprocess.Process:
    """Start a process; cancelled in the middle, it ends the process before it lets go."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio itself would wait for the process to end by its own will.
        await _kill(await starting)
        raise


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process, most: int) -> bytes:
    assert process.stdout is not None
    parts, size = [], 0
    while part := await process.stdout.read(_STEP):
        size += len(part)
        if size > most:
            raise _Overrun
        parts.append(part)
    return b"".join(parts)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End the whole session of a process: under bubblewrap its namespaces die with it.

    What it still had to say is read and dropped, as asyncio reports an end only after the last byte;
    a stranger that keeps the pipe open is not waited for longer than the grace.
    """
    assert process.stdout is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(_GRACE):
            while await process.stdout.read(_STEP):
                pass
            await process.wait()
    except TimeoutError:
        _LOG.error("worker-left-behind")
