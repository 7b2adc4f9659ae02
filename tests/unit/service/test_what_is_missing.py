"""Stores, rings and homes that are not where they were: nothing is begun anew by itself, help is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner

from veildesk.cli import main
from veildesk.core.errors import (
    KeyAbsent,
    OtherUser,
    RingOpen,
    RingUnusable,
    SpoolUnavailable,
    StoreMissing,
    StoreOther,
)
from veildesk.core.ticket import Level
from veildesk.ops.clock import SystemClock
from veildesk.service.alone import only_gateway
from veildesk.service.build import build_gateway
from veildesk.service.config import load_config
from veildesk.service.doctor_clock import check_clock
from veildesk.service.doctor_files import check_files
from veildesk.service.doctor_keys import check_keys
from veildesk.service.initialise import initialise
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    return tmp_path / "gw"


async def open_store(folder: Path) -> SqlSpool:
    return await SqlSpool.open(
        folder / "state", KeyRing.load(folder / "keys" / "ring"), SystemClock(), 14, min_free=0
    )


async def test_an_empty_store_is_not_begun_with_a_ring_that_served_another(folder: Path) -> None:
    spool = await open_store(folder)
    await spool.rotate()
    await spool.close()
    (folder / "state").rename(folder / "away")
    with pytest.raises(StoreMissing) as missing:
        await open_store(folder)
    assert "veildesk keys ring" in missing.value.hint
    # The disk is mounted after all: everything is as it was.
    (folder / "state").rename(folder / "empty")
    (folder / "away").rename(folder / "state")
    await (await open_store(folder)).close()
    # Whoever wants an empty store gives it a ring of its own; one that is there is never replaced.
    config = ["--config", str(folder / "veildesk.toml")]
    kept = (folder / "keys" / "ring").read_bytes()
    assert CliRunner().invoke(main, ["keys", "ring", *config]).exit_code == 11
    assert (folder / "keys" / "ring").read_bytes() == kept
    (folder / "keys" / "ring").unlink()
    (folder / "state").rename(folder / "old")
    assert CliRunner().invoke(main, ["keys", "ring", *config]).exit_code == 0
    await (await open_store(folder)).close()


async def test_a_gateway_makes_no_gnupg_home_in_place_of_one_that_is_gone(folder: Path) -> None:
    config = load_config(folder / "veildesk.toml")
    (folder / "keys" / "gnupg").rename(folder / "keys" / "away")
    with pytest.raises(KeyAbsent) as absent:
        async with build_gateway(config):
            pass
    assert "newest backup" in absent.value.hint
    with pytest.raises(KeyAbsent):
        await check_keys(config)
    assert not (folder / "keys" / "gnupg").exists()


async def test_secret_keys_that_are_gone_are_put_back_and_not_renewed(folder: Path) -> None:
    for key in (folder / "keys" / "gnupg" / "private-keys-v1.d").iterdir():
        key.unlink()
    results = {one.id: one for one in await check_keys(load_config(folder / "veildesk.toml"))}
    assert results["keys.support"].level is Level.FAIL
    assert "newest backup" in results["keys.support"].fix


def test_trouble_with_the_ring_says_what_helps(tmp_path: Path) -> None:
    with pytest.raises(RingUnusable, match="cannot be read"):
        KeyRing.load(tmp_path / "ring")
    KeyRing.create(tmp_path / "ring")
    (tmp_path / "ring").chmod(0o644)
    with pytest.raises(RingOpen) as found:
        KeyRing.load(tmp_path / "ring")
    assert "chmod" in found.value.hint


@pytest.mark.parametrize(
    ("detail", "word"),
    [("disk-full", "inodes"), ("damaged", "restore"), ("database-refused", "password"), ("", "log")],
)
def test_a_store_that_cannot_keep_says_what_to_do_for_its_reason(detail: str, word: str) -> None:
    assert word in SpoolUnavailable(detail).hint
    assert "veildesk.toml" not in StoreOther("newer").hint


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user can be made by root only")
async def test_root_does_not_run_on_what_is_another_users(folder: Path) -> None:
    (folder / "state" / "notices" / "left").write_text("")
    config = load_config(folder / "veildesk.toml")
    os.chown(folder / "state" / "notices" / "left", 4711, 4711)
    found = {one.id: one for one in await check_files(config)}["files.owner"]
    assert (found.level, found.found) == (Level.FAIL, "1 of another user")
    os.chown(folder / "state", 4711, 4711)
    with pytest.raises(OtherUser), only_gateway(folder / "state"):
        pass


async def test_a_note_of_the_time_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "state" / "clock").write_text("{")
    level = {one.id: one.level for one in await check_clock(load_config(folder / "veildesk.toml"))}
    assert level["clock.leap"] is Level.WARN
