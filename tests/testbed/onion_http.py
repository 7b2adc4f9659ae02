"""A visitor of an onion service: SOCKS5 (RFC 1928, RFC 1929) and plain HTTP, standard library only.

Knows cookies, redirects, forms and uploads, and runs no script, like the portal's most careful users.
Names are resolved by tor alone. Every client has a SOCKS user name of its own and so its own circuits.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin, urlsplit

__all__ = ["OnionClient", "Page", "SocksError", "socks_connect", "wait_reachable"]

Fields = Mapping[str, str] | Sequence[tuple[str, str]]
Upload = tuple[str, str, str, bytes]


class SocksError(OSError):
    """tor refused the connection. `reply` is the reply code: RFC 1928 § 6, or 0xF0 to 0xF7 of tor."""

    def __init__(self, reply: int) -> None:
        super().__init__(f"SOCKS reply 0x{reply:02X}")
        self.reply = reply


def socks_connect(port: int, host: str, to: int, *, timeout: float = 30.0, user: str = "") -> socket.socket:
    """A stream through the SOCKS5 port on 127.0.0.1. Another `user` means another circuit."""
    link = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    try:
        name = (user or secrets.token_hex(8)).encode()
        link.sendall(b"\x05\x01\x02")
        if _exactly(link, 2) != b"\x05\x02":
            raise SocksError(0xFF)
        link.sendall(b"\x01" + bytes([len(name)]) + name + b"\x01-")
        if _exactly(link, 2) != b"\x01\x00":
            raise SocksError(0xFF)
        target = host.encode("ascii")
        link.sendall(b"\x05\x01\x00\x03" + bytes([len(target)]) + target + to.to_bytes(2, "big"))
        reply = _exactly(link, 10)[1]
        if reply:
            raise SocksError(reply)
    except BaseException:
        link.close()
        raise
    return link


def _exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise OSError("SOCKS connection closed")
        data += more
    return data


def wait_reachable(
    socks_port: int,
    onion: str,
    *,
    port: int = 80,
    timeout: float = 240.0,
    each: float = 5.0,
    speak: bool = True,
) -> float:
    """Seconds until the onion answers. Raises `TimeoutError`.

    Each try has its own SOCKS user: a try that was introduced in the moment a service died would hold
    all later ones of the same circuit for tor's rendezvous time limit of 60 s. As a new user also means
    circuits from nothing, each try that ran out of time gives the next one more of it: a loaded machine
    would otherwise never get to the end of one. With `speak` an HTTP request is made and one byte
    awaited; without, an open stream is enough.
    """
    begun = time.monotonic()
    last = "not tried"
    while time.monotonic() - begun < timeout:
        try:
            with socks_connect(socks_port, onion, port, timeout=each) as link:
                if not speak:
                    return time.monotonic() - begun
                link.sendall(b"HEAD / HTTP/1.0\r\nHost: " + onion.encode() + b"\r\n\r\n")
                if link.recv(1):
                    return time.monotonic() - begun
        except OSError as error:
            last = str(error)
            if isinstance(error, TimeoutError):
                each = min(each * 1.5, 45.0)
        time.sleep(0.05)
    raise TimeoutError(f"onion not reachable within {timeout:.0f} s: {last}")


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. `path` is where it was found after redirects; `history` are (status, path) before it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)
    path: str = "/"
    history: tuple[tuple[int, str], ...] = ()

    @property
    def text(self) -> str:
        """The body as UTF-8 text."""
        return self.body.decode("utf-8", "replace")


class _Connection(http.client.HTTPConnection):
    """An HTTP connection whose stream goes through tor."""

    def __init__(self, onion: str, port: int, socks_port: int, user: str, timeout: float) -> None:
        super().__init__(onion, port, timeout=timeout)
        self._socks_port = socks_port
        self._user = user

    def connect(self) -> None:
        self.sock = socks_connect(
            self._socks_port, self.host, self.port, timeout=self.timeout or 30.0, user=self._user
        )


class OnionClient:
    """One visitor with a cookie jar. Not thread-safe; blocking, so call it in a thread from asyncio."""

    def __init__(
        self, socks_port: int, onion: str, *, port: int = 80, timeout: float = 60.0, user: str = ""
    ) -> None:
        """`onion` includes ".onion". `timeout` is for each read, in seconds. One `user`, one circuit."""
        self.onion = onion
        self.cookies = CookieJar()
        self._socks_port = socks_port
        self._port = port
        self._timeout = timeout
        self._user = user or secrets.token_hex(8)
        self._referrer: str | None = None

    def wait_reachable(self, timeout: float = 240.0) -> float:
        """Seconds until the service answers."""
        return wait_reachable(self._socks_port, self.onion, port=self._port, timeout=timeout)

    def get(self, path: str = "/", *, headers: Mapping[str, str] | None = None, follow: bool = True) -> Page:
        """GET, following redirects within the onion."""
        return self._visit("GET", path, None, dict(headers or {}), follow)

    def post(
        self,
        path: str,
        fields: Fields = (),
        *,
        files: Iterable[Upload] = (),
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Page:
        """POST a form. `files` are (field, file name, media type, content) and make it multipart."""
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        uploads = list(files)
        sent = {"Origin": self._origin, **(headers or {})}
        if uploads:
            kind, body = _multipart(pairs, uploads)
        else:
            kind, body = "application/x-www-form-urlencoded", urlencode(pairs).encode()
        sent.setdefault("Content-Type", kind)
        return self._visit("POST", path, body, sent, follow)

    @property
    def _origin(self) -> str:
        return f"http://{self.onion}" + ("" if self._port == 80 else f":{self._port}")

    def _visit(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], follow: bool
    ) -> Page:
        history: list[tuple[int, str]] = []
        url = urljoin(self._origin, path)
        for _ in range(10):
            page = self._exchange(method, url, body, headers, tuple(history))
            where = page.headers.get("Location")
            if not follow or page.status not in (301, 302, 303, 307, 308) or where is None:
                return page
            history.append((page.status, page.path))
            url = urljoin(url, where)
            if urlsplit(url).hostname != self.onion or urlsplit(url).scheme != "http":
                raise ValueError("redirect leaves the onion")
            if page.status in (301, 302, 303):
                method, body, headers = "GET", None, {}
        raise ValueError("too many redirects")

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        history: tuple[tuple[int, str], ...],
    ) -> Page:
        request = urllib.request.Request(url, data=body, method=method)
        self.cookies.add_cookie_header(request)
        sent = {"User-Agent": "Mozilla/5.0", "Accept": "text/html", "Accept-Language": "en-US,en;q=0.5"}
        sent |= dict(request.unredirected_hdrs) | {"Connection": "close"}
        if self._referrer:
            sent["Referer"] = self._referrer
        sent |= headers
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = _Connection(self.onion, self._port, self._socks_port, self._user, self._timeout)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            content = answer.read()
            self.cookies.extract_cookies(answer, request)  # type: ignore[arg-type]
            self._referrer = url
            return Page(answer.status, answer.headers, content, target, history)
        finally:
            connection.close()


def _multipart(pairs: Sequence[tuple[str, str]], uploads: Sequence[Upload]) -> tuple[str, bytes]:
    """A multipart/form-data body (RFC 7578 § 4)."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in pairs
    ]
    for name, file_name, media_type, content in uploads:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        parts.append(head.encode() + content + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()
