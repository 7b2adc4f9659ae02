"""Two copies of one certificate: nothing that either says of itself is lost."""

from __future__ import annotations

import pytest

from testbed.openpgp_lab import packet
from veildesk.core.errors import KeyUnusable
from veildesk.openpgp.certificate_merge import merged

KEY = packet(6, b"\x04" + bytes(4) + b"\x16" + b"key")
NAME, OTHER_NAME = packet(13, b"Rosa <rosa@example.org>"), packet(13, b"Rosa <rosa@home.example>")
SUBKEY, NEW_SUBKEY = packet(14, b"\x04" + bytes(4) + b"\x12old"), packet(14, b"\x04" + bytes(4) + b"\x12new")


def signature(kind: int, mark: bytes) -> bytes:
    return packet(2, bytes((4, kind)) + mark)


CERTIFIED, LATER = signature(0x13, b"first"), signature(0x13, b"later")
BOUND, WITHDRAWN = signature(0x18, b"bound"), signature(0x28, b"withdrawn")
REVOKED = signature(0x20, b"revoked")
OLD = KEY + NAME + CERTIFIED + SUBKEY + BOUND


@pytest.mark.parametrize(
    ("kept", "fresh", "together"),
    [
        (OLD, OLD, OLD),
        (OLD, KEY + NAME + CERTIFIED, OLD),
        (OLD, KEY + NAME + LATER, KEY + NAME + CERTIFIED + LATER + SUBKEY + BOUND),
        (KEY + REVOKED + NAME + CERTIFIED, KEY + NAME + LATER, KEY + REVOKED + NAME + CERTIFIED + LATER),
        (OLD, KEY + REVOKED, KEY + REVOKED + NAME + CERTIFIED + SUBKEY + BOUND),
        (OLD + WITHDRAWN, OLD, OLD + WITHDRAWN),
        (OLD, KEY + OTHER_NAME + LATER, KEY + NAME + CERTIFIED + OTHER_NAME + LATER + SUBKEY + BOUND),
        (OLD, KEY + NAME + NEW_SUBKEY + BOUND, OLD + NEW_SUBKEY + BOUND),
    ],
)
def test_copies_are_put_together(kept: bytes, fresh: bytes, together: bytes) -> None:
    assert merged(kept, fresh) == together


def test_another_key_is_no_copy() -> None:
    with pytest.raises(KeyUnusable):
        merged(OLD, packet(6, b"\x04" + bytes(4) + b"\x16" + b"another") + NAME + CERTIFIED)


def test_what_strangers_add_does_not_grow_without_end_and_hides_no_revocation() -> None:
    flood = b"".join(signature(0x10, bytes((number,)) * 60_000) for number in range(3))
    assert merged(OLD, KEY + REVOKED + NAME + flood) == KEY + REVOKED + NAME + flood
    with pytest.raises(KeyUnusable):
        merged(KEY + REVOKED + NAME, KEY + NAME + flood)
    # What is large already is left as it is.
    assert merged(KEY + NAME + flood, KEY + NAME) == KEY + NAME + flood
