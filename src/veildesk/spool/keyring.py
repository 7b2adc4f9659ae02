"""The key ring: random epoch keys that wrap the tickets' data keys, kept outside the database.

The database, its log and their backups hold only wrapped keys. Once an epoch key is gone from the ring,
what was wrapped under it alone can never be opened again, wherever copies lie. The file is small, mode
0600, replaced atomically, and checked by a digest, so that damage is noticed before anything is sealed
under a wrong key. With a root credential the file itself is sealed (`ring_root`).

File: b"VDKR", version 1, root (32), count (1), count x (epoch: 4 big-endian, key: 32), SHA-256 of all
before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from veildesk.core.errors import KeyUnusable, RingOpen, RingSealed, RingUnusable, SpoolUnavailable
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.durable import write_file
from veildesk.spool.ring_root import CREDENTIAL, RingRoot, root_credential
from veildesk.spool.ring_root import MAGIC as SEALED
from veildesk.spool.sealing import subkey

__all__ = ["KeyRing"]

_RACES = 3
_PATIENCE = 5.0
_MAGIC = b"VDKR\x01"
_EPOCH = struct.Struct(">I32s")


@dataclass(frozen=True, slots=True)
class _Content:
    root: bytes = field(repr=False)
    epochs: Mapping[int, bytes] = field(repr=False)

    def encode(self) -> bytes:
        body = _MAGIC + self.root + bytes([len(self.epochs)])
        for number in sorted(self.epochs):
            body += _EPOCH.pack(number, self.epochs[number])
        return body + hashlib.sha256(body).digest()

    @classmethod
    def decode(cls, data: bytes) -> _Content:
        body, digest = data[:-32], data[-32:]
        fixed = len(_MAGIC) + 33
        if not data.startswith(_MAGIC) or len(body) < fixed or hashlib.sha256(body).digest() != digest:
            raise RingUnusable("key ring damaged or of an unknown version")
        if len(body) != fixed + body[fixed - 1] * _EPOCH.size or body[fixed - 1] == 0:
            raise RingUnusable("key ring damaged or of an unknown version")
        epochs = dict(_EPOCH.iter_unpack(body[fixed:]))
        return cls(body[len(_MAGIC) : len(_MAGIC) + 32], epochs)


class KeyRing:
    """Epoch keys and the root of the derived secrets, read from one file.

    Create it once with `create`, then `load`. Not for use from several threads at once: the spool
    touches epoch keys in its writer thread only; `derive_secret` may be called from anywhere.
    """

    def __init__(self, path: Path, content: _Content, root: RingRoot | None = None) -> None:
        self._path = path
        self._content = content
        self._root = root

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new ring with one epoch. Raises `KeyUnusable` if the file exists already."""
        if path.exists():
            raise KeyUnusable("key ring exists already")
        content = _Content(secrets.token_bytes(32), {1: secrets.token_bytes(32)})
        ring = cls(path, content)
        ring._store(content)
        return ring

    @classmethod
    def load(cls, path: Path, credential: bytes | None = None) -> Self:
        """Read a ring. `credential` is its root; without it that of the service manager, if there is one.

        Raises `KeyUnusable` if it is missing, readable by others, damaged, or sealed under another root.
        """
        found = root_credential() if credential is None else credential
        root = None if found is None else RingRoot(path, found)
        return cls(path, cls._read(path, root), root)

    @classmethod
    def _read(cls, path: Path, root: RingRoot | None) -> _Content:
        for _ in range(_RACES if root is not None else 0):
            # Ring and half are two files: another process may be between them.
            with contextlib.suppress(KeyUnusable):
                return cls._read_once(path, root)
            time.sleep(0.01)
        return cls._read_once(path, root)

    @staticmethod
    def _read_once(path: Path, root: RingRoot | None) -> _Content:
        try:
            with path.open("rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                data = stream.read()
        except OSError:
            raise RingUnusable("key ring cannot be read") from None
        if mode & 0o077:
            raise RingOpen("key ring is accessible to other users")
        if data.startswith(SEALED):
            if root is None:
                raise RingSealed(f"the key ring is sealed: the credential {CREDENTIAL} is needed")
            data = root.open(data)
        return _Content.decode(data)

    def _store(self, content: _Content) -> None:
        """Replace the file; under a root credential with a fresh half, so that older copies stay shut."""
        if self._root is None:
            write_file(self._path, [content.encode()], _ring_point)
        else:
            half = self._root.begin()
            write_file(self._path, [self._root.seal(half, content.encode())], _ring_point)
            self._root.finish(half)
        self._content = content

    def bind(self) -> bool:
        """Seal a ring that lies in clear, if there is a root credential; whether that was done now."""
        if self._root is None or self._path.read_bytes().startswith(SEALED):
            return False
        with self.exclusive():
            self._store(self._content)
        return True

    def plain(self) -> bytes:
        """The ring without a root, for the newest backup of the keys."""
        return self._content.encode()

    @property
    def intake_secret(self) -> bytes:
        """What a process that only accepts is given: it knows mail that came before, and opens nothing."""
        return self.derive_secret(b"message-markers")

    @property
    def path(self) -> Path:
        """Where the ring lies."""
        return self._path

    @property
    def newest(self) -> int:
        """The epoch that new data keys are wrapped under."""
        return max(self._content.epochs)

    @property
    def epochs(self) -> tuple[int, ...]:
        """All epochs whose key is still there, oldest first."""
        return tuple(sorted(self._content.epochs))

    def epoch_key(self, epoch: int) -> bytes:
        """The 32 bytes of an epoch; reads the file again if another process rotated.

        Raises `KeyUnusable` for an epoch that is no longer there, `SpoolUnavailable` for one that is not
        there yet: another gateway rotated, and its ring has not come to this host.
        """
        if epoch not in self._content.epochs:
            self.reload()
        if epoch > self.newest:
            raise SpoolUnavailable("ring-outdated")
        key = self._content.epochs.get(epoch)
        if key is None:
            raise KeyUnusable("no such epoch in the key ring")
        return key

    def reload(self) -> None:
        """Read the file again."""
        self._content = self._read(self._path, self._root)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from changing the ring; reads the newest content first.

        Raises `SpoolUnavailable` when one has it for long: a backup that hangs must not hold up the store.
        """
        handle = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(handle)
            self.reload()
            yield
        finally:
            os.close(handle)

    def extend(self) -> int:
        """Add a fresh random epoch, durably; returns its number."""
        number = self.newest + 1
        self._store(_Content(self._content.root, {**self._content.epochs, number: secrets.token_bytes(32)}))
        return number

    def shorten(self, oldest: int) -> None:
        """Destroy all epochs before `oldest`. Only after every data key was wrapped anew."""
        kept = {number: key for number, key in self._content.epochs.items() if number >= oldest}
        self._store(_Content(self._content.root, kept))

    def epoch_secret(self, epoch: int, label: bytes) -> bytes:
        """32 bytes for one purpose that end with an epoch. Raises as `epoch_key`.

        Epoch 0 stands for the ring's whole life: what was sealed before secrets ended with epochs.
        """
        if epoch == 0:
            return self.derive_secret(label)
        return subkey(self.epoch_key(epoch), b"veildesk epoch secret v1|" + label)

    def derive_secret(self, label: bytes) -> bytes:
        """32 bytes for one purpose (HKDF-SHA-256, RFC 5869); the same for the ring's whole life."""
        info = b"veildesk secret v1|" + label
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self._content.root)


def _take(handle: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise SpoolUnavailable("ring-in-use") from None
            time.sleep(0.02)


def _ring_point(name: str) -> None:
    if name in ("file.synced", "file.renamed"):
        crashpoint("ring." + name.removeprefix("file."))
