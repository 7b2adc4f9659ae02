"""Large parts in a bucket of a real S3 server: shared, swept, moved, checked, and in its bad hours."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import obstore
import pytest
import trustme
from click.testing import CliRunner

from testbed.filled_store import content, fill, open_store
from testbed.postgres import Cluster
from testbed.s3_server import S3Server, s3_server, short
from testbed.spoiling_proxy import SpoilingProxy
from veildesk.cli import main
from veildesk.core.errors import ConfigInvalid, FilesUnavailable, KeyUnusable
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.ticket import Level
from veildesk.ops.clock import SystemClock
from veildesk.service.config import load_config
from veildesk.service.database import database_of, files_of
from veildesk.service.initialise import initialise
from veildesk.spool import AcceptOnlySpool, KeyRing, SqlSpool
from veildesk.spool.archiving import back_up_bulk, back_up_keys, restore
from veildesk.spool.examining import examine_store
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import ObjectSettings
from veildesk.spool.folder_store import FolderStore
from veildesk.spool.moving import move
from veildesk.spool.object_store import ObjectStore
from veildesk.spool.sweeping import sweep, tidy

pytestmark = pytest.mark.live
LARGE = 300_000
MOMENT = 1.5  # More than a database gives somebody who seems gone.


def mail(size: int = LARGE) -> Submission:
    return Submission(Channel.SMTP, secrets.token_bytes(32), secrets.token_bytes(size))


def post() -> Submission:
    anchor = PortalAnchor(b"l" * 32, b"p" * 32)
    return replace(mail(), channel=Channel.PORTAL, anchor=anchor, thread_entry=b"entry")


def names(place: ObjectSettings) -> set[str]:
    store = open_files(place)
    try:
        return store.names()
    finally:
        store.close()


async def found(root: Path, database: str, place: ObjectSettings) -> dict[str, Level]:
    results = await asyncio.to_thread(examine_store, root / "state", database, root / "ring", place)
    assert all(result.fix for result in results if result.level is not Level.OK)
    return {result.id: result.level for result in results if result.level is not Level.OK}


@pytest.fixture
def place(s3: S3Server) -> ObjectSettings:
    return s3.new_place()


@pytest.fixture
async def spool(tmp_path: Path, postgres: Cluster, place: ObjectSettings) -> AsyncIterator[SqlSpool]:
    made = await open_store(tmp_path, postgres.new_database(), files=place)
    yield made
    await made.close()


# ------------------------------------------------------------------ several gateways, one bucket


async def test_gateways_share_a_bucket_and_deletion_reaches_it(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings
) -> None:
    database = postgres.new_database()
    one = await open_store(tmp_path, database, files=place)
    two = await open_store(tmp_path, database, files=place)
    submission = mail()
    kept = await one.accept(submission)
    other = await two.accept(mail())
    assert await two.part(kept.message_id, "raw") == submission.payload
    assert len(names(place)) == 2
    await two.erase(kept.ticket_id)
    assert await one.part(kept.message_id, "raw") is None
    assert len(names(place)) == 1
    await one.close()
    assert await two.part(other.message_id, "raw") is not None
    await two.close()


async def test_an_orphan_goes_when_its_writer_is_gone_and_not_before(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings
) -> None:
    database = postgres.new_database()
    one = await open_store(tmp_path, database, files=place)
    two = await open_store(tmp_path, database, files=place)
    kept = await one.accept(mail())
    named = names(place)
    # Written, and then its writer died before the commit.
    one._files.store.write(f"{one._owner}-{secrets.token_hex(16)}", [b"sealed"])
    two._files.store.write("somebody-elses", [b"not ours to remove"])
    assert await sweep(two._state, MOMENT) == 0
    await one.close()
    async with asyncio.timeout(60):
        # A busy database takes a while to let go of who has left.
        while not (swept := await sweep(two._state, MOMENT)):
            pass
    assert swept == 1
    assert names(place) == named
    assert two._files.store.read("somebody-elses") == b"not ours to remove"
    assert await two.part(kept.message_id, "raw") is not None
    await two.close()


async def test_two_stores_never_share_a_prefix(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings
) -> None:
    for name in ("one", "other", "same"):
        (tmp_path / name).mkdir()
    first = await open_store(tmp_path / "one", postgres.new_database(), files=place)
    await first.accept(mail())
    before = names(place)
    # Another ring, and the same ring over another database as after a restore elsewhere.
    (tmp_path / "same" / "ring").write_bytes((tmp_path / "one" / "ring").read_bytes())
    (tmp_path / "same" / "ring").chmod(0o600)
    for root in ("other", "same"):
        for _ in range(2):
            with pytest.raises(ConfigInvalid, match="another store"):
                await open_store(tmp_path / root, postgres.new_database(), files=place)
    assert names(place) == before
    await first.close()


async def test_a_process_that_only_accepts_uses_the_gateways_bucket(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings
) -> None:
    database, ring = postgres.new_database(), KeyRing.create(tmp_path / "ring")
    gateway = await open_store(tmp_path, database, files=place)

    async def front(secret: bytes, where: ObjectSettings) -> AcceptOnlySpool:
        return await AcceptOnlySpool.open(
            tmp_path / "front", secret, SystemClock(), 14, database=database, files=where, min_free=0
        )

    accepting = await front(ring.intake_secret, place)
    submission = mail()
    kept = await accepting.accept(submission)
    assert await gateway.part(kept.message_id, "raw") == submission.payload
    await accepting.close()
    with pytest.raises(ConfigInvalid, match="start the gateway once"):
        await front(ring.intake_secret, replace(place, prefix=place.prefix + "/none"))
    await gateway.close()


# ------------------------------------------------------------------ moving, backups, checks


async def test_a_store_moves_into_a_bucket_is_backed_up_and_comes_back(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings, s3: S3Server
) -> None:
    old = await open_store(tmp_path)
    await fill(old)
    before = await content(old)
    await old.close()
    database, ring = postgres.new_database(), KeyRing.load(tmp_path / "ring")
    await asyncio.to_thread(move, tmp_path / "state", ring, database, place)
    moved = await open_store(tmp_path, database, files=place)
    assert await content(moved) == before
    assert await found(tmp_path, database, place) == {}
    bulk, keys = tmp_path / "bulk", tmp_path / "keys"
    counts = await asyncio.to_thread(back_up_bulk, tmp_path / "state", database, place, bulk)
    assert (counts["files"], counts["missing"]) == (len(names(place)), 0)
    await asyncio.to_thread(back_up_keys, tmp_path / "state", database, ring, keys)
    await moved.close()

    def back(where: ObjectSettings, root: Path, into: str) -> dict[str, int]:
        return restore(
            bulk, keys, state_dir=root / "state", conninfo=into, ring_path=root / "ring", files=where
        )

    target, into = tmp_path / "new", postgres.new_database()
    with pytest.raises(ConfigInvalid, match="another store"):
        await asyncio.to_thread(back, place, target, into)
    fresh = s3.new_place()
    assert (await asyncio.to_thread(back, fresh, target, into))["missing"] == 0
    again = await open_store(target, into, files=fresh)
    assert await content(again) == before
    await again.close()


async def test_a_folder_becomes_a_bucket_only_when_all_files_are_there(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings
) -> None:
    database = postgres.new_database()
    old = await open_store(tmp_path, database)
    submission = mail()
    kept = await old.accept(submission)
    await old.close()
    with pytest.raises(ConfigInvalid, match="1 sealed files are not in the bucket"):
        await open_store(tmp_path, database, files=place)
    folder, bucket = FolderStore(tmp_path / "state" / "files"), open_files(place)
    for name in folder.names():
        bucket.write(name, [folder.read(name)])
    bucket.close()
    new = await open_store(tmp_path, database, files=place)
    assert await new.part(kept.message_id, "raw") == submission.payload
    await new.close()


async def test_missing_and_damaged_objects_are_told(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.new_database()
    spool = await open_store(tmp_path, database, files=place)
    kept = [await spool.accept(mail()) for _ in range(2)]
    first, second = sorted(names(place))
    assert await found(tmp_path, database, place) == {}
    store = spool._files.store
    assert isinstance(store, ObjectStore)
    damaged = bytearray(store.read(first))
    damaged[len(damaged) // 2] ^= 1
    obstore.put(store._store, first, bytes(damaged))
    store.remove([second])
    huge = f"{'0' * 16}-{'0' * 32}"
    obstore.put(store._store, huge, bytes(2000))
    with monkeypatch.context() as patched:
        patched.setattr("veildesk.spool.object_store._LONGEST", 1999)
        with pytest.raises(KeyUnusable, match="damaged"):
            store.read(huge)
    store.remove([huge])
    assert await found(tmp_path, database, place) == {
        "spool.files": Level.FAIL,
        "spool.damaged": Level.FAIL,
    }
    details = set()
    for one in kept:
        with pytest.raises(KeyUnusable) as error:
            await spool.part(one.message_id, "raw")
        details.add(error.value.detail)
    assert details == {"a sealed file is missing", "sealed file does not open"}
    await spool.close()


async def test_a_bucket_that_keeps_versions_is_told(tmp_path: Path, postgres: Cluster, s3: S3Server) -> None:
    place, database = s3.versioned(), postgres.new_database()
    spool = await open_store(tmp_path, database, files=place)
    assert spool.files_state == "ok, but the bucket keeps old versions"
    assert await found(tmp_path, database, place) == {"spool.versions": Level.WARN}
    await spool.close()


# ------------------------------------------------------------------ a server in trouble


async def test_while_the_server_hangs_small_mail_passes_and_nothing_is_lost(
    tmp_path: Path, postgres: Cluster
) -> None:
    with s3_server() as own:
        place, database = own.new_place(), postgres.new_database()
        spool = await open_store(tmp_path, database, files=place)
        doomed, kept = await spool.accept(post()), await spool.accept(mail())
        own.signal(signal.SIGSTOP)
        large = asyncio.create_task(spool.accept(mail()))
        small = await spool.accept(mail(1000))
        # The loop and the writer go on: what hangs waits in a thread of its own.
        assert not large.done()
        own.signal(signal.SIGCONT)
        await spool.erase((await large).ticket_id)
        # Now for longer than anybody waits.
        patient = spool._files.store
        impatient = spool._files.store = ObjectStore(short(place))
        own.signal(signal.SIGSTOP)
        results = await asyncio.gather(
            spool.accept(mail()),
            spool.part(kept.message_id, "raw"),
            spool.erase(doomed.ticket_id),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [FilesUnavailable] * 3
        # Nothing of it is left but the name of the file, and nobody meets it any more.
        assert await spool.part(doomed.message_id, "raw") is None
        assert await spool.thread(b"l" * 32) is None
        assert doomed.message_id not in {work.message_id for work in await spool.listing()}
        assert spool.files_state == "files-unreachable"
        told = {"spool.bucket": Level.FAIL, "spool.erasing": Level.WARN}
        assert await found(tmp_path, database, short(place)) == told
        own.signal(signal.SIGCONT)
        impatient.close()
        spool._files.store = patient
        assert await spool.part(small.message_id, "raw") is not None
        later = await until_accepted(spool, submission := mail())
        await spool.erase(doomed.ticket_id)
        await tidy(spool._writer, spool._files)
        assert await spool.part(later, "raw") == submission.payload
        assert spool.files_state == "ok"
        assert await spool.part(kept.message_id, "raw") is not None
        # What hung may arrive late, even after that.
        assert set(await found(tmp_path, database, place)) <= {"spool.strays"}
        await spool.close()


async def test_a_server_that_was_killed_comes_back_with_everything(tmp_path: Path, postgres: Cluster) -> None:
    with s3_server() as own:
        spool = await open_store(tmp_path, postgres.new_database(), files=own.new_place())
        submission = mail()
        kept = await spool.accept(submission)
        own.signal(signal.SIGKILL)
        with pytest.raises(FilesUnavailable):
            await spool.accept(mail())
        own.start()
        assert await spool.part(kept.message_id, "raw") == submission.payload
        await until_accepted(spool, mail())
        await spool.close()


async def until_accepted(spool: SqlSpool, submission: Submission) -> str:
    """As a sender does: again and again."""
    async with asyncio.timeout(60):
        while True:
            with suppress(FilesUnavailable):
                return (await spool.accept(submission)).message_id
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("trouble", ["refuse", "unavailable", "cut-request", "no-answer", "cut-answer"])
async def test_a_call_that_fails_is_postponed_and_works_later(
    tmp_path: Path, postgres: Cluster, s3: S3Server, trouble: str
) -> None:
    with SpoilingProxy(s3.endpoint) as proxy:
        place = replace(s3.new_place(), endpoint=proxy.endpoint)
        spool = await open_store(tmp_path, postgres.new_database(), files=place)
        submission = mail()
        kept = await spool.accept(submission)
        proxy.trouble = trouble
        refused = mail()
        for call in (
            spool.accept(refused),
            spool.part(kept.message_id, "raw"),
            spool.erase(kept.ticket_id),
        ):
            with pytest.raises(FilesUnavailable) as error:
                await call
            assert error.value.smtp_reply.startswith("451 4.3.0 ")
            assert place.bucket not in str(error.value)
            assert place.prefix not in str(error.value)
        proxy.trouble = ""
        await spool.erase(kept.ticket_id)
        later = await spool.accept(refused)
        assert await spool.part(later.message_id, "raw") == refused.payload
        # What arrived of the refused one is removed when the server answers again.
        await tidy(spool._writer, spool._files)
        assert len(names(place)) == 1
        await spool.close()


async def test_wrong_keys_are_refused_and_told_to_nobody(
    tmp_path: Path, postgres: Cluster, place: ObjectSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = replace(place, access_key="WRONGACCESSKEY", secret_key="wrongsecretkey")
    with pytest.raises(FilesUnavailable) as refused:
        await open_store(tmp_path, postgres.new_database(), files=wrong)
    assert refused.value.detail == "files-refused"
    said = f"{refused.value!r} {wrong!r} {caplog.text}"
    for secret in (wrong.access_key, wrong.secret_key):
        assert secret not in said
    missing = replace(place, bucket="UPPER.not-there")
    with pytest.raises((FilesUnavailable, ConfigInvalid)):
        await open_store(tmp_path, postgres.new_database(), files=missing)


async def test_settings_of_the_environment_do_not_count(
    place: ObjectSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert names(place) == set()


async def test_a_store_that_overwrites_is_refused(tmp_path: Path, postgres: Cluster, s3: S3Server) -> None:
    with SpoilingProxy(s3.endpoint) as proxy:
        proxy.trouble = "condition-ignored"
        place = replace(s3.new_place(), endpoint=proxy.endpoint)
        with pytest.raises(ConfigInvalid, match="If-None-Match"):
            await open_store(tmp_path, postgres.new_database(), files=place)


async def test_a_server_that_says_of_what_was_deleted_that_it_is_not_there(
    tmp_path: Path, postgres: Cluster, s3: S3Server
) -> None:
    with SpoilingProxy(s3.endpoint) as proxy:
        place = replace(s3.new_place(), endpoint=proxy.endpoint)
        spool = await open_store(tmp_path, postgres.new_database(), files=place)
        kept = [await spool.accept(mail()) for _ in range(3)]
        proxy.trouble = "nothing-there"
        for one in (kept[0], kept[0], kept[1]):
            await spool.erase(one.ticket_id)
        await asyncio.to_thread(spool._files.store.remove, sorted(names(place)))
        assert names(place) == set()
        # What another 404 says, of a bucket that is not there, deletes nothing.
        wrong = open_files(replace(place, bucket="not-there"))
        with pytest.raises(FilesUnavailable):
            await asyncio.to_thread(wrong.names)
        await spool.close()


async def test_a_certificate_is_checked(place: ObjectSettings) -> None:
    authority, other = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with SpoilingProxy(place.endpoint, tls) as proxy:
        good = replace(place, endpoint=proxy.endpoint, ca=authority.cert_pem.bytes())
        assert await asyncio.to_thread(names, good) == set()
        for bad in (None, other.cert_pem.bytes()):
            with pytest.raises(FilesUnavailable):
                await asyncio.to_thread(names, replace(good, ca=bad))


# ------------------------------------------------------------------ as an operator sees it


async def test_commands_work_with_a_bucket(tmp_path: Path, postgres: Cluster, place: ObjectSettings) -> None:
    folder = tmp_path / "gw"
    await initialise(folder, name="Desk", address="support@desk.example")
    config = load_config(folder / "veildesk.toml")
    old = await SqlSpool.open(
        config.gateway.state_dir, KeyRing.load(config.keys.ring), SystemClock(), 30, min_free=0
    )
    await fill(old)
    before = await content(old)
    await old.close()
    for name, key in (("access", place.access_key), ("secret", place.secret_key)):
        (folder / "keys" / f"s3-{name}").write_text(key + "\n")
        (folder / "keys" / f"s3-{name}").chmod(0o600)
    with (folder / "veildesk.toml").open("a") as file:
        file.write(
            f'\n[store]\ndatabase = "{postgres.new_database()}"\n[store.s3]\nendpoint = "{place.endpoint}"\n'
            f'bucket = "{place.bucket}"\nprefix = "{place.prefix}"\n'
            'access_key_file = "keys/s3-access"\nsecret_key_file = "keys/s3-secret"\n'
        )

    async def run(*words: str) -> str:
        done = await asyncio.to_thread(
            CliRunner().invoke, main, [*words, "--config", str(folder / "veildesk.toml"), "--json"]
        )
        assert done.exit_code == 0, done.output
        return done.output

    await run("migrate")
    assert len(names(place)) > 0
    config = load_config(folder / "veildesk.toml")
    new = await SqlSpool.open(
        config.gateway.state_dir, KeyRing.load(config.keys.ring), SystemClock(), 30,
        database=database_of(config), files=files_of(config), min_free=0,
    )  # fmt: skip
    assert await content(new) == before
    told = {one["id"]: one["level"] for one in json.loads(await run("check"))["checks"]}
    assert told["spool.bucket"] == told["spool.versions"] == told["spool.damaged"] == "ok"
    made = json.loads(await run("backup", "--bulk", str(tmp_path / "bulk"), "--keys", str(tmp_path / "keys")))
    assert (made["files"], made["missing"]) == (len(names(place)), 0)
    await new.close()
