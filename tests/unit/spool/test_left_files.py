"""Sealed files whose commit failed, was given up or came too late: gone soon, and never one that is named."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from testbed.filled_store import open_store
from veildesk.core.errors import SpoolUnavailable, WorkLost
from veildesk.core.submission import Accepted, Channel, Submission
from veildesk.core.work import State
from veildesk.ops.clock import SystemClock
from veildesk.spool import AcceptOnlySpool, KeyRing, SqlSpool
from veildesk.spool.folder_store import FolderStore
from veildesk.spool.parts import PartFiles
from veildesk.spool.sweeping import tidy

LARGE = 300_000


def mail(size: int = LARGE) -> Submission:
    return Submission(Channel.SMTP, secrets.token_bytes(32), secrets.token_bytes(size))


def files(root: Path) -> list[Path]:
    return list((root / "state" / "files").iterdir())


async def tidied(spool: SqlSpool | AcceptOnlySpool) -> None:
    """As the store does each minute. The first time lets the writer's thread end what it was doing."""
    await spool._read(lambda _: None)
    await tidy(spool._writer, spool._files)


async def test_a_mail_that_was_refused_after_it_was_sealed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await open_store(tmp_path)

    async def full(*_: object) -> None:
        raise SpoolUnavailable("disk-full")

    with monkeypatch.context() as patched:
        patched.setattr(spool._writer, "many", full)
        for _ in range(3):
            with pytest.raises(SpoolUnavailable, match="disk-full"):
                await spool.accept(mail())
    kept = await spool.accept(submission := mail())
    await tidied(spool)
    assert len(files(tmp_path)) == 1
    assert await spool.part(kept.message_id, "raw") == submission.payload
    await spool.close()


async def test_a_part_for_a_ticket_that_another_gateway_erased_leaves_neither_file_nor_key(
    tmp_path: Path,
) -> None:
    spool, other = await open_store(tmp_path), await open_store(tmp_path)
    kept = await spool.accept(mail(100))
    (work,) = await spool.claim([State.ACCEPTED])
    await other.erase(kept.ticket_id)
    try:
        await spool.advance(work, State.DELIVERING, parts={"entry": bytes(LARGE)})
    except WorkLost:
        pass
    else:
        raise AssertionError("sealed into a ticket that is gone")
    assert spool._brought.key(work) is None
    await tidied(spool)
    assert files(tmp_path) == []
    await other.close()
    await spool.close()


async def test_cancelled_while_it_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = await open_store(tmp_path)
    inside, go_on = threading.Event(), threading.Event()
    keep_all = spool._accept_all

    def slowly(*given: object) -> list[Accepted | None]:
        inside.set()
        go_on.wait(60)
        return keep_all(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(spool, "_accept_all", slowly)
    accepting = asyncio.create_task(spool.accept(submission := mail()))
    await asyncio.to_thread(inside.wait, 60)
    accepting.cancel()
    await asyncio.gather(accepting, return_exceptions=True)
    del accepting
    tidying = asyncio.create_task(tidied(spool))
    await asyncio.sleep(0)
    go_on.set()
    await tidying
    await tidied(spool)
    (row,) = await spool.listing()
    assert await spool.part(row.message_id, "raw") == submission.payload
    await spool.close()


async def test_a_process_that_only_accepts_tidies_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await open_store(tmp_path)
    secret = KeyRing.load(tmp_path / "ring").intake_secret
    monkeypatch.setattr("veildesk.spool.store_intake._LOOK_SECONDS", 0.01)
    monkeypatch.setattr("veildesk.spool.store_intake._TIDY_EVERY", 1)
    front = await AcceptOnlySpool.open(tmp_path / "state", secret, SystemClock(), 14, min_free=0)

    async def full(*_: object) -> None:
        raise SpoolUnavailable("disk-full")

    with monkeypatch.context() as patched:
        patched.setattr(front._writer, "many", full)
        with pytest.raises(SpoolUnavailable):
            await front.accept(mail())
    async with asyncio.timeout(60):
        while files(tmp_path):
            await asyncio.sleep(0.01)
    kept = await front.accept(submission := mail())
    await tidied(front)
    assert await gateway.part(kept.message_id, "raw") == submission.payload
    await front.close()
    await gateway.close()


class SlowStore(FolderStore):
    """Removing takes longer than a call may, if much is asked of one call."""

    limit: float | None = 2.0

    def remove(self, names: Collection[str]) -> None:
        time.sleep(0.002 * len(names))
        super().remove(names)


async def test_many_files_are_removed_in_pieces(tmp_path: Path) -> None:
    store = SlowStore(tmp_path)
    parts = PartFiles(store, "0" * 16)
    await parts.remove([f"{'0' * 16}-{number:032}" for number in range(1500)])
    assert not parts._left
