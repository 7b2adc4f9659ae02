"""Tells a web address of every statement, with the signed text in it."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from urllib.parse import urlsplit

from veildesk.core.notice import Board, Notice, PublishedNotice
from veildesk.notices.distribution import ChannelFailed

__all__ = ["WebhookChannel", "webhook_body"]


def webhook_body(item: PublishedNotice) -> bytes:
    """The JSON document that is posted."""
    body: dict[str, object] = {
        "v": 1,
        "number": item.number,
        "kind": item.kind.value,
        "sha256": item.sha256,
        "signed": item.signed_text,
    }
    content = item.statement.content
    if isinstance(content, Notice):
        body |= {
            "incident": item.incident,
            "state": content.state.value,
            "severity": content.severity.value,
            "title": content.title,
        }
    return json.dumps(body, ensure_ascii=False).encode()


class WebhookChannel:
    """Posts to one address over verified TLS, or in the clear on loopback; follows no redirect."""

    name = "webhook"
    seconds = 60.0

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = urlsplit(url)
        self._tls = tls

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        """See `Channel.deliver`."""
        try:
            status = await asyncio.to_thread(self._post, webhook_body(item), item)
        except (OSError, http.client.HTTPException) as error:
            raise ChannelFailed(f"no answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise ChannelFailed(f"answered {status}")
        return f"answered {status}"

    def _post(self, body: bytes, item: PublishedNotice) -> int:
        host = self._url.hostname or ""
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            connection = http.client.HTTPSConnection(host, self._url.port, timeout=30, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, self._url.port, timeout=30)
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        headers = {"Content-Type": "application/json", "Idempotency-Key": item.sha256}
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(65536)
            return answer.status
        finally:
            connection.close()
