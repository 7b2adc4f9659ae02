"""What a message holds, taken apart here and not in gpg: bounded inflate, then an exact structure.

Compression is undone with a limit on what comes out, so that a bomb costs no more than that. What
remains must be one literal packet, or one literal packet in its signatures; nothing beside it, since
two programs could then show two texts (RFC 9580 § 5.6, § 5.9 and § 10.3).
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterable

from veildesk.core.errors import LimitExceeded, Unparsable
from veildesk.openpgp.packets import LITERAL, Kind, Packet, Shape, classify, split_packets, whole_body

__all__ = ["literal", "literal_data", "uncompressed"]

_MAX_LAYERS = 4
_CHUNK = 1024 * 1024
# Up to this size any ratio is fine; beyond it, more than a thousandfold growth is a bomb.
_FREE_GROWTH = 4 * 1024 * 1024
_RATIO = 1000
# RNP leaves a few bytes of its buffer behind a finished deflate stream; no reader shows them.
_SLACK = 32
# zlib's wbits for ZIP (raw deflate) and ZLIB.
_WINDOWS = {b"\x01": -15, b"\x02": 15}


def uncompressed(data: bytes, limit: int) -> tuple[bytes, Shape]:
    """Packets without compression around them, and what they are: `LITERAL` or `SIGNED`.

    Raises `Unparsable` for any other structure, `LimitExceeded` beyond `limit` bytes.
    """
    limit = min(limit, _FREE_GROWTH + _RATIO * len(data))
    for _ in range(_MAX_LAYERS + 1):
        shape = classify(data)
        if shape.kind in (Kind.LITERAL, Kind.SIGNED):
            return data, shape
        if shape.kind is not Kind.COMPRESSED:
            raise Unparsable("message-content")
        data = _inflate(data, limit)
    raise LimitExceeded("compression-layers")


def _inflate(data: bytes, limit: int) -> bytes:
    (packet,) = split_packets(data)
    body = whole_body(packet)
    if body[:1] == b"\x00":
        return body[1:]
    try:
        if body[:1] == b"\x03":
            return _bunzip2(body[1:], limit)
        return _inflate_zlib(body[1:], limit, _WINDOWS[body[:1]])
    except KeyError as error:
        raise Unparsable("compression-algorithm") from error
    except (zlib.error, OSError, EOFError) as error:
        raise Unparsable("compressed-data") from error


def _inflate_zlib(data: bytes, limit: int, window: int) -> bytes:
    stream = zlib.decompressobj(wbits=window)
    kept = bytearray()
    while not stream.eof:
        chunk = stream.decompress(data, _CHUNK)
        _keep(kept, chunk, limit)
        data = stream.unconsumed_tail
        if not chunk and not data and not stream.eof:
            raise Unparsable("compressed-truncated")
    if len(stream.unused_data) > _SLACK:
        raise Unparsable("compressed-trailing")
    return bytes(kept)


def _bunzip2(data: bytes, limit: int) -> bytes:
    stream = bz2.BZ2Decompressor()
    kept = bytearray()
    while not stream.eof:
        chunk = stream.decompress(data, _CHUNK)
        _keep(kept, chunk, limit)
        data = b""
        if not chunk and stream.needs_input:
            raise Unparsable("compressed-truncated")
    if stream.unused_data:
        raise Unparsable("compressed-trailing")
    return bytes(kept)


def _keep(kept: bytearray, chunk: bytes, limit: int) -> None:
    if len(kept) + len(chunk) > limit:
        raise LimitExceeded("plaintext-size")
    kept += chunk


def literal_data(data: bytes) -> bytes:
    """The content of the one literal packet in `data`, byte for byte. Raises `Unparsable`."""
    return literal(split_packets(data))[1]


def literal(packets: Iterable[Packet]) -> tuple[bytes, bytes]:
    """Format octet and content of the one literal packet among `packets`. Raises `Unparsable`."""
    bodies = [whole_body(one) for one in packets if one.tag == LITERAL]
    if len(bodies) != 1 or len(bodies[0]) < 2 or bodies[0][:1] not in (b"b", b"t", b"u", b"m"):
        raise Unparsable("literal")
    start = 2 + bodies[0][1] + 4
    if len(bodies[0]) < start:
        raise Unparsable("literal")
    return bodies[0][:1], bodies[0][start:]
