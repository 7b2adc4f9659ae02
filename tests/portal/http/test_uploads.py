"""Uploads: sealed in memory, never on a disk, limits told before and kept on the way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.portal.site import Site


@pytest.fixture
def small(world: World) -> Visitor:
    world.settings = replace(world.settings, files=2, file_size=1000, upload_size=1500)
    return Visitor(world)


async def test_files_go_along_and_are_told(visitor: Visitor, world: World) -> None:
    photo = b"pixels" * 1000 + b"GPS 52.5"
    check = await visitor.write("see photo", files=[("dir/photo.jpg", photo), ("tool.exe", b"MZ")])
    assert hashlib.sha256(photo).hexdigest() in check.text
    assert "the place where it was taken" in check.text
    assert "Will not be sent: Programs are not accepted." in check.text
    await visitor.submit(check.form(), op="send")
    entry = decode_portal_entry(world.spool.only.payload)
    assert entry.attachments == (("photo.jpg", "application/octet-stream", photo),)
    ticket = await visitor.get("/en/ticket")
    assert "photo.jpg" in ticket.text
    assert "tool.exe" not in ticket.text


async def test_kept_and_removed_files_after_change(visitor: Visitor, world: World) -> None:
    check = await visitor.write("two files", files=[("a.txt", b"aaa"), ("b.txt", b"bbb")])
    compose = await visitor.submit(check.form(), op="change")
    form = compose.form()
    boxes = [value for name, value in form.fields if name == "keep_file"]
    assert len(boxes) == 2
    check = await visitor.submit(form.drop("keep_file", boxes[0]), [("c.txt", b"ccc")])
    await visitor.submit(check.form(), op="send")
    entry = decode_portal_entry(world.spool.only.payload)
    assert [(name, content) for name, _kind, content in entry.attachments] == [
        ("b.txt", b"bbb"),
        ("c.txt", b"ccc"),
    ]


async def test_kept_and_new_files_count_together(small: Visitor) -> None:
    check = await small.write("hello", files=[("a", b"x"), ("b", b"x")])
    compose = await small.submit(check.form(), op="change")
    page = await small.submit(compose.form(), [("c", b"x")])
    assert "There are too many files." in page.text


async def test_a_declared_length_is_refused_before_the_body_is_read(visitor: Visitor) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"x" * 1000

    response = await visitor.client.post(
        "/en/new",
        content=body(),
        headers={"content-type": "multipart/form-data; boundary=b", "content-length": str(40 * 1024 * 1024)},
    )
    assert response.status_code == 413
    assert read <= 1


async def test_an_endless_body_without_length_is_cut(small: Visitor) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        while sent < 10_000_000:
            sent += 10_000
            yield b"x" * 10_000

    response = await small.client.post(
        "/en/new", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 413
    assert sent <= 1_000_000


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b"not a form"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nhalf',
        ),
        ("multipart/form-data; boundary=" + "b" * 300, b""),
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded", b"token=%ff"),
        ("application/x-www-form-urlencoded", "token=й".encode()),
        ("application/x-www-form-urlencoded", b"a=1&" * 1000),
    ],
)
async def test_what_is_no_form_is_400(visitor: Visitor, kind: str, content: bytes) -> None:
    response = await visitor.client.post("/en/new", content=content, headers={"content-type": kind})
    assert response.status_code == 400
    assert "<h1>" in response.text


async def test_no_upload_touches_a_disk(
    visitor: Visitor, world: World, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was asked for")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr(os, "open", refuse)
    check = await visitor.write("big one", files=[("big.bin", os.urandom(1024) * 5000)])
    await visitor.submit(check.form(), op="send")
    assert len(decode_portal_entry(world.spool.only.payload).attachments[0][2]) == 5_120_000


async def test_memory_for_drafts_is_bounded_and_given_back(world: World) -> None:
    world.settings = replace(world.settings, draft_memory=10_000)
    site = Site.build(world.settings, world.ports)
    assert site.budget.used == 0
    first, second = Visitor(world), Visitor(world)
    second.app, second.client._transport = first.app, first.client._transport
    check = await first.write("a", files=[("a.bin", b"x" * 8000)])
    page = await second.get("/en/new")
    told = await second.submit(page.form().set(message="b"), [("b.bin", b"x" * 8000)])
    assert "There is no room for files just now." in told.text
    await first.submit(check.form(), op="discard")
    assert (await second.post(page.form().set(message="b"), [("b.bin", b"x" * 8000)])).status_code == 303


async def test_plaintext_is_not_in_the_session_store(visitor: Visitor) -> None:
    marker = b"very-secret-marker"
    await visitor.write("text-marker-abc", files=[("a.bin", marker * 10_000)])
    middleware = visitor.app.middleware_stack
    while not hasattr(middleware, "site"):
        middleware = middleware.app
    store = middleware.site.sessions
    (record,) = store._records.values()
    kept = record.sealed + b"".join(chunk for blob in record.blobs.values() for chunk in blob._chunks)
    assert marker not in kept
    assert b"text-marker-abc" not in kept
    assert len(kept) > 180_000


async def test_slow_forms_are_cut_off_and_leave_room(world: World) -> None:
    world.settings = replace(world.settings, posts=1, stall=0.2)
    visitor = Visitor(world)
    began = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nhal'
        began.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        slow = asyncio.create_task(
            visitor.client.post(
                "/en/new", content=stalling(), headers={"content-type": "multipart/form-data; boundary=b"}
            )
        )
        await began.wait()
        assert (await visitor.client.post("/en/track", data={"words": ""})).status_code == 503
        assert (await visitor.client.get("/en/status")).status_code == 200
        assert (await slow).status_code == 400
        assert (await visitor.client.post("/en/track", data={"words": ""})).status_code == 200


async def test_a_byte_now_and_then_does_not_hold_a_place(world: World) -> None:
    """Each byte comes before anything stalls, but far too few of them."""
    world.settings = replace(world.settings, posts=1, stall=0.3)
    visitor = Visitor(world)
    sent = 0

    async def dripping() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
        while sent < 1000:
            sent += 1
            await asyncio.sleep(0.05)
            yield b"x"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with asyncio.timeout(60):
        answer = await visitor.client.post("/en/new", content=dripping(), headers=headers)
    assert answer.status_code == 400
    assert sent < 1000


async def test_what_will_be_hidden_in_a_text_file_is_told(visitor: Visitor) -> None:
    log = b"login anna@posteo.net\nlogin bob@posteo.net\nKarlotta from 84.17.52.9\n"
    check = await visitor.write("see log", files=[("app.txt", log)], own_words="karlotta")
    assert "Hidden in it: E-mail addresses (2), IP addresses (1), Your own words (1)" in check.text
