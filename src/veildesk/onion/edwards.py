"""Multiples of the Ed25519 base point (RFC 8032 § 5.1), for the address of an expanded key.

tor stores the hashed, clamped scalar and not the seed, so that no library call that starts from a seed
gives the public key back. Not constant-time: it runs once at start on the key's own machine, never on
anything a stranger chooses or can time.
"""

from __future__ import annotations

__all__ = ["public_point"]

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P

# Extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z: RFC 8032 § 5.1.4.
_Point = tuple[int, int, int, int]

_NEUTRAL: _Point = (0, 1, 1, 0)


def _add(left: _Point, right: _Point) -> _Point:
    a = (left[1] - left[0]) * (right[1] - right[0]) % _P
    b = (left[1] + left[0]) * (right[1] + right[0]) % _P
    c = 2 * left[3] * right[3] * _D % _P
    d = 2 * left[2] * right[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _base_point() -> _Point:
    """The point with y = 4/5 and even x (RFC 8032 § 5.1)."""
    y = 4 * pow(5, -1, _P) % _P
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if x & 1:
        x = _P - x
    return x, y, 1, x * y % _P


def public_point(scalar: bytes) -> bytes:
    """The encoded multiple of the base point (32 bytes) for a little-endian scalar of 32 bytes."""
    factor = int.from_bytes(scalar, "little")
    point, power = _NEUTRAL, _base_point()
    while factor:
        if factor & 1:
            point = _add(point, power)
        power = _add(power, power)
        factor >>= 1
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
