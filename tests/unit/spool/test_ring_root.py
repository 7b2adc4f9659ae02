"""A ring under a root credential: a copied disk opens nothing, and older copies of the ring stay shut."""

from __future__ import annotations

from pathlib import Path

import pytest

from veildesk.core.errors import KeyUnusable
from veildesk.spool import KeyRing
from veildesk.spool.ring_root import CREDENTIAL, root_credential

ROOT = b"r" * 32


def bound(tmp_path: Path) -> KeyRing:
    KeyRing.create(tmp_path / "ring")
    ring = KeyRing.load(tmp_path / "ring", ROOT)
    assert ring.bind()
    assert not ring.bind()
    return ring


def test_a_bound_ring_opens_with_its_root_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    ring = bound(tmp_path)
    data = (tmp_path / "ring").read_bytes()
    assert ring.epoch_key(1) not in data
    assert ring.derive_secret(b"a") not in data
    assert KeyRing.load(tmp_path / "ring", ROOT).epoch_key(1) == ring.epoch_key(1)
    with pytest.raises(KeyUnusable, match=CREDENTIAL):
        KeyRing.load(tmp_path / "ring")
    with pytest.raises(KeyUnusable):
        KeyRing.load(tmp_path / "ring", b"x" * 32)
    for name in ("ring", "ring.half"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_service_managers_credential_is_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = bound(tmp_path)
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert root_credential() is None
    (tmp_path / "credentials" / CREDENTIAL).write_bytes(ROOT)
    assert KeyRing.load(tmp_path / "ring").epoch_key(1) == ring.epoch_key(1)
    (tmp_path / "credentials" / CREDENTIAL).write_bytes(b"short")
    with pytest.raises(KeyUnusable, match="too short"):
        KeyRing.load(tmp_path / "ring")


def test_each_rotation_changes_the_root_so_that_older_rings_stay_shut(tmp_path: Path) -> None:
    ring = bound(tmp_path)
    older = [(tmp_path / "ring").read_bytes()]
    ring.extend()
    older.append((tmp_path / "ring").read_bytes())
    ring.shorten(2)
    newest = (tmp_path / "ring").read_bytes()
    assert len((tmp_path / "ring.half").read_bytes()) == 32
    for copy in older:
        (tmp_path / "ring").write_bytes(copy)
        with pytest.raises(KeyUnusable, match="does not open"):
            KeyRing.load(tmp_path / "ring", ROOT)
    (tmp_path / "ring").write_bytes(newest)
    assert KeyRing.load(tmp_path / "ring", ROOT).epochs == (2,)


def test_a_crash_before_the_ring_is_replaced_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = bound(tmp_path)

    def dies(name: str) -> None:
        if name == "ring.half-added":
            raise KeyboardInterrupt

    monkeypatch.setattr("veildesk.spool.ring_root.crashpoint", dies)
    for _ in range(3):
        # Again and again: the half that opens the ring is never the one that goes.
        again = KeyRing.load(tmp_path / "ring", ROOT)
        assert again.epoch_key(1) == ring.epoch_key(1)
        with pytest.raises(KeyboardInterrupt):
            again.extend()
    monkeypatch.undo()
    again = KeyRing.load(tmp_path / "ring", ROOT)
    assert again.extend() == 2
    assert KeyRing.load(tmp_path / "ring", ROOT).epochs == (1, 2)


def test_a_backup_of_the_keys_needs_no_root(tmp_path: Path) -> None:
    ring = bound(tmp_path)
    copy = tmp_path / "copy"
    copy.write_bytes(ring.plain())
    copy.chmod(0o600)
    assert KeyRing.load(copy).epoch_key(1) == ring.epoch_key(1)
