"""The portal on a free loopback port, served by uvicorn in a thread, for real browsers.

Browsers are told that the onion name is 127.0.0.1; nothing leaves the machine.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.fakes import World
from veildesk.portal.app import create_app
from veildesk.portal.serve import config


class _Announced(uvicorn.Server):
    """Says when it serves, instead of being asked again and again."""

    def __init__(self, configuration: uvicorn.Config) -> None:
        super().__init__(configuration)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def served(world: World, *, policy: bool = True) -> Iterator[int]:
    """Serve until the block ends; yields the port. Without `policy` a test may run scripts."""
    app = create_app(world.settings, world.ports)
    configuration = config(app if policy else _without_policy(app), "unused")
    configuration.uds = None
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server = _Announced(configuration)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert server.ready.wait(10)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def _without_policy(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def filtered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [item for item in message["headers"] if item[0] != b"content-security-policy"]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, filtered)

    return wrapped
