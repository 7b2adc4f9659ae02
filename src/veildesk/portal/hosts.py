"""The list of names this site answers to.

A wrong `Host` gets a bare 400 that names nobody: whoever probes an address learns nothing about who
runs it. No redirect is ever made from a `Host` header. The loopback name opens the health check only.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HEALTH_PATH", "HostAllowList", "plain_host"]

HEALTH_PATH = "/healthz"
_LOOPBACK = "127.0.0.1"


def plain_host(header: str) -> str:
    """A `Host` header in lower case without its port."""
    return header.lower().rpartition(":")[0] or header.lower()


class HostAllowList:
    """ASGI layer that lets through requests for known hosts only."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse unknown hosts; answer the health check."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        named = Headers(scope=scope).getlist("host")
        host = plain_host(named[0]) if len(named) == 1 else ""
        if host == _LOOPBACK and scope["path"] == HEALTH_PATH:
            await PlainTextResponse("ok\n")(scope, receive, send)
        elif host in self.hosts and scope["path"] != HEALTH_PATH:
            await self.app(scope, receive, send)
        elif host in self.hosts:
            await PlainTextResponse("not found\n", 404)(scope, receive, send)
        else:
            await PlainTextResponse("bad request\n", 400)(scope, receive, send)
