"""What an engine is handed: binary packets, one armor block, or clear-signed text, and nothing around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from veildesk.core.errors import Unparsable
from veildesk.openpgp.armor import Block, find_blocks, outside
from veildesk.openpgp.packets import Kind, Shape, classify, signature_packets

__all__ = ["MessageWire", "read_wire"]


@dataclass(frozen=True, slots=True)
class MessageWire:
    """`data` are binary packets, or the text of a clear-signed message, whose block is `clear`."""

    data: bytes = field(repr=False)
    shape: Shape
    clear: Block | None = None


def read_wire(data: bytes) -> MessageWire:
    """The one message in these bytes. Raises `Unparsable`, `NotSoundCiphertext` or `LimitExceeded`."""
    if not data:
        raise Unparsable("empty")
    if data[0] & 0x80:
        return MessageWire(data, classify(data))
    blocks = find_blocks(data)
    if len(blocks) != 1 or outside(data, blocks).strip():
        raise Unparsable("armor-not-one-block")
    block = blocks[0]
    if block.label == "MESSAGE":
        return MessageWire(block.data, classify(block.data))
    if block.label != "SIGNED MESSAGE" or not (found := signature_packets(block.data)):
        raise Unparsable("armor-label")
    return MessageWire(block.source, Shape(Kind.SIGNED, signatures=len(found)), block)
