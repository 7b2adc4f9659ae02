"""Telling by a descriptor's outer layer which tor published it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.onion.another import AnotherWatch, Signed, another_published, signed_by

BLINDED, OURS, THEIRS = b"b" * 32, b"o" * 32, b"t" * 32


def descriptor(signing: bytes, blinded: bytes = BLINDED, *, version: int = 1, before: bytes = b"") -> str:
    extensions = [before] if before else []
    extensions.append(b"\x00\x20\x04\x00" + blinded)
    head = bytes([version, 8]) + b"\0\0\0\x01" + b"\x01" + signing + bytes([len(extensions)])
    block = base64.b64encode(head + b"".join(extensions) + b"s" * 64).decode()
    lines = "\n".join(block[at : at + 64] for at in range(0, len(block), 64))
    return (
        "hs-descriptor 3\ndescriptor-lifetime 180\ndescriptor-signing-key-cert\n"
        f"-----BEGIN ED25519 CERT-----\n{lines}\n-----END ED25519 CERT-----\n"
        "revision-counter 42\nsuperencrypted\n-----BEGIN MESSAGE-----\nAAAA\n-----END MESSAGE-----\n"
    )


def test_the_keys_of_a_descriptor() -> None:
    assert signed_by(descriptor(OURS)) == Signed(BLINDED, OURS)
    assert signed_by(descriptor(OURS).replace("\n", "\r\n")) == Signed(BLINDED, OURS)
    assert signed_by(descriptor(OURS, before=b"\0\x02\x09\x00xx")) == Signed(BLINDED, OURS)


def test_ours_anothers_and_what_cannot_be_told() -> None:
    assert another_published(descriptor(OURS), descriptor(OURS)) is False
    assert another_published(descriptor(OURS), descriptor(THEIRS)) is True
    assert another_published(descriptor(OURS), descriptor(THEIRS, b"n" * 32)) is None
    assert another_published(None, descriptor(OURS)) is None
    assert another_published(descriptor(OURS), "") is None


@pytest.mark.parametrize(
    "text", [None, "", "hs-descriptor 3", descriptor(OURS, version=2), descriptor(OURS[:8]).replace("A", "!")]
)
def test_what_is_no_descriptor_has_no_keys(text: str | None) -> None:
    assert signed_by(text) is None


@given(st.binary(max_size=200))
def test_no_certificate_breaks_the_reader(data: bytes) -> None:
    block = base64.b64encode(b"\x01" + data).decode()
    whole = (
        f"descriptor-signing-key-cert\n-----BEGIN ED25519 CERT-----\n{block}\n-----END ED25519 CERT-----\n"
    )
    assert signed_by(whole) is None or isinstance(signed_by(whole), Signed)


class Tor:
    """What our tor says it published and what it fetched."""

    def __init__(self) -> None:
        self.own = self.fetched = descriptor(OURS)
        self.asked = 0

    async def info(self, key: str) -> str:
        return self.own if key.startswith("hs/service/") else self.fetched

    async def send(self, command: str) -> None:
        assert command == "HSFETCH label"
        self.asked += 1


async def look(watch: AnotherWatch, tor: Tor, now: float) -> bool:
    before = tor.asked
    await watch.beat(tor, now)  # type: ignore[arg-type]
    assert tor.asked == before + 1
    watch.received()
    await watch.beat(tor, now + 1)  # type: ignore[arg-type]
    return watch.found


async def test_two_looks_in_a_row_must_find_another() -> None:
    tor, watch = Tor(), AnotherWatch("label", 900, 60)
    watch.begin(0)
    watch.received()  # Nobody asked: the trace of something else.
    await watch.beat(tor, 1)  # type: ignore[arg-type]
    assert tor.asked == 0
    assert not await look(watch, tor, 60)
    tor.fetched = descriptor(THEIRS)
    await watch.beat(tor, 500)  # type: ignore[arg-type]
    assert tor.asked == 1
    assert not await look(watch, tor, 1000)
    assert await look(watch, tor, 1070)
    tor.fetched = descriptor(OURS, b"n" * 32)
    assert await look(watch, tor, 2000)
    tor.fetched = descriptor(OURS)
    assert not await look(watch, tor, 3000)
