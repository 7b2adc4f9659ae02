"""A malware scan by a local clamd, asked over its Unix socket (clamd(8), command INSTREAM).

Optional, and when it is switched on it fails closed: without a verdict a file is not cleaned and not
delivered, and its message is tried again later, so nothing is lost either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Protocol

from veildesk.attachments.assemble import refuse
from veildesk.attachments.reasons import Refusal
from veildesk.core.errors import ScanUnavailable
from veildesk.core.ports import Cleaned, Cleaner
from veildesk.core.ticket import CheckResult, Level

__all__ = ["Clamd", "ScannedCleaner"]

_LOG = logging.getLogger("veildesk.attachments")
_CHUNK = 256 * 1024
_LONGEST_ANSWER = 4096


class Clamd:
    """One clamd. Each question has a connection of its own; nothing is kept between them."""

    def __init__(self, socket: Path, seconds: float = 60.0) -> None:
        self.socket = socket
        self._seconds = seconds

    async def is_malware(self, content: bytes) -> bool:
        """Whether a signature matches. Raises `ScanUnavailable` for anything but a clear verdict."""
        answer = await self._ask(b"zINSTREAM\0", content)
        if answer == "stream: OK":
            return False
        if answer.startswith("stream: ") and answer.endswith(" FOUND"):
            return True
        raise ScanUnavailable("no-verdict")

    async def version(self) -> str:
        """What clamd says of itself and its signatures. Raises `ScanUnavailable`."""
        return await self._ask(b"zVERSION\0", None)

    async def _ask(self, command: bytes, content: bytes | None) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    writer.write(command)
                    if content is not None:
                        await _stream(writer, content)
                    answer = await reader.read(_LONGEST_ANSWER)
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            raise ScanUnavailable(type(error).__name__) from None
        return answer.rstrip(b"\0\n").decode("ascii", "replace")


async def _stream(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Chunks with their length before them, an empty one last."""
    with contextlib.suppress(ConnectionError):  # clamd hangs up when it has seen enough; its answer counts
        for start in range(0, len(content), _CHUNK):
            chunk = content[start : start + _CHUNK]
            writer.write(len(chunk).to_bytes(4) + chunk)
            await writer.drain()
        writer.write(bytes(4))
        await writer.drain()


class _CheckedCleaner(Cleaner, Protocol):
    """A cleaner that can say whether it works."""

    async def check(self) -> list[CheckResult]: ...


class ScannedCleaner:
    """A `Cleaner` behind a scan: what clamd knows as malware is refused before anything else reads it."""

    def __init__(self, inner: _CheckedCleaner, clamd: Clamd) -> None:
        self._inner = inner
        self._clamd = clamd

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        """Scan, then clean. Raises `ScanUnavailable` when there is no verdict."""
        if await self._clamd.is_malware(content):
            _LOG.warning("malware-refused")
            return refuse(name, Refusal.MALWARE)
        return await self._inner.clean(name, media_type, content)

    async def check(self) -> list[CheckResult]:
        """The inner cleaner's checks and whether clamd answers."""
        return [*await self._inner.check(), await check_clamd(self._clamd)]


async def check_clamd(clamd: Clamd) -> CheckResult:
    """Whether clamd answers and what it says of its signatures."""
    name, title = "attachments-malware", "Attachments are scanned for malware"
    try:
        return CheckResult(name, title, Level.OK, (await clamd.version())[:80], "clamd")
    except ScanUnavailable:
        fix = "Start clamd and let the service read its socket, or take [attachments] clamd out."
        return CheckResult(name, title, Level.FAIL, "clamd does not answer; files wait", "clamd", fix)
