"""One child process with bounded output and time, spoken to over pipes and memory files only.

Nothing of what goes in or comes out touches a disk or an argument list. The child leads its own
process group, which is killed on overrun, on time-out and when the caller is cancelled, also while
the child is only starting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Finished", "MemoryFile", "OutputExceeded", "TimeExceeded", "run_bounded"]

_LOG = logging.getLogger("veildesk.child")

_STATUS_LIMIT = 1024 * 1024
_CHUNK = 256 * 1024
_LAST_SECONDS = 5.0
_ENDED_BY_OTHERS = frozenset((signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))


@dataclass(frozen=True, slots=True)
class Finished:
    """What a child left: exit code (negative for a signal), standard output, status descriptor."""

    code: int
    output: bytes = field(repr=False)
    status: bytes = field(repr=False)

    @property
    def killed(self) -> bool:
        """Whether somebody else ended it, as a system short of memory does: not by a fault of its input.

        A sandbox around the child tells the signal as exit code 128 + its number.
        """
        return -self.code in _ENDED_BY_OTHERS or self.code - 128 in _ENDED_BY_OTHERS


class OutputExceeded(Exception):
    """The child wrote more than it may and was killed."""


class TimeExceeded(Exception):
    """The child took longer than it may and was killed."""


class MemoryFile:
    """Bytes behind a descriptor that a child may read; closed by `close` or at the end of `with`."""

    def __init__(self, data: bytes) -> None:
        self.descriptor = os.memfd_create("input")
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    def __enter__(self) -> MemoryFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.descriptor)


async def run_bounded(
    command: Sequence[str],
    *,
    stdin: bytes,
    environment: Mapping[str, str],
    output_limit: int,
    seconds: float,
    descriptors: Sequence[int] = (),
    folder: Path | None = None,
) -> Finished:
    """Run `command` in `folder`, with the words `{status}` in it replaced by the status descriptor's number.

    Raises `OutputExceeded` beyond `output_limit` bytes, `TimeExceeded` after `seconds`, `OSError` when
    the program cannot be started; the output so far is thrown away then.
    """
    reading, writing = os.pipe()
    try:
        process = await _start(
            [word.replace("{status}", str(writing)) for word in command],
            environment,
            (writing, *descriptors),
            folder,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        async with asyncio.timeout(seconds):
            return await _talk(process, reading, stdin, output_limit)
    except TimeoutError:
        raise TimeExceeded from None
    finally:
        await _end(process)


async def _start(
    words: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int], folder: Path | None
) -> asyncio.subprocess.Process:
    """Start a child; cancelled in the middle, it ends the child's group before it lets go."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=descriptors,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            limit=_CHUNK,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio would kill the child alone and then wait for whoever else holds its pipes.
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


async def _talk(process: asyncio.subprocess.Process, reading: int, stdin: bytes, limit: int) -> Finished:
    assert process.stdout is not None
    pipe = os.fdopen(reading, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    status = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(status), pipe)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(process, stdin))
            output = group.create_task(_collect(process.stdout, limit))
            lines = group.create_task(_collect(status, _STATUS_LIMIT))
            code = group.create_task(process.wait())
    except BaseExceptionGroup as raised:
        # Not except*: older interpreters wrap what is raised there into a group again.
        broken, others = raised.split(OutputExceeded)
        if broken is None or others is not None:
            raise
        raise OutputExceeded from None
    finally:
        transport.close()
    return Finished(code.result(), output.result(), lines.result())


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Write everything; a child that stops reading early is judged by what it says, not by that."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            process.stdin.write(view[start : start + _CHUNK])
            await process.stdin.drain()
    # Not waited for: cancelling that wait would leave asyncio's own record of the pipe broken.
    process.stdin.close()


async def _collect(stream: asyncio.StreamReader, limit: int) -> bytes:
    kept = bytearray()
    while chunk := await stream.read(_CHUNK):
        if len(kept) + len(chunk) > limit:
            raise OutputExceeded
        kept += chunk
    return bytes(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure the child and its group are gone.

    The group is killed also when the child ended by itself: what it started may still run. asyncio
    tells of a child's end only after its pipes ended, and a pipe that was left full does not end: so
    what is left in it is read and thrown away.
    """
    assert process.stdout is not None
    # The number stays taken while anyone of the group lives; if all are gone, the kernel gives it out
    # again only after it went through all other numbers.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            while await process.stdout.read(_CHUNK):
                pass
            await process.wait()
    except TimeoutError:
        _LOG.error("child-left-behind")
