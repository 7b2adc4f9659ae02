"""Disks that are full, limited, or fail to sync: refused politely, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.filled_store import open_store
from veildesk.core.errors import SpoolUnavailable
from veildesk.core.submission import Accepted, Channel, Submission
from veildesk.spool import KeyRing
from veildesk.spool.examining import examine_store

pytestmark = pytest.mark.live

_CHILD = """
import asyncio, json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from testbed.filled_store import open_store
from veildesk.core.errors import SpoolUnavailable
from veildesk.core.submission import Channel, Submission

async def main(root, limit, count, size):
    try:
        spool = await open_store(root)
    except SpoolUnavailable as error:
        return print(json.dumps({{"refused": error.detail}}), flush=True)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    told = []
    for number in range(count):
        mail = Submission(Channel.SMTP, number.to_bytes(32, "big"), b"%d " % number * (size // 4))
        try:
            await spool.accept(mail)
            told.append([number, "kept"])
        except SpoolUnavailable as error:
            told.append([number, error.detail])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        await spool.accept(Submission(Channel.SMTP, b"z" * 32, b"after"))
        told.append(["after", "kept"])
    except SpoolUnavailable as error:
        told.append(["after", error.detail])
    print(json.dumps({{"told": told, "failed": spool.failed}}), flush=True)

asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
"""


def run_child(root: Path, limit: int, count: int, size: int, *before: str) -> dict[str, object]:
    script = _CHILD.format(tests=str(Path(__file__).resolve().parents[1]))
    words = [*before, sys.executable, "-c", script, str(root), str(limit), str(count), str(size)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout, done.stderr[-2000:]
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


async def kept_are_there(root: Path, told: object, size: int) -> None:
    spool = await open_store(root)
    payloads = [await spool.part(work.message_id, "raw") for work in await spool.listing()]
    assert isinstance(told, list)
    for number, how in told:
        if how == "kept" and number != "after":
            assert b"%d " % number * (size // 4) in payloads
    await spool.close()


async def test_a_file_size_limit_refuses_large_mails_and_keeps_taking_small_ones(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "ring")
    result = await asyncio.to_thread(run_child, tmp_path, 600_000, 4, 2_000_000)
    assert result["failed"] is False
    assert result["told"] == [*([number, "disk-full"] for number in range(4)), ["after", "kept"]]
    assert list((tmp_path / "state" / "files").iterdir()) == []


@pytest.mark.parametrize("nth", [1, 3, 6])
async def test_after_a_failed_sync_nothing_is_accepted_and_nothing_acknowledged_is_lost(
    tmp_path: Path, nth: int
) -> None:
    spool = await open_store(tmp_path)
    await spool.close()
    inject = f"inject=fdatasync,fsync:error=EIO:when={nth}+"
    before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject]
    result = await asyncio.to_thread(run_child, tmp_path, 0, 8, 400, *before)
    if "refused" in result:  # Failing while it opens is as good: nothing was started.
        assert result["refused"] == "io-error"
        return
    assert result["failed"] is True
    told = result["told"]
    assert isinstance(told, list)
    codes = [how for _, how in told]
    first = codes.index("io-error")
    assert set(codes[:first]) <= {"kept"}
    assert set(codes[first:]) == {"io-error"}
    await kept_are_there(tmp_path, told, 400)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
async def test_a_full_disk_refuses_still_erases_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "none", str(disk)], check=True)
    try:
        await _fill_up(disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
        shutil.rmtree(disk)


async def _fill_up(disk: Path) -> None:
    spool = await open_store(disk, min_free=1 << 20)
    kept: list[Accepted] = []

    async def take() -> None:
        while len(kept) < 4000:
            mail = Submission(Channel.SMTP, len(kept).to_bytes(32, "big"), b"x" * 20_000)
            kept.append(await spool.accept(mail))

    with pytest.raises(SpoolUnavailable, match="disk-full"):
        await take()
    filler = disk / "somebody-else"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"y" * 65536) == 65536:
                pass
        except OSError:
            pass
    with pytest.raises(SpoolUnavailable, match="disk-full"):
        await spool.accept(Submission(Channel.SMTP, b"n" * 32, b"new"))
    assert not spool.failed
    for one in kept[:3]:
        await spool.erase(one.ticket_id)
    assert await spool.part(kept[0].message_id, "raw") is None
    filler.unlink()
    for one in kept[3:60]:
        await spool.erase(one.ticket_id)
    again = await spool.accept(Submission(Channel.SMTP, b"n" * 32, b"new"))
    assert await spool.part(again.message_id, "raw") == b"new"
    assert await spool.part(kept[-1].message_id, "raw") == b"x" * 20_000
    await spool.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
async def test_a_full_disk_is_not_called_a_damaged_database(tmp_path: Path) -> None:
    """Whoever believed that would restore a backup and lose what was accepted since."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "none", str(disk)], check=True)
    try:
        await (await open_store(disk, min_free=0)).close()
        with (disk / "somebody-else").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"y" * 4096) == 4096:
                pass
        results = {
            one.id: one
            for one in examine_store(disk / "state", None, disk / "ring", disk / "state" / "files")
        }
        assert results["spool.readable"].found == "disk-full"
        assert "restore" not in results["spool.readable"].fix
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
        shutil.rmtree(disk)
