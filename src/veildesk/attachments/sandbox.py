"""The `Cleaner` for real use: one sandboxed worker process per file.

Files go in and out through pipes and are never on disk. The worker's exit status is checked, its
answer read as a stranger's and looked at again; a worker that takes too long, answers too much or
ends badly is killed with everything it started, and the file is refused.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from veildesk.attachments.assemble import assemble, media_file, refuse
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.bubblewrap import Layout, command
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.mat2 import Mat2, ending_for_mat2
from veildesk.attachments.reasons import FileRefused, Refusal, Removed
from veildesk.attachments.render import find_renderer
from veildesk.attachments.texts import declared_charset
from veildesk.attachments.wire import BadAnswer, Item, Request, decode_item, encode_request
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
        self._mat2 = Mat2.find(self._layout)
        self._slots = asyncio.Semaphore(workers)
        self._require = require_sandbox
        self._worker = worker
        self._confined: bool | None = None
        self._probing = asyncio.Lock()

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        """Clean one file; never raises for its content. Of the declared type only the charset is used."""
        if len(content) > self._bounds.input_size:
            return refuse(name, Refusal.TOO_LARGE)
        try:
            confined = await self._is_confined()
            originals = confined and self._mat2 is not None
            request = Request(bytes(content), declared_charset(media_type), self._bounds, originals=originals)
            if self._require and not confined:
                return refuse(name, Refusal.FAILED)
            async with self._slots:
                ended = await self._run(self._worker, encode_request(request), confined=confined)
            if ended.code != 0:
                _LOG.warning("worker-failed status=%d", ended.code)
                return refuse(name, Refusal.FAILED)
            item = decode_item(ended.output)
            cleaned = assemble(name, item, self._bounds)
            if not confined:
                return cleaned
            if cleaned.members:
                return await self._members_by_mat2(item, cleaned)
            return await self._by_mat2(name, content, item, cleaned)
        except (OutputExceeded, TimeExceeded):
            _LOG.warning("worker-overrun")
            return refuse(name, Refusal.TIMEOUT)
        except BadAnswer:
            _LOG.warning("worker-bad-answer")
            return refuse(name, Refusal.FAILED)
        except Exception as error:  # whatever it is, the file is not delivered
            _LOG.error("cleaning-failed error=%s", type(error).__name__)
            return refuse(name, Refusal.FAILED)

    async def _by_mat2(self, name: str, content: bytes, item: Item, cleaned: Cleaned) -> Cleaned:
        """The same with what mat2 can add: an office file as a file, sound and film at all."""
        end = ending_for_mat2(item.kind, content)
        media = item.kind is Kind.AUDIO_VIDEO
        if self._mat2 is None or end is None or item.refused not in (None, Refusal.AUDIO_VIDEO):
            return cleaned
        if (media and not self._mat2.films) or (not media and not item.text):
            return cleaned
        try:
            fresh = await self._fresh(end, content)
            if media:
                same = ending_for_mat2(tell(fresh), fresh) == end
                return media_file(name, end, fresh) if same else refuse(name, Refusal.NOT_CLEAN)
            return await self._document(item, end, fresh, cleaned)
        except (FileRefused, BadAnswer, OutputExceeded, TimeExceeded, OSError) as error:
            _LOG.info("mat2-gave-nothing error=%s", type(error).__name__)
            return cleaned

    async def _members_by_mat2(self, item: Item, cleaned: Cleaned) -> Cleaned:
        """An archive whose office files, sound and film were cleaned as those outside of archives are."""
        members = []
        for (name, inner), member in zip(item.members, cleaned.members, strict=True):
            fresh = member
            if member.members:
                fresh = await self._members_by_mat2(inner, member)
            elif inner.original is not None and tell(inner.original) is inner.kind:
                fresh = await self._by_mat2(name, inner.original, inner, member)
            members.append(fresh)
        if all(member.content is None and not member.members for member in members):
            return replace(cleaned, members=(), removed=(), refused=Refusal.NOTHING_LEFT.sentence)
        removed = cleaned.removed
        if not any(member.refused and not member.members for member in members):
            removed = tuple(word for word in removed if word != Removed.MEMBERS.value)
        return replace(cleaned, members=tuple(members), removed=removed)

    async def _fresh(self, end: str, content: bytes) -> bytes:
        """The file without metadata, seen clean by a second sandbox. Raises `FileRefused`."""
        assert self._mat2 is not None
        _, fresh = await self._mat2_run("clean", end, content)
        left, _ = await self._mat2_run("check", end, fresh)
        if left or not 0 < len(fresh) <= self._bounds.output_size:
            raise FileRefused(Refusal.NOT_CLEAN)
        return fresh

    async def _mat2_run(self, mode: str, end: str, content: bytes) -> tuple[Sequence[str], bytes]:
        assert self._mat2 is not None
        arguments = self._mat2.command(self._bounds)
        async with self._slots:
            ended = await self._start(arguments, self._mat2.request(mode, end, content))
        if ended.code != 0:
            raise FileRefused(Refusal.FAILED)
        return self._mat2.answer(ended.output)

    async def _document(self, item: Item, end: str, fresh: bytes, cleaned: Cleaned) -> Cleaned:
        """The office file beside its text, if it shows no more than that. Raises `FileRefused`."""
        request = Request(fresh, bounds=self._bounds, whole=True)
        async with self._slots:
            ended = await self._run(self._worker, encode_request(request), confined=True)
        if ended.code != 0:
            raise FileRefused(Refusal.FAILED)
        again = decode_item(ended.output)
        spoken = (again.content or b"").split() == (item.content or b"").split()
        unseen = {Removed.HIDDEN, Removed.CHANGES} & set(again.removed)
        if again.kind is not item.kind or again.strings is None or not spoken or unseen:
            raise FileRefused(Refusal.NOT_CLEAN)
        strings = again.strings.decode("utf-8", "replace")
        return replace(cleaned, rendered=fresh, rendered_as=end, strings=strings)

    async def check(self) -> list[CheckResult]:
        """Whether files are cleaned in a sandbox, tried out and not assumed."""
        name, title = "attachments-sandbox", "Attachments are cleaned in a sandbox"
        try:
            if await self._is_confined():
                confined = CheckResult(name, title, Level.OK, "bubblewrap", "bubblewrap")
                return [confined, _check_pdf(), self._check_mat2()]
            gaps = await self._gaps(confined=False)
        except TimeExceeded:
            fix = "Ask again when the machine has memory and time; files are refused until it is known."
            return [CheckResult(name, title, Level.FAIL, "the probe was ended or slow", "bubblewrap", fix)]
        if gaps is None:
            fix = "Mend the Python installation."
            return [CheckResult(name, title, Level.FAIL, "the worker does not start", "bubblewrap", fix)]
        found = "limits of memory and time only; open: " + ", ".join(gaps)
        level = Level.FAIL if self._require else Level.WARN
        fix = "Install bubblewrap and allow user namespaces for the service."
        return [CheckResult(name, title, level, found, "bubblewrap", fix)]

    def _check_mat2(self) -> CheckResult:
        """What becomes of office files, sound and film here: without mat2 less is delivered."""
        name, title = "attachments-mat2", "Office files, sound and film are cleaned by mat2"
        fix = "'scripts/install media' names what mat2 needs."
        if self._mat2 is None:
            found = "not found: office files become text, sound and film are refused"
            return CheckResult(name, title, Level.WARN, found, "mat2", fix)
        if not self._mat2.films:
            return CheckResult(name, title, Level.WARN, "no ffmpeg: sound and film are refused", "mat2", fix)
        return CheckResult(name, title, Level.OK, "mat2 and ffmpeg", "mat2")

    async def _is_confined(self) -> bool:
        """Found out once, for good. Raises `TimeExceeded` while a busy machine does not let it be told."""
        async with self._probing:
            if self._confined is None:
                self._confined = self._layout.bwrap is not None and await self._gaps(confined=True) == ()
                if not self._confined:
                    _LOG.warning("sandbox-unavailable")
            return self._confined

    async def _gaps(self, *, confined: bool) -> tuple[str, ...] | None:
        """What the probe could do; None if it failed. Raises `TimeExceeded` if it got no chance to."""
        try:
            ended = await self._run(_HERE / "probe.py", b"", confined=confined)
        except (OSError, OutputExceeded):
            return None
        if ended.killed:
            raise TimeExceeded
        words = ended.output.decode("ascii", "replace").split()
        return tuple(words) if ended.code == 0 else None

    async def _run(self, program: Path, given: bytes, *, confined: bool) -> Finished:
        """Run a program to its end. Raises `OutputExceeded` or `TimeExceeded`; leaves no process behind."""
        return await self._start(command(self._layout, program, self._bounds, confined=confined), given)

    async def _start(self, arguments: list[str], given: bytes) -> Finished:
        """Once more if the system ended it: without its own fault a file would be gone for the agent."""
        begun = time.monotonic()
        ended = await self._once(arguments, given)
        # Its own limit of processor time ends it in the same way.
        if ended.killed and time.monotonic() - begun < self._bounds.cpu:
            _LOG.warning("worker-killed")
            ended = await self._once(arguments, given)
        return ended

    async def _once(self, arguments: list[str], given: bytes) -> Finished:
        return await run_bounded(
            arguments,
            stdin=given,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            output_limit=self._bounds.output_size * 2,
            seconds=self._bounds.wall,
            folder=Path("/"),
        )


def _check_pdf() -> CheckResult:
    """The worker sees the programs that are there at this moment."""
    name, title = "attachments-pdf", "PDF files are cleaned"
    if find_renderer() is not None:
        return CheckResult(name, title, Level.OK, "poppler", "poppler")
    fix = "Install poppler-utils (pdftoppm and pdftotext)."
    return CheckResult(name, title, Level.WARN, "no poppler: PDF files are refused", "poppler", fix)
