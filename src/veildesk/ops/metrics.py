"""Metrics in the OpenMetrics text format over a Unix socket, for a collector on the same machine.

Only what a `Gauge` holds is told: names and labels come from the code, never from a message. There is no
other path, no way to change anything, and no listening on a network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Gauge", "MetricsServer", "exposition"]

_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One value. `name` without prefix; labels are code words."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def exposition(gauges: Iterable[Gauge]) -> str:
    """The text (OpenMetrics 1.0): metadata once for each name, samples, `# EOF`."""
    grouped: dict[str, list[Gauge]] = {}
    for gauge in gauges:
        grouped.setdefault(gauge.name, []).append(gauge)
    lines = []
    for name, members in grouped.items():
        lines += [f"# TYPE veildesk_{name} gauge", f"# HELP veildesk_{name} {members[0].help}"]
        for gauge in members:
            labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(gauge.labels.items()))
            lines.append(f"veildesk_{name}{'{' + labels + '}' if labels else ''} {_number(gauge.value)}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Whole numbers in full: six digits would round bytes."""
    return str(int(value)) if value == int(value) else f"{value:g}"


class MetricsServer:
    """Answers every HTTP GET with what `gather` says at that moment."""

    def __init__(self, path: Path, gather: Callable[[], Awaitable[list[Gauge]]]) -> None:
        self._path = path
        self._gather = gather

    async def run(self) -> None:
        """Listen until cancelled; the socket is for the gateway's user and group."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, self._path, limit=8192)
        self._path.chmod(0o660)
        try:
            async with server:
                await server.serve_forever()
        finally:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET "):
                    body = exposition(await self._gather()).encode()
                    status = f"200 OK\r\nContent-Type: {_TYPE}"
                else:
                    body, status = b"", "405 Method Not Allowed"
                size = f"Content-Length: {len(body)}"
                writer.write(f"HTTP/1.1 {status}\r\n{size}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()
