"""When shredding is final: after a rotation nothing in an older copy opens or answers with today's ring."""

from __future__ import annotations

import fcntl
import hmac
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from testbed.filled_store import open_store
from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.core.submission import Channel, Submission
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.contact_tables import contact, contact_name
from veildesk.spool.erase_jobs import EraseJob
from veildesk.spool.schema import cursor
from veildesk.spool.sealing import Place, seal_row


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    made: str = request.getfixturevalue("postgres").new_database()
    return made


def known(number: int) -> KnownKey:
    fingerprint = f"{number:040X}"
    addresses = (f"user{number}@users.test", f"alias{number}@users.test")
    return KnownKey(
        b"cert%d" % number, fingerprint, (fingerprint, "F" + fingerprint[1:]), addresses, Provenance.SIGNED
    )


async def rows(spool: SqlSpool, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    return await spool._writer.do("read", lambda connection: list(connection.execute(sa.select(table)).all()))


async def test_contacts_jobs_and_positions_outlive_rotations(tmp_path: Path, database: str | None) -> None:
    spool = await open_store(tmp_path, database)
    for number in range(450):
        await spool.contacts.remember(known(number))
    await spool.contacts.remember(known(450), replaces=known(7).fingerprint)
    job = EraseJob(spool.erase_jobs.name_of("code"), "t" * 32, "desk/7", ("<a@b>",))
    await spool.erase_jobs.put(job)
    await spool.set_cursor("desk", "41")
    for _ in range(2):
        await spool.rotate()
    assert await spool.contacts.by_address("alias123@users.test") == (known(123),)
    assert await spool.contacts.by_key(known(449).keys[1]) == known(449)
    # A replaced key is found by itself only, also after its names were digested anew.
    assert await spool.contacts.by_address("user7@users.test") == ()
    assert await spool.contacts.by_key(known(7).fingerprint) == known(7)
    assert await spool.erase_jobs.get(job.name) == job
    assert await spool.cursor("desk") == "41"
    assert {row.epoch for table in (contact, cursor) for row in await rows(spool, table)} == {3}
    await spool.close()


async def test_an_old_copy_neither_opens_nor_confirms_a_name_with_todays_ring(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    await spool.contacts.remember(known(1))
    await spool.erase_jobs.put(EraseJob(spool.erase_jobs.name_of("code"), "t" * 32, "desk/7"))
    await spool.set_cursor("desk", "41")
    old = {"names": await rows(spool, contact_name), "contacts": await rows(spool, contact)}
    await spool.close()
    shutil.copytree(tmp_path / "state", tmp_path / "old" / "state", ignore=shutil.ignore_patterns("workers"))
    spool = await open_store(tmp_path)
    await spool.contacts.forget_before(10**6)
    await spool.rotate()
    await spool.close()
    shutil.copy(tmp_path / "ring", tmp_path / "old" / "ring")
    restored = await open_store(tmp_path / "old")
    with pytest.raises(KeyUnusable):
        await restored.contacts.by_address("user1@users.test")
    assert await restored.erase_jobs.all() == []
    # A position out of an older copy is asked for anew, from the start.
    assert await restored.cursor("desk") is None
    await restored.close()
    # And by hand: no secret that the ring still yields gives one of the old digests.
    ring = KeyRing.load(tmp_path / "ring")
    secrets = [
        ring.derive_secret(b"contact names"),
        *(ring.epoch_secret(n, b"contact names") for n in ring.epochs),
    ]
    wanted = {row.digest for row in old["names"]} | {row.digest for row in old["contacts"]}
    for secret in secrets:
        for kind, name in (("address", "user1@users.test"), ("key", known(1).fingerprint)):
            assert hmac.digest(secret, f"{kind}\0{name}".encode(), "sha256") not in wanted


async def test_what_an_earlier_version_wrote_is_read_and_brought_under_epochs(tmp_path: Path) -> None:
    spool = await open_store(tmp_path)
    ring = KeyRing.load(tmp_path / "ring")
    await spool.contacts.remember(known(1))
    (new,) = await rows(spool, contact)

    def make_old(connection: sa.Connection) -> None:
        key, names = ring.derive_secret(b"contacts"), ring.derive_secret(b"contact names")

        def digest(kind: str, name: str) -> bytes:
            return hmac.digest(names, f"{kind}\0{name}".encode(), "sha256")

        one = digest("contact", known(1).fingerprint)
        from veildesk.spool.contacts import _encode

        sealed = seal_row(key, Place("", one.hex(), "contact"), _encode(known(1)))
        connection.execute(sa.delete(contact))
        connection.execute(sa.delete(contact_name))
        connection.execute(sa.insert(contact).values(digest=one, sealed=sealed, last_day=0))
        for kind, name in (("address", "user1@users.test"), ("key", known(1).fingerprint)):
            connection.execute(sa.insert(contact_name).values(digest=digest(kind, name), contact=one))
        place = Place("", "desk", "cursor")
        sealed = seal_row(ring.derive_secret(b"spool cursors"), place, b"17")
        connection.execute(sa.insert(cursor).values(backend="desk", sealed=sealed))

    await spool._writer.do("contacts", make_old)
    for _ in range(2):
        assert await spool.contacts.by_address("user1@users.test") == (known(1),)
        assert await spool.contacts.by_key(known(1).fingerprint) == known(1)
        assert await spool.cursor("desk") == "17"
        await spool.rotate()
    assert new.digest not in {row.digest for row in await rows(spool, contact)}
    assert {row.epoch for row in await rows(spool, contact)} == {3}
    await spool.close()


async def test_who_keeps_the_ring_for_long_holds_up_rotation_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup whose disk hangs, for example."""
    monkeypatch.setattr("veildesk.spool.keyring._PATIENCE", 0.2)
    spool = await open_store(tmp_path)
    with (tmp_path / "ring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SpoolUnavailable, match="ring-in-use"):
            await spool.rotate()
        kept = await spool.accept(Submission(Channel.SMTP, b"k" * 32, b"mail"))
    assert not spool.failed
    assert await spool.rotate() == 1
    assert await spool.part(kept.message_id, "raw") == b"mail"
    await spool.close()
