"""The HTTP side of connectors: one client with bounds, verified TLS, and faults told apart.

Never follows a redirect, never takes proxies or passwords from the environment, and reads no answer
beyond its bound. What may pass by itself is `BackendUnavailable`, what will not is `BackendRefused`; their
details hold status numbers and fixed words, never a body.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from veildesk.core.errors import BackendRefused, BackendUnavailable, ConfigInvalid
from veildesk.deliver.settings import Settings

__all__ = ["Answer", "HelpdeskClient", "Upload", "check_url", "client_from", "read_secret"]

MAX_ANSWER: Final = 32 * 1024 * 1024
MAX_FILE: Final = 64 * 1024 * 1024
_PASSING: Final = frozenset({408, 423, 425, 429})
Upload = tuple[str, tuple[str | None, Any, str]]
"""One part of a multipart form: field, (file name, content, media type)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and whole body of one answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises `BackendUnavailable`: a proxy's page in between passes by itself."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise BackendUnavailable("answer-not-json") from None


def check_url(name: str, url: Any) -> str:
    """The base address without a slash at its end. Raises `ConfigInvalid` for clear text beyond loopback."""
    if not isinstance(url, str):
        raise ConfigInvalid(
            f"[backends.{name}] url: expected an address such as https://helpdesk.example.org"
        )
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigInvalid(f"[backends.{name}] url: expected https://host[:port][/path] and nothing else")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigInvalid(f"[backends.{name}] url: http is for loopback only; use https")
    return url.rstrip("/")


def client_from(read: Settings) -> HelpdeskClient:
    """The client for url, ca_file (relative to the configuration) and timeout of `[backends.NAME]`."""
    ca_file = read.values.get("ca_file")
    if ca_file is not None and not isinstance(ca_file, str):
        raise read.wrong("ca_file", "a path")
    path = Path(read.values.get("base", ".")) / ca_file if ca_file else None
    if path is not None and not path.is_file():
        raise read.wrong("ca_file", "a file with certificates")
    return HelpdeskClient(
        check_url(read.name, read.values.get("url")),
        ca_file=str(path) if path else None,
        seconds=float(read.whole("timeout", 30)),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_secret(name: str, settings: Mapping[str, Any], key: str) -> str:
    """The secret in the file that `key` names, relative to the configuration. Raises `ConfigInvalid`."""
    value = settings.get(key)
    if not isinstance(value, str):
        raise ConfigInvalid(f"[backends.{name}] {key}: expected the path of a file with the secret")
    try:
        secret = (Path(settings.get("base", ".")) / value).read_text(encoding="utf-8").strip("\r\n ")
    except (OSError, UnicodeDecodeError):
        raise ConfigInvalid(f"[backends.{name}] {key}: the file cannot be read") from None
    if not secret or not secret.isprintable():
        raise ConfigInvalid(f"[backends.{name}] {key}: the file holds no secret on one line")
    return secret


class HelpdeskClient:
    """Calls under one base address. `seconds` bounds a single wait, not a whole transfer."""

    def __init__(self, base: str, *, ca_file: str | None = None, seconds: float = 30.0) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.base = base
        self._client = httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(seconds, connect=min(seconds, 10.0)),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "veildesk", "Accept-Encoding": "identity"},
        )

    @property
    def cookies(self) -> httpx.Cookies:
        """What the helpdesk set; connectors with a session clear it to begin anew."""
        return self._client.cookies

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        good: Sequence[int] = (200, 201, 202, 204),
        limit: int | None = None,
        **request: Any,
    ) -> Answer:
        """One call; `request` as in httpx. A status outside `good` raises as the module text says.

        `limit` bounds the body in bytes, 32 MiB when it is None.
        """
        async with self.open(method, path, **request) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > (limit or MAX_ANSWER):
                    raise BackendRefused("answer-too-large")
            if response.status_code not in good:
                raise _fault(response.status_code)
            return Answer(response.status_code, dict(response.headers.items()), bytes(body))

    async def pieces(self, path: str, *, method: str = "GET", **request: Any) -> AsyncIterator[bytes]:
        """The content behind an address, in pieces."""
        total = 0
        async with self.open(method, path, **request) as response:
            if response.status_code != 200:
                raise _fault(response.status_code)
            async for piece in response.aiter_bytes(65536):
                total += len(piece)
                if total > MAX_FILE:
                    raise BackendRefused("file-too-large")
                yield piece

    @asynccontextmanager
    async def open(self, method: str, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """An answer whose body is not read yet; faults of the transport become `BackendUnavailable`."""
        try:
            async with self._client.stream(method, self._address(path), **request) as response:
                yield response
        except httpx.TimeoutException:
            raise BackendUnavailable("time-out") from None
        except httpx.TransportError as error:
            raise BackendUnavailable(type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            raise BackendUnavailable("http") from None

    def _address(self, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return self.base + path
        # An address that the helpdesk names itself must not lead our credentials elsewhere.
        if urlsplit(path)[:2] != urlsplit(self.base)[:2]:
            raise BackendRefused("foreign-address")
        return path


def _fault(status: int) -> BackendUnavailable | BackendRefused:
    """3xx and 401 count as passing: a log-in page or an expired session; `check` names lasting ones."""
    if status in _PASSING or status >= 500 or 300 <= status < 400 or status == 401:
        return BackendUnavailable(f"status-{status}")
    return BackendRefused(f"status-{status}")
