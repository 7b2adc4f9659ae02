"""Ask a running gpg-agent for one operation with a secret key: sign a digest, or decrypt a session key.

The Assuan protocol (libassuan manual, "Server responses") over a connected Unix socket, read strictly: lines
and answers are bounded, an answer that is not of the grammar ends the connection, and every question has a
deadline. Meant for the agent's restricted "extra" socket, over which keys can be used and not taken out.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Sequence

from veildesk.openpgp.declining import Declined

__all__ = [
    "AgentConnection",
    "AgentLost",
    "Expression",
    "connect_agent",
    "read_expression",
    "write_expression",
]

_LINE = 1000
_ANSWER = 8 * 1024
_LINES = 64
_DEPTH = 6
_CHUNK = 300
_CONNECT_SECONDS = 5.0
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_KEYGRIP = re.compile(r"[0-9A-F]{40}\Z")
_CREDENTIALS = struct.Struct("3i")
Expression = bytes | list["Expression"]


class AgentLost(Declined):
    """The agent is gone, too slow, or said what no agent says; this connection is of no further use."""


class AgentConnection:
    """One connection; `seconds` is what one question may take. Every method may raise `Declined`."""

    def __init__(self, channel: socket.socket, seconds: float) -> None:
        self._channel = channel
        self._seconds = seconds
        self._buffer = b""
        self._greeted = False

    def unprotected(self, keygrip: str) -> bool:
        """Whether the agent has this key in a file without a passphrase. Not over the restricted socket."""
        try:
            words = self._ask([b"KEYINFO " + _grip(keygrip)])[1]
        except AgentLost:
            raise
        except Declined:
            return False
        fields = words.get(b"KEYINFO", b"").split()
        # Keygrip, type, serial number, id, cached, protection (gpg-agent(1), KEYINFO).
        return len(fields) >= 6 and fields[1] == b"D" and fields[5] == b"C"

    def sign(self, keygrip: str, hash_id: int, digest: bytes) -> tuple[bytes, ...]:
        """Values of a signature over a digest: r and s for EdDSA, s for RSA. `hash_id` as in OpenPGP."""
        number = {8: 8, 9: 9, 10: 10}[hash_id]
        hashed = b"SETHASH %d %s" % (number, digest.hex().upper().encode())
        data, _ = self._ask([b"RESET", b"SIGKEY " + _grip(keygrip), hashed, b"PKSIGN"])
        match read_expression(data):
            case [b"sig-val", [b"eddsa", [b"r", bytes(r)], [b"s", bytes(s)]]] if max(len(r), len(s)) <= 32:
                return r, s
            case [b"sig-val", [b"rsa", [b"s", bytes(value)]]]:
                return (value,)
        raise Declined("agent-signature")

    def exchange(self, keygrip: str, point: bytes) -> bytes:
        """The X25519 shared secret of this key and a public point, both 32 octets."""
        value = self._decrypt(keygrip, [b"ecdh", [b"s", b"\x00"], [b"e", b"\x40" + point]])
        if len(value) != 33 or value[:1] != b"\x40":
            raise Declined("agent-point")
        return value[1:]

    def decrypt_rsa(self, keygrip: str, value: bytes) -> bytes:
        """The RSA private operation; the padding is still there."""
        # A leading zero octet keeps the number positive.
        return self._decrypt(keygrip, [b"rsa", [b"a", b"\x00" + value]])

    def _decrypt(self, keygrip: str, value: Expression) -> bytes:
        inquired = write_expression([b"enc-val", value])
        data, words = self._ask([b"RESET", b"SETKEY " + _grip(keygrip), b"PKDECRYPT"], inquired)
        if b"PADDING" in words:
            raise Declined("agent-padding")
        # The agent ends the value of an RSA key with a zero octet, that of a curve without.
        match read_expression(data.removesuffix(b"\x00")):
            case [b"value", bytes(found)]:
                return found
        raise Declined("agent-value")

    # ------------------------------------------------------------------ protocol

    def _ask(self, commands: Sequence[bytes], inquired: bytes = b"") -> tuple[bytes, dict[bytes, bytes]]:
        """The data of the last command and the status lines of all. Raises `Declined` for an error."""
        deadline = time.monotonic() + self._seconds
        data = b""
        words: dict[bytes, bytes] = {}
        try:
            if not self._greeted:
                self._answer(deadline, b"", words)
                self._greeted = True
            for command in commands:
                self._send(deadline, command)
                data = self._answer(deadline, inquired, words)
        except (OSError, ValueError) as error:
            raise AgentLost("agent-lost") from error
        return data, words

    def _answer(self, deadline: float, inquired: bytes, words: dict[bytes, bytes]) -> bytes:
        data = b""
        for _ in range(_LINES):
            keyword, _, rest = self._line(deadline).partition(b" ")
            if keyword == b"OK":
                return data
            if keyword == b"ERR":
                # A key it does not have, a user who would have to be asked: somebody else may manage.
                raise Declined("agent-refused")
            if keyword == b"D":
                data += _unescaped(rest)
            elif keyword == b"S":
                name, _, value = rest.partition(b" ")
                words[name] = value
            elif keyword == b"INQUIRE" and rest == b"CIPHERTEXT" and inquired:
                # Escaped, an octet can take three.
                for at in range(0, len(inquired), _CHUNK):
                    self._send(deadline, b"D " + _escaped(inquired[at : at + _CHUNK]))
                self._send(deadline, b"END")
            elif not keyword.startswith(b"#"):
                raise ValueError("answer")
            if len(data) > _ANSWER:
                raise ValueError("size")
        raise ValueError("lines")

    def _send(self, deadline: float, line: bytes) -> None:
        self._channel.settimeout(_left(deadline))
        self._channel.sendall(line + b"\n")

    def _line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE:
                raise ValueError("line")
            self._channel.settimeout(_left(deadline))
            piece = self._channel.recv(4096)
            if not piece:
                raise ConnectionResetError
            self._buffer += piece
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        if len(line) > _LINE:
            raise ValueError("line")
        return line


def connect_agent(path: str, user: int | None = None) -> socket.socket:
    """A connection to an agent that runs as us. Raises `OSError`."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(_CONNECT_SECONDS)
        channel.connect(path)
        # unix(7): who listens there, whatever the path was made by.
        raw = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(raw)[1] != (os.getuid() if user is None else user):
            raise PermissionError("agent of another user")
    except BaseException:
        channel.close()
        raise
    return channel


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _grip(keygrip: str) -> bytes:
    if not _KEYGRIP.match(keygrip):
        raise Declined("keygrip")
    return keygrip.encode("ascii")


