"""Visitors' sessions: in memory only, sealed under the id that only the visitor's cookie holds.

The store knows a hash of the id and ciphertext; a copy of its memory without cookies opens nothing.
Sessions end after a time without requests and after a total time, and their number and size are bounded:
the one that was idle longest gives way. A visitor who only reads pages has no session here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from veildesk.portal.sealed import SealedBlob

__all__ = ["Session", "SessionStore"]


@dataclass(slots=True)
class Session:
    """One visitor's state for the length of a request.

    `data` is JSON values; `blobs` are sealed uploads by name, whose keys lie in `data`.
    """

    visitor: bytes = field(repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    blobs: dict[str, SealedBlob] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class _Record:
    sealed: bytes
    blobs: dict[str, SealedBlob]
    began: float
    touched: float


class SessionStore:
    """Bounded store. Times are monotonic seconds, `idle` and `life` as in `PortalSettings`.

    `limit` is a number of sessions, `memory` bytes of all of them together, uploads not counted.
    """

    def __init__(
        self,
        random_bytes: Callable[[int], bytes],
        *,
        limit: int,
        idle: float,
        life: float,
        memory: int = 128 * 1024 * 1024,
    ) -> None:
        self._random, self._limit, self._idle, self._life = random_bytes, limit, idle, life
        self._memory, self.used = memory, 0
        self._records: OrderedDict[bytes, _Record] = OrderedDict()
        self._turns: dict[bytes, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def load(self, visitor: bytes, now: float) -> Session:
        """The visitor's session, empty if there is none (any more)."""
        self._expire(now)
        name = _name(visitor)
        record = self._records.get(name)
        if record is None:
            return Session(visitor)
        try:
            plain = AESGCM(_key(visitor)).decrypt(record.sealed[:12], record.sealed[12:], name)
        except InvalidTag:
            return Session(visitor)
        record.touched = now
        self._records.move_to_end(name)
        return Session(visitor, json.loads(plain.decode("utf-8", "surrogatepass")), dict(record.blobs))

    def save(self, session: Session, now: float) -> None:
        """Keep the session; an empty one is dropped. Its total time goes on from its first save."""
        if not session.data:
            self.drop(session.visitor)
            return
        name = _name(session.visitor)
        nonce = self._random(12)
        plain = json.dumps(session.data, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
        sealed = nonce + AESGCM(_key(session.visitor)).encrypt(nonce, plain, name)
        old = self._records.pop(name, None)
        if old is not None:
            self.used -= len(old.sealed)
            for key, blob in old.blobs.items():
                if session.blobs.get(key) is not blob:
                    blob.drop()
        self._records[name] = _Record(sealed, dict(session.blobs), now if old is None else old.began, now)
        self.used += len(sealed)
        while len(self._records) > self._limit or (self.used > self._memory and len(self._records) > 1):
            self._forget(next(iter(self._records)))

    def take(self, visitor: bytes, now: float) -> Session:
        """The visitor's session, which is no longer kept here; its blobs go along."""
        session = self.load(visitor, now)
        record = self._records.pop(_name(visitor), None)
        self.used -= 0 if record is None else len(record.sealed)
        return session

    def drop(self, visitor: bytes) -> None:
        """Forget a session."""
        self._forget(_name(visitor))

    @asynccontextmanager
    async def turn(self, visitor: bytes) -> AsyncIterator[None]:
        """Let one request of a visitor at a time change the session, however fast they click."""
        name = _name(visitor)
        lock, waiting = self._turns.get(name, (asyncio.Lock(), 0))
        self._turns[name] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns[name]
            if waiting == 1:
                del self._turns[name]
            else:
                self._turns[name] = (lock, waiting - 1)

    def _expire(self, now: float) -> None:
        """Forget what is over: the order is by last use, total times are checked for all."""
        over = [
            name
            for name, record in self._records.items()
            if now - record.touched > self._idle or now - record.began > self._life
        ]
        for name in over:
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        record = self._records.pop(name, None)
        if record is not None:
            self.used -= len(record.sealed)
            for blob in record.blobs.values():
                blob.drop()


def _name(visitor: bytes) -> bytes:
    return hashlib.sha256(b"session name\0" + visitor).digest()


def _key(visitor: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"veildesk portal session v1").derive(visitor)
