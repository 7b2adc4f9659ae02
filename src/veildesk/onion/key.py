"""The onion service's key: tor's own file format, and the address computed without tor.

A key file is 96 bytes, as tor writes `hs_ed25519_secret_key`: a 32-byte header and the expanded
Ed25519 key. It can be put into a HiddenServiceDir and the other way round. Whoever has it is the
service and there is no revocation, so it is created once, readable by its owner alone, and never
overwritten by anything here.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from veildesk.core.errors import OnionKeyUnusable
from veildesk.onion.edwards import public_point

__all__ = [
    "OnionKey",
    "address_of",
    "create_key",
    "load_key",
    "load_or_create_key",
    "public_key_of",
    "restore_key",
]

_HEADER = b"== ed25519v1-secret: type0 ==\0\0\0"
_VERSION = b"\x03"
_SUFFIX = ".onion"


def address_of(public_key: bytes) -> str:
    """The v3 address with ".onion" of a 32-byte public key (tor's rend-spec-v3, section 6)."""
    body = public_key + _checksum(public_key) + _VERSION
    return base64.b32encode(body).decode("ascii").lower() + _SUFFIX


def public_key_of(address: str) -> bytes:
    """The 32-byte public key in a v3 address. Raises `ValueError` if it is not a whole, intact one."""
    label = address.lower().removesuffix(_SUFFIX)
    if len(label) != 56 or not label.isascii():
        raise ValueError("not a v3 onion address")
    try:
        body = base64.b32decode(label.upper())
    except binascii.Error:
        raise ValueError("not a v3 onion address") from None
    public_key, checksum, version = body[:32], body[32:34], body[34:]
    if version != _VERSION or checksum != _checksum(public_key):
        raise ValueError("the checksum of the onion address is wrong")
    return public_key


def _checksum(public_key: bytes) -> bytes:
    return hashlib.sha3_256(b".onion checksum" + public_key + _VERSION).digest()[:2]


@dataclass(frozen=True, slots=True)
class OnionKey:
    """An expanded Ed25519 key (64 bytes, clamped scalar and hash prefix) and its address."""

    expanded: bytes = field(repr=False)
    address: str = field(init=False)

    def __post_init__(self) -> None:
        scalar = self.expanded[:32]
        if len(self.expanded) != 64 or scalar[0] & 7 or scalar[31] & 0xC0 != 0x40:
            raise OnionKeyUnusable("onion-key-malformed")
        object.__setattr__(self, "address", address_of(public_point(scalar)))

    def encode(self) -> bytes:
        """The 96 bytes of a key file; secret."""
        return _HEADER + self.expanded

    @classmethod
    def decode(cls, data: bytes) -> OnionKey:
        """Read the bytes of a key file. Raises `OnionKeyUnusable`."""
        if len(data) != 96 or not data.startswith(_HEADER):
            raise OnionKeyUnusable("onion-key-malformed")
        return cls(data[32:])

    @classmethod
    def generate(cls) -> OnionKey:
        """A new key: a random seed, hashed and clamped (RFC 8032 § 5.1.5)."""
        expanded = bytearray(hashlib.sha512(secrets.token_bytes(32)).digest())
        expanded[0] &= 0xF8
        expanded[31] = expanded[31] & 0x3F | 0x40
        return cls(bytes(expanded))


def load_key(path: Path) -> OnionKey:
    """Read a key file. Raises `OnionKeyUnusable` if it is missing, malformed or open to others.

    Its group may read it (service managers hand credentials over like that), nobody else may.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise OnionKeyUnusable("onion-key-missing") from None
    except OSError:
        raise OnionKeyUnusable("onion-key-unreadable") from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o037:
            raise OnionKeyUnusable("onion-key-permissions")
        return OnionKey.decode(os.read(descriptor, 97))
    finally:
        os.close(descriptor)


def create_key(path: Path) -> OnionKey:
    """Make a new key file, mode 0600, on disk before this returns.

    Raises `FileExistsError` if there is anything at `path` already.
    """
    key = OnionKey.generate()
    _install(path, key)
    return key


def load_or_create_key(path: Path) -> OnionKey:
    """The key at `path`, made at the first call. Two processes starting together get the same key."""
    with contextlib.suppress(FileExistsError):
        if not path.exists():
            return create_key(path)
    return load_key(path)


def restore_key(backup: bytes, path: Path) -> OnionKey:
    """Put the bytes of a backed-up key file in place.

    Raises `OnionKeyUnusable` for anything else, and `FileExistsError` rather than replacing a key.
    """
    key = OnionKey.decode(backup)
    _install(path, key)
    return key


def _install(path: Path, key: OnionKey) -> None:
    """Write beside, sync, then link into place: there is a whole file or none, and never two owners."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(key.encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
