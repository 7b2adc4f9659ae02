"""Large parts as files of sealed chunks (the STREAM construction of Hoang, Reyhanitabar, Rogaway, Vizár).

Each file has a key of its own, derived from the ticket's data key and the file's random salt, so that
chunk counters never repeat under one key. The last chunk is marked in its nonce: a cut file does not
open. The header is bound to every chunk together with the file's place.

File: version 2, salt (16), then chunks of 65536 bytes of plaintext plus 16 bytes of tag. The plaintext
is padded and then filled to whole chunks.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from veildesk.core.errors import KeyUnusable
from veildesk.spool.sealing import Place, padded_length, subkey

__all__ = ["CHUNK", "open_chunks", "seal_chunks"]

CHUNK = 64 * 1024
_VERSION = 2
_HEADER = 17
_FRONT = 8
_TAG = 16


def _cipher(data_key: bytes, header: bytes) -> AESGCM:
    return AESGCM(subkey(data_key, b"veildesk file v1|" + header))


def _nonce(index: int, last: bool) -> bytes:
    # The key is fresh for each file, so the prefix of the STREAM nonce may be constant.
    return bytes(7) + index.to_bytes(4, "big") + bytes([last])


def seal_chunks(data_key: bytes, place: Place, data: bytes) -> Iterator[bytes]:
    """The pieces of the sealed file, in order, made one at a time."""
    header = bytes([_VERSION]) + secrets.token_bytes(16)
    cipher = _cipher(data_key, header)
    bound = header + place.bound(_VERSION)
    yield header
    # As `pad` does, but piece by piece: of a large mail that would be two more copies.
    front = len(data).to_bytes(_FRONT, "big")
    count = -(-padded_length(_FRONT + len(data)) // CHUNK)
    view = memoryview(data)
    for index in range(count):
        start = index * CHUNK - _FRONT
        piece = bytes(view[max(start, 0) : start + CHUNK])
        full = (piece if index else front + piece).ljust(CHUNK, b"\0")
        yield cipher.encrypt(_nonce(index, index == count - 1), full, bound)


def open_chunks(data_key: bytes, place: Place, sealed: bytes) -> bytes:
    """The data of a sealed file. Raises `KeyUnusable` if anything was changed, cut or moved."""
    body = len(sealed) - _HEADER
    if sealed[:1] != bytes([_VERSION]) or body <= 0 or body % (CHUNK + _TAG):
        raise KeyUnusable("sealed file damaged or of an unknown version")
    header = sealed[:_HEADER]
    cipher = _cipher(data_key, header)
    bound = header + place.bound(_VERSION)
    count = body // (CHUNK + _TAG)
    view = memoryview(sealed)
    opened = io.BytesIO()  # Gives its bytes away without a copy.
    left = 0
    try:
        for index in range(count):
            start = _HEADER + index * (CHUNK + _TAG)
            chunk = view[start : start + CHUNK + _TAG]
            piece = cipher.decrypt(_nonce(index, index == count - 1), chunk, bound)
            if index == 0:
                left, piece = int.from_bytes(piece[:_FRONT], "big"), piece[_FRONT:]
            left -= opened.write(piece[:left])
    except InvalidTag:
        raise KeyUnusable("sealed file does not open") from None
    return opened.getvalue()
