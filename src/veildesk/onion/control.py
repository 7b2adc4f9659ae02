"""One connection to tor's control socket, made usable from asyncio.

stem works with threads and blocks without a limit when tor is stopped. Here every blocking call runs in
one daemon thread of the connection, with a time limit; stem's callbacks only wake the event loop up.
A connection is never reused after a failure. stem's logger, which prints commands and thereby the onion
key, is shut off first.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import stem
import stem.connection
from stem.control import Controller, EventType

from veildesk.onion.trouble import ControlFailed, Trouble

__all__ = ["ControlLink", "DescriptorEvent", "Reply"]

T = TypeVar("T")

_log = logging.getLogger("veildesk.onion")


@dataclass(frozen=True, slots=True)
class DescriptorEvent:
    """An HS_DESC event: `address` without ".onion", `action` such as "UPLOADED", `reason` or empty."""

    address: str
    action: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """tor's answer to a command: three-digit code and its last line."""

    code: str
    text: str

    @property
    def ok(self) -> bool:
        """Whether tor did it."""
        return self.code.startswith("2")


def _silence_stem() -> None:
    """stem logs whole commands at a level below DEBUG, which a handler without a level would print."""
    logger = logging.getLogger("stem")
    logger.propagate = False
    logger.disabled = True


class _Worker:
    """One daemon thread; a daemon, so that a call that never returns cannot hold up the program's end."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="tor-control", daemon=True).start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._tasks.put(task)
        return asyncio.wrap_future(future)

    def end(self) -> None:
        self._tasks.put(None)


class ControlLink:
    """An authenticated control connection. `closed` is set when it is gone."""

    def __init__(self, call_timeout: float) -> None:
        """Use `open`. `call_timeout` in seconds is for each call."""
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timeout = call_timeout
        self._worker = _Worker()
        self._controller: Any = None

    @classmethod
    async def open(cls, path: Path, call_timeout: float = 10.0) -> ControlLink:
        """Connect and authenticate by cookie. Raises `ControlFailed`."""
        _silence_stem()
        link = cls(call_timeout)
        try:
            await link._run(lambda: link._connect(path))
        except BaseException:
            await link.close()
            raise
        return link

    def _connect(self, path: Path) -> None:
        """In the worker: each way to fail gets its own word."""
        try:
            path.stat()
        except FileNotFoundError:
            raise ControlFailed(Trouble.CONTROL_MISSING) from None
        except PermissionError:
            raise ControlFailed(Trouble.CONTROL_FORBIDDEN) from None
        try:
            self._controller = Controller.from_socket_file(str(path))  # type: ignore[no-untyped-call]
        except stem.SocketError as error:
            denied = isinstance(error.__cause__ or error.__context__, PermissionError)
            raise ControlFailed(Trouble.CONTROL_FORBIDDEN if denied else Trouble.CONTROL_REFUSED) from None
        self._controller.add_status_listener(self._status, spawn=False)
        try:
            self._controller.authenticate()
        except stem.connection.AuthenticationFailure:
            raise ControlFailed(Trouble.AUTHENTICATION) from None

    def _status(self, _controller: object, state: Any, _when: float) -> None:
        if state == "Closed":
            self._wake(self.closed.set)

    def _wake(self, callback: Callable[..., None], *args: object) -> None:
        """Hand over to the event loop; it may be gone while stem's threads still end."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    async def _run(self, function: Callable[[], T]) -> T:
        try:
            # asyncio.timeout and not wait_for, which until Python 3.12 may swallow a cancellation.
            async with asyncio.timeout(self._timeout):
                return await self._worker.submit(function)
        except TimeoutError:
            raise ControlFailed(Trouble.SILENT) from None
        except ControlFailed:
            raise
        except Exception as error:
            # Mostly stem.SocketClosed. Whatever else stem stumbles over ends this connection, not the
            # service; its text is not logged, because it may quote what was sent.
            if not isinstance(error, (stem.ControllerError, OSError)):
                _log.error("onion-control-fault %s", type(error).__name__)
            raise ControlFailed(Trouble.LOST) from None

    @property
    def _open(self) -> Any:
        if self._controller is None:
            raise ControlFailed(Trouble.LOST)
        return self._controller

    async def send(self, command: str) -> Reply:
        """Send a command line as it is. Raises `ControlFailed` only if there is no answer."""
        controller = self._open
        response = await self._run(lambda: controller.msg(command))
        code, _, text = response.content()[-1]
        return Reply(str(code), str(text))

    async def info(self, key: str) -> str | None:
        """GETINFO; None if tor does not know the key or has nothing to say."""
        return await self._ask(lambda controller: controller.get_info(key))

    async def option(self, name: str) -> str | None:
        """GETCONF of a single option; None if unset or unknown."""
        return await self._ask(lambda controller: controller.get_conf(name, None))

    async def _ask(self, question: Callable[[Any], Any]) -> str | None:
        controller = self._open

        def ask() -> str | None:
            try:
                answer = question(controller)
            except (stem.OperationFailed, stem.ProtocolError):
                return None
            return None if answer is None else str(answer)

        return await self._run(ask)

    async def watch_descriptors(self, callback: Callable[[DescriptorEvent], None]) -> None:
        """Call back in the event loop for each HS_DESC event from now on."""
        controller = self._open

        def received(event: Any) -> None:
            told = DescriptorEvent(str(event.address or ""), str(event.action or ""), str(event.reason or ""))
            self._wake(callback, told)

        await self._run(lambda: controller.add_event_listener(received, EventType.HS_DESC))

    async def close(self) -> None:
        """Close; an attached service ends with it. Waits at most two seconds for stem's threads."""
        self._worker.end()
        self.closed.set()
        controller = self._controller
        if controller is None:
            return
        # Not in the worker, which may hang in a call to a stopped tor: closing is what wakes it up.
        closer = _Worker()
        done = closer.submit(controller.close)
        closer.end()
        with contextlib.suppress(TimeoutError, stem.ControllerError, OSError):
            async with asyncio.timeout(2.0):
                await done
