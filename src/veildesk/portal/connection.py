"""One connection from tor: how long it may dawdle, which circuit it came on, how it is refused.

uvicorn waits without limit for a request's head and answers malformed ones in words that name it. Here
a head that does not come in time ends the connection, and refusals are the site's own. With
`HiddenServiceExportCircuitID haproxy` tor puts a PROXY line (version 1) in front of each connection; its
address holds the circuit's number, which becomes the client's name.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from veildesk.portal.headers import HEADERS

__all__ = ["CircuitConnection", "Connection", "circuit_of"]

HEAD_SECONDS: Final = 30.0
"""How long a request's head may take."""

TAKING_SECONDS: Final = 60.0
"""How long a client may take nothing of an answer that waits for it."""

MOST_CONNECTIONS: Final = 1024
"""More are closed at once."""

_LONGEST_LINE: Final = 107
"""Of a PROXY line, version 1, with its line end."""

_PREFIX: Final = ipaddress.IPv6Network("fc00:dead:beef:4dad::/64")


def circuit_of(line: bytes) -> int:
    """The circuit's number in "PROXY TCP6 fc00:dead:beef:4dad::0:1a ::1 26 81". Raises `ValueError`."""
    words = line.split(b" ")
    if len(words) != 6 or words[:2] != [b"PROXY", b"TCP6"]:
        raise ValueError("not a PROXY line of tor")
    address = ipaddress.IPv6Address(words[2].decode("ascii"))
    if address not in _PREFIX:
        raise ValueError("not an address that tor makes")
    return int(address) & 0xFFFFFFFF


class Connection(H11Protocol):
    """A connection that ends when a request's head does not come or an answer is not taken."""

    _waiting: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; too many connections are closed at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait(False)
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for a client that is slow to take an answer."""
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(TAKING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It took what was sent."""
        super().resume_writing()
        self._taken()

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def data_received(self, data: bytes) -> None:
        """Hand data on; wait on as long as it completes no request."""
        super().data_received(data)
        self._wait(self.cycle is None or self.cycle.response_complete)

    def _wait(self, wanted: bool = True) -> None:
        if wanted and self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        elif not wanted and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def on_response_complete(self) -> None:
        """The next head has its own time."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait(self.cycle.response_complete)

    def send_400_response(self, msg: str) -> None:
        """Refuse without naming a program."""
        headers: list[Any] = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=b"bad request\n"),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class CircuitConnection(Connection):
    """As `Connection`, behind a PROXY line; a connection without one is closed."""

    _head: bytes | None = b""

    def data_received(self, data: bytes) -> None:
        """Take the line first, then hand on."""
        if self._head is None:
            super().data_received(data)
            return
        self._head += data
        line, end, rest = self._head.partition(b"\r\n")
        if not end:
            if len(self._head) >= _LONGEST_LINE:
                self.transport.abort()
            return
        try:
            self.client = (f"circuit-{circuit_of(line)}", 0)
        except ValueError:
            self.transport.abort()
            return
        self._head = None
        if rest:
            super().data_received(rest)
