"""The `Cleaner` for real use: one sandboxed worker process per file.

Files go in and out through pipes and are never on disk. The worker's exit status is checked, its
answer read as a stranger's and looked at again; a worker that takes too long, answers too much or
ends badly is killed with everything it started, and the file is refused.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from veildesk.attachments.assemble import assemble, refuse
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.bubblewrap import Layout, command
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.texts import declared_charset
from veildesk.attachments.wire import BadAnswer, Request, decode_item, encode_request
from veildesk.child.bounded import Finished, OutputExceeded, TimeExceeded, run_bounded
from veildesk.core.ports import Cleaned
from veildesk.core.ticket import CheckResult, Level

__all__ = ["SandboxCleaner"]

_LOG = logging.getLogger("veildesk.attachments")
_HERE = Path(__file__).resolve().parent


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
            if ended.code != 0:
                _LOG.warning("worker-failed status=%d", ended.code)
                return refuse(name, Refusal.FAILED)
            return assemble(name, decode_item(ended.output), self._bounds)
        except (OutputExceeded, TimeExceeded):
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
        except (OSError, OutputExceeded, TimeExceeded):
            return None
        words = ended.output.decode("ascii", "replace").split()
        return tuple(words) if ended.code == 0 else None

    async def _run(self, program: Path, given: bytes, *, confined: bool) -> Finished:
        """Run a program to its end. Raises `OutputExceeded` or `TimeExceeded`; leaves no process behind."""
        return await run_bounded(
            command(self._layout, program, self._bounds, confined=confined),
            stdin=given,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            output_limit=self._bounds.output_size * 2,
            seconds=self._bounds.wall,
            folder=Path("/"),
        )
