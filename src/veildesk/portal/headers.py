"""The one table of response headers, put on every answer, errors and files included.

Outermost layer of the app. It also takes away what would tell a clock, a program or a version. The
referrer policy is `same-origin` and not `no-referrer`: the latter makes browsers send `Origin: null`
with this site's own forms.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_SECURITY_POLICY", "HEADERS", "SecurityHeaders"]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; sandbox allow-forms allow-same-origin allow-downloads"
)

HEADERS: Final[dict[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

IMMUTABLE: Final = "max-age=31536000, immutable"
"""For content-hashed files under /static/ only."""

_TAKEN_AWAY: Final = ("date", "server", "etag", "last-modified", "x-powered-by", "via")


_TABLE: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_STATIC: Final = [(name, IMMUTABLE.encode() if name == b"cache-control" else value) for name, value in _TABLE]
_REPLACED: Final = frozenset(name.encode() for name in (*_TAKEN_AWAY, *HEADERS))


class SecurityHeaders:
    """ASGI layer that sets `HEADERS` and removes what tells too much."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and set headers when the response starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                table = _STATIC if static and message["status"] == 200 else _TABLE
                own = [item for item in message["headers"] if item[0].lower() not in _REPLACED]
                message["headers"] = own + table
            await send(message)

        await self.app(scope, receive, with_headers)
