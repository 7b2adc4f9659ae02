"""Numbers masks within one ticket, and keeps the numbering as bytes between messages.

A value is remembered as a keyed digest only. The key comes from the caller, who draws it once per
ticket; masks themselves are derived from the order of appearance and from nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from veildesk.core.errors import ConfigInvalid
from veildesk.core.finding import MaskNumbering, in_order
from veildesk.redact.masks import mask_word
from veildesk.redact.values import canonical

__all__ = ["decode", "encode", "mask_for"]

_VERSION = 1


def mask_for(value: str, type_: str, numbering: MaskNumbering) -> str:
    """The mask of a value; a new one gets the next number of its kind."""
    word = mask_word(type_)
    text = f"{word}\0{canonical(value, type_)}".encode("utf-8", "surrogatepass")
    digest = hmac.new(numbering.key, text, hashlib.sha256).hexdigest()[:32]
    known = numbering.seen.setdefault(word, {})
    return f"[{word}-{known.setdefault(digest, len(known) + 1)}]"


def encode(numbering: MaskNumbering) -> bytes:
    """JSON bytes with a version; to be kept sealed."""
    seen = {word: list(digests) for word, digests in numbering.seen.items()}
    data = {"v": _VERSION, "key": numbering.key.hex(), "seen": seen}
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


def decode(data: bytes) -> MaskNumbering:
    """The numbering that `encode` wrote. Raises `ConfigInvalid` if it is something else."""
    try:
        value = json.loads(data)
        if value["v"] != _VERSION:
            raise ValueError
        seen = {str(word): in_order(digests) for word, digests in value["seen"].items()}
        return MaskNumbering(bytes.fromhex(value["key"]), seen)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigInvalid("mask numbering is not readable") from None
