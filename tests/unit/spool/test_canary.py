"""Planted text in everything the store is given: found nowhere at rest, for both engines.

PostgreSQL is searched whole, with its log at its most talkative: tables, write-ahead log, temporary files. So
is the S3 server that holds the large parts then.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from testbed.canary import forms, hits
from testbed.postgres import Cluster, cluster
from testbed.s3_server import S3Server, s3_server
from veildesk.core.errors import WorkLost
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.work import Reason, State
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import ObjectSettings

NAMES = ("small", "large", "reply", "contact", "ref", "cursor", "wire", "position", "thread", "queue")


@pytest.fixture
def own_s3() -> Iterator[S3Server]:
    """Not that of the other tests, which holds much that would be searched in vain."""
    with s3_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Cluster]:
    """Not that of the other tests either."""
    with cluster() as made:
        yield made


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_plaintext_at_rest_before_and_after_deletion(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    canaries = {name: f"canary-{name}-{secrets.token_hex(8)}".encode() for name in NAMES}
    roots, database, files = [tmp_path], None, None
    if kind == "postgresql":
        server = request.getfixturevalue("own_s3")
        files = server.new_place()
        roots.append(server.folder)
        _show_that_the_search_works(server.data, files)
        postgres = request.getfixturevalue("own_postgres")
        database = postgres.new_database()
        roots.append(postgres.folder)
    ring = KeyRing.create(tmp_path / "ring")
    spool = await SqlSpool.open(
        tmp_path / "state", ring, SystemClock(), 30, database=database, files=files, min_free=0
    )
    tickets = await _fill(spool, canaries)
    needles = [form for canary in canaries.values() for form in forms(canary)]

    def found() -> list[str]:
        if database is not None:
            with psycopg.connect(database, autocommit=True) as admin:
                admin.execute("CHECKPOINT")
        return [hit for root in roots for hit in hits(root, needles)]

    assert found() == []
    if database is not None:  # The search does find what is there: ids stand in clear in rows and in the log.
        assert {"log"} < set(hits(postgres.folder, [tickets[0].encode()]))
    for ticket in tickets:
        await spool.erase(ticket)
    await spool.rotate()
    assert found() == []
    await spool.close()
    assert found() == []


def _show_that_the_search_works(data: Path, files: ObjectSettings) -> None:
    planted = f"planted-{secrets.token_hex(8)}".encode()
    store = open_files(files)
    store.write("planted", [secrets.token_bytes(5000), planted])
    store.close()
    assert hits(data, [planted])


async def _fill(spool: SqlSpool, canaries: dict[str, bytes]) -> list[str]:
    """Every way in for content, and the errors on the way."""

    def mail(data: bytes, dedup: bytes | None = None) -> Submission:
        return Submission(Channel.SMTP, dedup or secrets.token_bytes(32), data)

    large = await spool.accept(mail(canaries["large"] * 20_000))
    small = await spool.accept(mail(canaries["small"], b"k" * 32))
    await spool.accept(mail(canaries["small"], b"k" * 32))
    anchor = PortalAnchor(secrets.token_bytes(32), secrets.token_bytes(1217))
    post = Submission(
        Channel.PORTAL, b"p" * 32, canaries["position"], anchor=anchor, thread_entry=canaries["thread"]
    )
    portal = await spool.accept(post)
    cursor = ("desk", canaries["cursor"].decode())
    await spool.collect(small.ticket_id, b"r" * 32, {"reply": canaries["reply"]}, cursor)
    works = await spool.claim([State.ACCEPTED, State.COLLECTED], limit=9)
    out = next(work for work in works if work.state is State.COLLECTED)
    await spool.advance(
        out,
        State.SENDING,
        parts={"wire": canaries["wire"]},
        ticket_parts={"contact": canaries["contact"]},
        backend_ref=canaries["ref"].decode(),
        marker=secrets.token_bytes(32),
    )
    with contextlib.suppress(WorkLost):
        await spool.advance(out, State.SENDING, parts={"wire": canaries["queue"]})
    for work in works:
        if work.message_id == large.message_id:
            await spool.postpone(work, Reason.BACKEND_DOWN, 0)
    return [large.ticket_id, small.ticket_id, portal.ticket_id]
