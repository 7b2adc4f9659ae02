"""Bytes kept in memory under a key that lies elsewhere: uploads and sessions.

AES-256-GCM (NIST SP 800-38D) in chunks, each with its number and whether it is the last as associated
data, so that no chunk can be moved, dropped or repeated. Nothing here ever touches a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from veildesk.core.errors import SpoolUnavailable

__all__ = ["MemoryBudget", "SealedBlob", "SealedWriter"]

CHUNK: Final = 64 * 1024


class MemoryBudget:
    """How many bytes all visitors' drafts may hold together."""

    def __init__(self, limit: int) -> None:
        self._limit, self.used = limit, 0

    def reserve(self, count: int) -> None:
        """Count bytes in. Raises `SpoolUnavailable` when they do not fit."""
        if self.used + count > self._limit:
            raise SpoolUnavailable("draft-memory")
        self.used += count

    def release(self, count: int) -> None:
        """Count bytes out."""
        self.used -= count


class SealedBlob:
    """Finished ciphertext. The key is not in here."""

    def __init__(self, chunks: list[bytes], size: int, budget: MemoryBudget) -> None:
        self._chunks, self.size, self._budget = chunks, size, budget

    def open(self, key: bytes) -> bytes:
        """The plaintext. Raises `ValueError` if the key is wrong or anything was changed."""
        if not self._chunks:
            raise ValueError("sealed bytes were dropped")
        cipher, last = AESGCM(key), len(self._chunks) - 1
        try:
            return b"".join(
                cipher.decrypt(_nonce(number), chunk, _place(number, number == last))
                for number, chunk in enumerate(self._chunks)
            )
        except InvalidTag:
            raise ValueError("sealed bytes do not open") from None

    def drop(self) -> None:
        """Forget the ciphertext and give its memory back; may be called again."""
        if self._chunks:
            self._chunks = []
            self._budget.release(self.size)
            self.size = 0

    def __del__(self) -> None:
        """Whatever way a request ended, its memory is counted out."""
        self.drop()


class SealedWriter:
    """Takes plaintext piece by piece and holds at most one chunk of it."""

    def __init__(self, random_bytes: Callable[[int], bytes], budget: MemoryBudget) -> None:
        self.key = random_bytes(32)
        self.size = 0
        self._cipher, self._budget = AESGCM(self.key), budget
        self._pending = bytearray()
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Add plaintext. Raises `SpoolUnavailable` when memory for drafts is used up."""
        self._budget.reserve(len(data))
        self.size += len(data)
        self._pending += data
        while len(self._pending) > CHUNK:
            self._seal(bytes(self._pending[:CHUNK]), last=False)
            del self._pending[:CHUNK]

    def finish(self) -> SealedBlob:
        """Seal the rest; the writer is empty afterwards."""
        self._seal(bytes(self._pending), last=True)
        self._pending.clear()
        blob = SealedBlob(self._chunks, self.size, self._budget)
        self._chunks, self.size = [], 0
        return blob

    def abort(self) -> None:
        """Forget everything that was written."""
        self._budget.release(self.size)
        self._pending.clear()
        self._chunks, self.size = [], 0

    def __del__(self) -> None:
        self.abort()

    def _seal(self, data: bytes, *, last: bool) -> None:
        number = len(self._chunks)
        self._chunks.append(self._cipher.encrypt(_nonce(number), data, _place(number, last)))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _place(number: int, last: bool) -> bytes:
    return number.to_bytes(8, "big") + (b"\1" if last else b"\0")
