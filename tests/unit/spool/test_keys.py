"""Key ring, sealed rows and sealed files: what opens, and everything that must not."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.spool import KeyRing
from veildesk.spool.chunks import CHUNK, open_chunks, seal_chunks
from veildesk.spool.sealing import Place, open_row, pad, padded_length, seal_row, unpad, unwrap_key, wrap_key

KEY = b"k" * 32
PLACE = Place("t" * 32, "m" * 32, "raw")


@given(st.binary(max_size=5000))
def test_rows_come_back(data: bytes) -> None:
    assert open_row(KEY, PLACE, seal_row(KEY, PLACE, data)) == data


def test_a_row_opens_only_where_it_belongs() -> None:
    blob = seal_row(KEY, PLACE, b"data")
    others = [Place("u" * 32, "m" * 32, "raw"), Place("t" * 32, "", "raw"), Place("t" * 32, "m" * 32, "wire")]
    others.append(Place("t" * 31, "t" + "m" * 32, "raw"))
    for place in others:
        with pytest.raises(KeyUnusable):
            open_row(KEY, place, blob)
    for broken in (b"", blob[:-1], b"\x07" + blob[1:], blob[:40] + bytes([blob[40] ^ 1]) + blob[41:]):
        with pytest.raises(KeyUnusable):
            open_row(KEY, PLACE, broken)
    with pytest.raises(KeyUnusable):
        open_row(b"x" * 32, PLACE, blob)


@given(st.integers(min_value=0, max_value=10**9))
def test_padding_costs_an_eighth_at_most(length: int) -> None:
    padded = padded_length(length)
    assert length <= padded <= max(256, length * 1.125)
    assert padded_length(padded) == padded


@given(st.binary(max_size=2000))
def test_padding_is_undone(data: bytes) -> None:
    assert unpad(pad(data)) == data


def test_wrapped_keys_are_bound_to_ticket_and_epoch() -> None:
    wrapped = wrap_key(KEY, 1, "ticket", b"d" * 32)
    assert unwrap_key(KEY, 1, "ticket", wrapped) == b"d" * 32
    for epoch, ticket in ((2, "ticket"), (1, "other")):
        with pytest.raises(KeyUnusable):
            unwrap_key(KEY, epoch, ticket, wrapped)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 8, CHUNK, CHUNK + 1, 5 * CHUNK + 17])
def test_files_come_back(size: int) -> None:
    data = secrets.token_bytes(size)
    assert open_chunks(KEY, PLACE, b"".join(seal_chunks(KEY, PLACE, data))) == data


def test_a_cut_swapped_or_moved_file_does_not_open() -> None:
    pieces = list(seal_chunks(KEY, PLACE, secrets.token_bytes(3 * CHUNK)))
    header, *chunks = pieces
    other = list(seal_chunks(KEY, PLACE, secrets.token_bytes(3 * CHUNK)))
    broken = {
        "cut": header + b"".join(chunks[:-1]),
        "swapped": header + b"".join([chunks[1], chunks[0], *chunks[2:]]),
        "doubled": header + b"".join([*chunks, chunks[-1]]),
        "other-header": other[0] + b"".join(chunks),
        "spliced": header + b"".join([other[1], *chunks[1:]]),
        "empty": b"",
        "header-only": header,
        "torn": header + b"".join(chunks)[:-5],
    }
    for sealed in broken.values():
        with pytest.raises(KeyUnusable):
            open_chunks(KEY, PLACE, sealed)
    with pytest.raises(KeyUnusable):
        open_chunks(KEY, Place("u" * 32, "m" * 32, "raw"), b"".join(pieces))


def test_a_ring_comes_back_and_is_closed_to_others(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    again = KeyRing.load(tmp_path / "ring")
    assert again.epoch_key(1) == ring.epoch_key(1)
    assert again.derive_secret(b"a") == ring.derive_secret(b"a") != ring.derive_secret(b"b")
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyUnusable):
        KeyRing.create(tmp_path / "ring")


def test_rotation_keeps_secrets_and_drops_old_epochs(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    secret, old = ring.derive_secret(b"a"), ring.epoch_key(1)
    other = KeyRing.load(tmp_path / "ring")
    assert ring.extend() == 2
    assert other.epoch_key(2) == ring.epoch_key(2) != old
    ring.shorten(2)
    assert ring.epochs == (2,)
    assert ring.derive_secret(b"a") == secret
    assert old not in (tmp_path / "ring").read_bytes()
    with pytest.raises(KeyUnusable):
        ring.epoch_key(1)


def test_an_epoch_that_has_not_come_yet_is_a_passing_fault(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    with pytest.raises(SpoolUnavailable, match="ring-outdated"):
        ring.epoch_key(2)


def test_damaged_and_open_rings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with pytest.raises(KeyUnusable):
        KeyRing.load(path)
    KeyRing.create(path)
    sound = path.read_bytes()
    for broken in (b"", sound[:-1], sound + b"\0", b"X" + sound[1:], sound[:50] + b"\xff\xff" + sound[52:]):
        path.write_bytes(broken)
        with pytest.raises(KeyUnusable):
            KeyRing.load(path)
    path.write_bytes(sound)
    path.chmod(0o640)
    with pytest.raises(KeyUnusable):
        KeyRing.load(path)
