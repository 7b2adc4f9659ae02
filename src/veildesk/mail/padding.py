"""Sizes that tell little: Padmé buckets with a floor.

Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
2019) rounds a length up so that it leaks O(log log n) bits, at most 12 % overhead. The padding is
blank lines after the last MIME boundary, where every reader ignores them (RFC 2046 § 5.1.1).
"""

from __future__ import annotations

__all__ = ["FLOOR", "pad", "padded_size"]

FLOOR = 4096
_LINE = b" " * 70 + b"\r\n"


def padded_size(size: int) -> int:
    """The bucket for a length in bytes: never smaller, at least `FLOOR`."""
    if size <= FLOOR:
        return FLOOR
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1
    return (size + mask) & ~mask


def pad(entity: bytes) -> bytes:
    """The entity, a multipart ending with its closing boundary, filled to its bucket."""
    missing = padded_size(len(entity)) - len(entity)
    whole, rest = divmod(missing, len(_LINE))
    if rest == 1 and whole:
        whole, rest = whole - 1, rest + len(_LINE)
    tail = b"" if rest == 0 else b" " * (rest - 2) + b"\r\n" if rest > 1 else b" "
    return entity + _LINE * whole + tail
