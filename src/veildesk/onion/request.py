"""What is asked of tor: the ADD_ONION command, written by hand and checked word by word.

stem's own method knows neither proof of work nor several client keys. tor splits the command at
spaces, so that nothing may get into it that could be read as another word.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from veildesk.core.errors import ConfigInvalid
from veildesk.onion.key import OnionKey

__all__ = ["OnionRequest", "Target"]

Target = tuple[int, str]

_UNIX = re.compile(r"unix:/[A-Za-z0-9._/@+-]+")
_LOOPBACK = re.compile(r"127\.0\.0\.1:([0-9]{1,5})")
_PREFIX = "descriptor:x25519:"


@dataclass(frozen=True, slots=True)
class OnionRequest:
    """The service as it shall be. Raises `ConfigInvalid` for what tor must not be asked.

    `targets` are (port of the onion, "unix:/absolute/path" or "127.0.0.1:port"). `max_streams` bounds
    the streams of one circuit; a circuit that wants more is closed; 0 is no bound. `client_keys` are
    X25519 public keys in base32, bare or as in tor's `authorized_clients` files; with any, nobody
    else can connect.
    """

    targets: tuple[Target, ...]
    proof_of_work: bool = True
    max_streams: int = 64
    client_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.targets or not all(_sound(port, where) for port, where in self.targets):
            raise ConfigInvalid("onion-target")
        if len({port for port, _ in self.targets}) != len(self.targets):
            raise ConfigInvalid("onion-target-twice")
        if not 0 <= self.max_streams <= 65535:
            raise ConfigInvalid("onion-max-streams")
        object.__setattr__(self, "client_keys", tuple(_client_key(key) for key in self.client_keys))

    def command(self, key: OnionKey) -> str:
        """The command line. Secret: never log it, never put it into an exception."""
        flags = ["DiscardPK"]
        if self.client_keys:
            flags.append("V3Auth")
        if self.max_streams:
            flags.append("MaxStreamsCloseCircuit")
        words = ["ADD_ONION", "ED25519-V3:" + base64.b64encode(key.expanded).decode("ascii")]
        words.append("Flags=" + ",".join(flags))
        if self.max_streams:
            words.append(f"MaxStreams={self.max_streams}")
        if self.proof_of_work:
            words.append("PoWDefensesEnabled=1")
        words += [f"Port={port},{where}" for port, where in self.targets]
        words += [f"ClientAuthV3={key}" for key in self.client_keys]
        return " ".join(words)


def _sound(port: int, where: str) -> bool:
    """Only sockets of this machine; a path without spaces, quotes or anything else special."""
    if not 1 <= port <= 65535:
        return False
    if _UNIX.fullmatch(where):
        return "/../" not in where and not where.endswith("/")
    loopback = _LOOPBACK.fullmatch(where)
    return loopback is not None and 1 <= int(loopback[1]) <= 65535


def _client_key(text: str) -> str:
    bare = text.strip().removeprefix(_PREFIX).upper()
    try:
        raw = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except binascii.Error:
        raise ConfigInvalid("onion-client-key") from None
    if len(raw) != 32 or raw == bytes(32):
        raise ConfigInvalid("onion-client-key")
    return base64.b32encode(raw).decode("ascii").rstrip("=")