def _escaped(data: bytes) -> bytes:
    return data.replace(b"%", b"%25").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def _unescaped(data: bytes) -> bytes:
    if data.count(b"%") != len(_ESCAPED.findall(data)):
        raise ValueError("escape")
    return _ESCAPED.sub(lambda match: bytes((int(match[1], 16),)), data)


def write_expression(value: Expression) -> bytes:
    """A canonical S-expression (libgcrypt manual, "S-expressions")."""
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"(" + b"".join(map(write_expression, value)) + b")"


def read_expression(data: bytes) -> Expression:
    """The one canonical S-expression that these bytes are. Raises `Declined`."""
    value, end = _expression(data, 0, 0)
    if end != len(data):
        raise Declined("agent-expression")
    return value


def _expression(data: bytes, at: int, depth: int) -> tuple[Expression, int]:
    if depth > _DEPTH:
        raise Declined("agent-expression")
    if data[at : at + 1] != b"(":
        return _atom(data, at)
    found: list[Expression] = []
    at += 1
    while data[at : at + 1] != b")":
        item, at = _expression(data, at, depth + 1)
        found.append(item)
    return found, at + 1


def _atom(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + 6)
    size = data[at:colon] if colon > at else b""
    if not size.isdigit() or (size[:1] == b"0" and size != b"0"):
        raise Declined("agent-expression")
    end = colon + 1 + int(size)
    if end > len(data):
        raise Declined("agent-expression")
    return data[colon + 1 : end], end
