"""Throw-away files need a folder in memory; without one nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.service import runtime


def test_a_folder_in_memory_is_private_and_goes_away() -> None:
    with runtime.runtime_folder(None) as folder:
        assert runtime.is_tmpfs(folder)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_without_memory_it_refuses_and_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "is_tmpfs", lambda path: False)
    with pytest.raises(ConfigInvalid, match="runtime_dir"), runtime.runtime_folder(tmp_path):
        pass


def test_a_folder_on_disk_is_not_taken_for_memory() -> None:
    assert not runtime.is_tmpfs(Path(__file__).parent)
