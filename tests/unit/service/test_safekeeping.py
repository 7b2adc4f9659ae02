"""The commands around the store as a person uses them: check, backup, restore, migrate."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from testbed.filled_store import content, fill
from testbed.postgres import Cluster
from veildesk.cli import main
from veildesk.core.ticket import Level
from veildesk.ops.clock import SystemClock
from veildesk.service.backup_mark import backed_up
from veildesk.service.config import load_config
from veildesk.service.doctor import examine
from veildesk.service.initialise import initialise
from veildesk.spool import KeyRing, SqlSpool


def run(*words: str) -> tuple[int, Any, str]:
    done = CliRunner().invoke(main, words)
    out = json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout
    return done.exit_code, out, done.stderr


async def opened(folder: Path, database: str | None = None) -> SqlSpool:
    ring = KeyRing.load(folder / "keys" / "ring")
    return await SqlSpool.open(folder / "state", ring, SystemClock(), 14, database=database, min_free=0)


async def test_a_store_is_backed_up_lost_restored_checked_and_moved(
    tmp_path: Path, postgres: Cluster
) -> None:
    folder = tmp_path / "gw"
    await initialise(folder, name="Desk", address="support@desk.example")
    config = ["--config", str(folder / "veildesk.toml"), "--json"]
    classes = ["--bulk", str(tmp_path / "bulk"), "--keys", str(tmp_path / "keys")]
    code, out, _ = await asyncio.to_thread(run, "check", *config)
    assert (code, out["checks"][-1]["found"]) == (3, "there is no store in the state directory")
    spool = await opened(folder)
    await fill(spool)
    before = await content(spool)
    subscribers = folder / "state" / "notices" / "subscribers"
    subscribers.mkdir(parents=True)
    (subscribers / "a").write_bytes(b"sealed")
    code, out, _ = await asyncio.to_thread(run, "backup", *config, *classes)
    assert (code, out["keys"], out["missing"]) == (0, 5, 0)
    assert backed_up(folder / "state").keys() == {"bulk", "keys"}
    await spool.close()
    assert (tmp_path / "keys" / "veildesk.toml").exists()
    assert list((tmp_path / "keys" / "gnupg" / "private-keys-v1.d").iterdir())
    code, _, said = await asyncio.to_thread(run, "restore", *config, *classes)
    assert code == 10
    assert "nothing was changed" in said
    for lost in ("state", "keys"):
        shutil.rmtree(folder / lost)
    code, out, _ = await asyncio.to_thread(run, "restore", *config, *classes)
    assert (code, out["tickets"], out["missing"]) == (0, 5, 0)
    assert list((folder / "keys" / "gnupg" / "private-keys-v1.d").iterdir())
    # Who subscribed is in the newest copy alone.
    assert not list((tmp_path / "bulk").rglob("subscribers"))
    assert (subscribers / "a").read_bytes() == b"sealed"
    (folder / "state").chmod(0o755)
    code, out, _ = await asyncio.to_thread(run, "check", "--repair", *config)
    assert code == 0, out
    assert (folder / "state").stat().st_mode & 0o077 == 0
    database = postgres.new_database()
    code, _, said = await asyncio.to_thread(run, "migrate", *config)
    assert code == 10, "no database is named"
    with (folder / "veildesk.toml").open("a") as file:
        file.write(f'\n[store]\ndatabase = "{database}"\n')
    code, out, said = await asyncio.to_thread(run, "migrate", *config)
    assert (code, out["message"]) == (0, 8), said
    code, out, _ = await asyncio.to_thread(run, "check", *config)
    assert code == 0, out
    spool = await opened(folder, database)
    assert await content(spool) == before
    await spool.close()


async def test_one_folder_for_both_classes_and_none_at_all_are_refused(tmp_path: Path) -> None:
    assert run("backup")[0] == 2
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    config = ["--config", str(tmp_path / "gw" / "veildesk.toml")]
    both = ["--bulk", str(tmp_path / "b"), "--keys", str(tmp_path / "b")]
    code, _, said = await asyncio.to_thread(run, "backup", *config, *both)
    assert code == 10
    assert "one folder" in said


async def test_the_doctor_looks_at_every_page_and_key_of_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "gw"
    await initialise(folder, name="Desk", address="support@desk.example")
    config = load_config(folder / "veildesk.toml")

    async def found() -> dict[str, Level]:
        return {one.id: one.level for one in await examine(config) if one.id.startswith("spool")}

    assert await found() == {"spool": Level.SKIP}
    spool = await opened(folder)
    await fill(spool)
    await spool.close()
    sound = await found()
    assert sound["spool.integrity"] is sound["spool.keys"] is sound["spool.files"] is Level.OK
    (next((folder / "state" / "files").iterdir())).unlink()
    assert (await found())["spool.files"] is Level.FAIL
    path = folder / "state" / "spool.db"
    pages = bytearray(path.read_bytes())
    pages[4096 * 3 : 4096 * 6] = bytes(4096 * 3)
    path.write_bytes(pages)
    damaged = await found()
    assert Level.FAIL in (damaged.get("spool.integrity"), damaged.get("spool.readable"))
