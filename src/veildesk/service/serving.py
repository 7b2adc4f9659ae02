"""An ASGI app behind a Unix socket, ended by whoever started it and not by signals of its own."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from veildesk.portal import serve as portal_serve

__all__ = ["QuietServer", "serve_site", "site_server"]

_LAST_SECONDS = 15


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the process around it decides when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()

    def install_signal_handlers(self) -> None:
        """None: see the class."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """None: see the class."""
        return nullcontext()


def site_server(app: ASGIApp, path: Path, *, circuits: bool = False) -> QuietServer:
    """A server for `app` at the socket `path`; one left by a dead process is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    path.unlink(missing_ok=True)
    return QuietServer(portal_serve.config(app, path, circuits=circuits))


async def serve_site(server: uvicorn.Server) -> None:
    """Serve until cancelled; answers under way are finished then."""
    running = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        # Cancelling uvicorn would cut off answers under way, or break it while it starts.
        server.should_exit = True
        await asyncio.wait({running}, timeout=_LAST_SECONDS)
        running.cancel()
        raise
