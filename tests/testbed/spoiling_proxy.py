"""An HTTP proxy before an S3 server that spoils what passes in a chosen way, each request alike.

`trouble`: "" passes; "refuse" closes at once; "unavailable" answers 503; "cut-request" closes in the middle
of the request; "no-answer" passes the request on and closes instead of answering; "cut-answer" closes in the
middle of the answer; "condition-ignored" answers a PUT with success whatever the server said; "nothing-there"
says of a DELETE, passed on, that no such object was there, as some servers do.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["SpoilingProxy"]


class SpoilingProxy:
    """Listens on loopback at `endpoint` while the context is open, with `tls` where it is given.

    `choose` names the trouble of each request; without it that is what `trouble` says.
    """

    def __init__(
        self, target: str, tls: ssl.SSLContext | None = None, choose: Callable[[], str] | None = None
    ) -> None:
        self.trouble = ""
        self.spoiled = 0
        self._choose = choose
        self._scheme = "https" if tls else "http"
        self.target = urlsplit(target).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # The client went away.
                    super().handle()

            def log_message(self, *words: Any) -> None:
                """Say nothing."""

            def handle_one(self) -> None:
                proxy._pass(self)

            do_GET = do_PUT = do_DELETE = do_HEAD = handle_one  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        """The address."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _pass(self, request: BaseHTTPRequestHandler) -> None:
        trouble = self._choose() if self._choose is not None else self.trouble
        self.spoiled += bool(trouble)
        length = int(request.headers.get("Content-Length") or 0)
        request.close_connection = trouble not in ("", "condition-ignored", "nothing-there")
        if trouble == "refuse":
            return
        if trouble == "cut-request":
            request.rfile.read(length // 2)
            return
        body = request.rfile.read(length)
        if trouble == "unavailable":
            self._answer(request, 503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        try:
            status, headers, answer = self._ask(request, body)
        except (OSError, http.client.HTTPException):
            # The server is away, and so are we.
            request.close_connection = True
            return
        if trouble == "no-answer":
            return
        if trouble == "condition-ignored" and request.command == "PUT":
            status, answer = 200, b""
            headers = {"ETag": '"0"'}
        if trouble == "nothing-there" and request.command == "DELETE":
            status, headers, answer = 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        self._answer(request, status, headers, answer, cut=trouble == "cut-answer")

    def _ask(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = http.client.HTTPConnection(self.target, timeout=30)
        try:
            # The host stays the one that was signed.
            there.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                there.putheader(name, value)
            there.endheaders(body)
            got = there.getresponse()
            return got.status, dict(got.getheaders()), got.read()
        finally:
            there.close()

    def _answer(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        cut: bool = False,
    ) -> None:
        if cut:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            return
        request.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                request.send_header(name, value)
        if request.command == "HEAD":
            request.send_header("Content-Length", headers.get("Content-Length", "0"))
        else:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
