"""Frames: a kind, a count, the length of each field, and the fields. Nothing in it nests.

Big-endian: kind (1 byte), count (2), count times a length (4), then the fields' bytes. What a frame may
hold is known from its kind before any of it is read, and room for it is taken before its fields are read.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BadFrame", "Bounds", "Frame", "pack", "read_frame"]

_HEAD: Final = struct.Struct(">BH")
_LENGTH: Final = 4


class BadFrame(ValueError):
    """The other side's bytes are not in the agreed form. The text is a fixed word, never a value."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most so many fields and so many bytes in all of them together."""

    fields: int
    size: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of either direction."""

    kind: int
    fields: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Bytes in all fields."""
        return sum(map(len, self.fields))


def pack(frame: Frame) -> list[bytes]:
    """The bytes of a frame, in pieces, so that large fields are not copied."""
    lengths = b"".join(len(one).to_bytes(_LENGTH, "big") for one in frame.fields)
    return [_HEAD.pack(frame.kind, len(frame.fields)) + lengths, *frame.fields]


async def read_frame(
    reader: asyncio.StreamReader,
    bounds: Callable[[int], Bounds | None],
    *,
    idle: float,
    seconds: float,
    room: Callable[[int], Awaitable[None]] | None = None,
) -> Frame | None:
    """The next frame, None when the other side ended between two.

    `bounds` gives what a kind may hold, None for a kind that is not known here. Waits `idle` seconds for the
    first byte and `seconds` for the rest; `room(size)` is awaited in between. Raises `BadFrame`,
    `TimeoutError`, or `asyncio.IncompleteReadError` when it breaks off in the middle.
    """
    async with asyncio.timeout(idle):
        first = await reader.read(1)
    if not first:
        return None
    async with asyncio.timeout(seconds):
        kind, count = _HEAD.unpack(first + await reader.readexactly(_HEAD.size - 1))
        allowed = bounds(kind)
        if allowed is None:
            raise BadFrame("kind")
        if count > allowed.fields:
            raise BadFrame("count")
        lengths = _lengths(await reader.readexactly(count * _LENGTH))
        if sum(lengths) > allowed.size:
            raise BadFrame("size")
    if room is not None:
        await room(sum(lengths))
    async with asyncio.timeout(seconds):
        return Frame(kind, tuple([await reader.readexactly(length) for length in lengths]))


def _lengths(data: bytes) -> Sequence[int]:
    return [int.from_bytes(data[at : at + _LENGTH], "big") for at in range(0, len(data), _LENGTH)]
