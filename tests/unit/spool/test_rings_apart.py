"""Gateways on hosts that share a database and no folder: each has a copy of the ring, and one may be old."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.postgres import Cluster
from veildesk.core.errors import SpoolUnavailable
from veildesk.core.submission import Channel, Submission
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool


class Hosts:
    """Hosts by name, each with a ring of its own."""

    def __init__(self, root: Path, database: str) -> None:
        self.root, self.database = root, database
        KeyRing.create(self.ring("one"))
        self.copy_ring("one", "two")

    def ring(self, host: str) -> Path:
        return self.root / f"ring-{host}"

    def copy_ring(self, source: str, target: str) -> None:
        shutil.copy(self.ring(source), self.ring(target))

    async def open(self, host: str) -> SqlSpool:
        ring = KeyRing.load(self.ring(host))
        return await SqlSpool.open(
            self.root / host, ring, SystemClock(), 30,
            database=self.database, files=self.root / "files", min_free=0,
        )  # fmt: skip


@pytest.fixture
def hosts(tmp_path: Path, postgres: Cluster) -> Hosts:
    return Hosts(tmp_path, postgres.new_database())


def mail(number: int) -> Submission:
    return Submission(Channel.SMTP, number.to_bytes(32, "big"), b"%d" % number)


async def test_an_old_ring_is_not_rotated_beside_the_store(hosts: Hosts) -> None:
    """It would make the newest epoch a second time, with another key that opens nothing for the others."""
    one, two = await hosts.open("one"), await hosts.open("two")
    kept = await two.accept(mail(1))
    await one.rotate()
    before = hosts.ring("two").read_bytes()
    for _ in range(2):
        with pytest.raises(SpoolUnavailable, match="ring-outdated"):
            await two.rotate()
    with pytest.raises(SpoolUnavailable, match="ring-outdated"):
        await two.accept(mail(2))
    assert hosts.ring("two").read_bytes() == before
    hosts.copy_ring("one", "two")
    later = await two.accept(mail(2))
    await two.rotate()
    hosts.copy_ring("two", "one")
    for spool in (one, two):
        assert await spool.part(kept.message_id, "raw") == b"1"
        assert await spool.part(later.message_id, "raw") == b"2"
        await spool.close()


async def test_the_same_epoch_made_twice_keeps_nothing_under_the_wrong_key(hosts: Hosts) -> None:
    """One died between its ring and the database; the other rotated meanwhile."""
    one, two = await hosts.open("one"), await hosts.open("two")
    kept = await one.accept(mail(1))
    with one._state.ring.exclusive():
        one._state.ring.extend()
    await two.rotate()
    with pytest.raises(SpoolUnavailable, match="ring-outdated"):
        await one.accept(mail(2))
    with pytest.raises(SpoolUnavailable, match="ring-outdated"):
        await one.rotate()
    await one.close()
    with pytest.raises(SpoolUnavailable, match="ring-outdated"):
        await hosts.open("one")
    assert await two.part((await two.accept(mail(3))).message_id, "raw") == b"3"
    hosts.copy_ring("two", "one")
    one = await hosts.open("one")
    assert await one.part(kept.message_id, "raw") == b"1"
    assert await two.part((await one.accept(mail(2))).message_id, "raw") == b"2"
    await one.close()
    await two.close()
