"""What is written is read the same, and nothing else is read at all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.fakes import FakeNotices
from portal.fakes import settings as portal_settings
from veildesk.core.notice import Board, IncidentState
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.portal_receipts import LodgedFile, LodgedMessage
from veildesk.core.ports import ThreadView
from veildesk.core.submission import PortalEntry, SpareCode
from veildesk.core.ticket import Deletion, Erased, Erasure
from veildesk.link import replies
from veildesk.link import requests as asked
from veildesk.link.frames import BadFrame, Bounds, Frame, pack, read_frame
from veildesk.link.shape import dump, load
from veildesk.portal.ports import PortalSettings
from veildesk.redact.rules import rule_set

ID, OTHER, KEY = b"i" * 32, b"o" * 32, b"k" * 1217
SPARES = (SpareCode(b"d" * 16, b"sealed"), SpareCode(b"e" * 16, b"sealed too"))
ENTRY = PortalEntry(
    text="Zeile\n\N{SNOWMAN}",
    topic="payment",
    language="ru",
    kept=("a@b.example",),
    counts={"EMAIL": 2, "OWN_RULE": 1},
    numbering={"key": "AAAA", "seen": {"email": ["x", "y"]}},
    attachments=(("a.txt", "text/plain", b"x" * 70_000), ("b", "", b"")),
    own_words=("name",),
    confirmed=("value",),
)
EVERY: tuple[asked.Request, ...] = (
    asked.Settings(),
    asked.News(),
    asked.News(ID),
    asked.Accept(ID, OTHER, KEY, b"entry", SPARES, ENTRY),
    asked.Accept(ID, OTHER, KEY, b"entry", (), dataclasses.replace(ENTRY, attachments=())),
    asked.FindThread(ID),
    asked.GetPiece(ID, "0123456789abcdef", 99_999),
    asked.FindSpare(b"d" * 16),
    asked.Reword(ID, OTHER, KEY, SPARES, (b"one", b"two")),
    asked.Reword(ID, OTHER, KEY, (), ()),
    asked.Erase(ID),
    asked.FindErasure("abcdefghij234567"),
    asked.LodgingReceipt(
        ID,
        (
            LodgedMessage("2026-11-26", OTHER, (LodgedFile(7, ID), LodgedFile(0, ID))),
            LodgedMessage("2026-11-27", ID),
        ),
    ),
    asked.DeletionReceipt("abc"),
    asked.CountAnswer("partly"),
    asked.Token(),
)


@pytest.mark.parametrize("request_", EVERY, ids=lambda one: type(one).__name__)
def test_a_request_is_read_as_it_was_written(request_: asked.Request) -> None:
    assert asked.decode_request(Frame(request_.verb, request_.fields())) == request_


def test_every_kind_of_request_is_tried_here() -> None:
    assert {one.verb for one in EVERY} == set(asked.Verb)


def test_the_payload_of_a_message_is_the_same_as_without_a_link() -> None:
    written = asked.Accept(ID, OTHER, KEY, b"entry", SPARES, ENTRY)
    read = asked.decode_request(Frame(written.verb, written.fields()))
    assert isinstance(read, asked.Accept)
    assert encode_portal_entry(read.entry) == encode_portal_entry(ENTRY)


FIELDS = st.lists(st.binary(max_size=70) | st.sampled_from([ID, KEY, b"\0" * 4]), max_size=12)


@settings(max_examples=400, deadline=None)
@given(kind=st.integers(0, 255), fields=FIELDS)
def test_whatever_fields_come_they_are_read_wholly_or_refused(kind: int, fields: list[bytes]) -> None:
    try:
        request = asked.decode_request(Frame(kind, tuple(fields)))
    except BadFrame:
        return
    assert request.fields() == tuple(fields)
    assert request.verb == kind


@settings(max_examples=400, deadline=None)
@given(which=st.sampled_from(EVERY), data=st.data())
def test_a_request_that_was_tampered_with_is_refused_or_another_whole_one(
    which: asked.Request, data: st.DataObject
) -> None:
    fields = [bytearray(field) for field in which.fields()]
    for _ in range(data.draw(st.integers(1, 3))):
        if not fields:
            break
        at = data.draw(st.integers(0, len(fields) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "drop", "double", "grow"])):
            case "flip" if fields[at]:
                fields[at][data.draw(st.integers(0, min(len(fields[at]), 400) - 1))] ^= data.draw(
                    st.integers(1, 255)
                )
            case "cut":
                del fields[at][data.draw(st.integers(0, len(fields[at]))) :]
            case "drop":
                del fields[at]
            case "double":
                fields.insert(at, fields[at])
            case "grow":
                fields[at] = fields[at] + data.draw(st.binary(max_size=40))
    try:
        read = asked.decode_request(Frame(which.verb, tuple(map(bytes, fields))))
    except BadFrame:
        return
    assert type(read) is type(which)
    if isinstance(read, asked.Accept):
        encode_portal_entry(read.entry)
    # Written anew it is read the same: nothing of it can mean two things.
    assert asked.decode_request(Frame(read.verb, read.fields())) == read


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_whatever_bytes_come_a_frame_is_read_refused_or_broken_off(data: bytes) -> None:
    async def read() -> Frame | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_frame(reader, asked.request_bounds, idle=60, seconds=60)

    try:
        frame = asyncio.run(read())
    except (BadFrame, asyncio.IncompleteReadError):
        return
    if frame is not None:
        assert data.startswith(b"".join(pack(frame)))


async def test_what_a_frame_announces_is_judged_before_it_is_waited_for() -> None:
    rooms: list[int] = []

    async def room(size: int) -> None:
        rooms.append(size)

    async def of(data: bytes) -> Frame | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        bounds: Mapping[int, Bounds] = {1: Bounds(2, 10)}
        return await read_frame(reader, bounds.get, idle=60, seconds=60, room=room)

    with pytest.raises(BadFrame, match="size"):
        await of(bytes([1, 0, 1, 0, 0, 0, 11]))
    with pytest.raises(BadFrame, match="count"):
        await of(bytes([1, 0, 3]))
    with pytest.raises(BadFrame, match="kind"):
        await of(bytes([2, 0, 0]))
    assert rooms == []
    assert await of(bytes([1, 0, 1, 0, 0, 0, 1]) + b"x") == Frame(1, (b"x",))
    assert rooms == [1]


def test_replies_are_read_as_they_were_written() -> None:
    view = ThreadView("t1", (b"a", b"b"), state="closed", expires_day=20_800)
    read = replies.read_thread(replies.thread_fields(view))
    assert read == dataclasses.replace(view, ticket_id="")
    assert replies.read_thread(replies.thread_fields(None)) is None
    deletion = Deletion(Erased.KEPT, "code", "2030-12-31")
    assert replies.read_deletion(replies.deletion_fields(deletion)) == deletion
    job = Erasure("gone", "open", "why", True, 3, 20_800)
    assert replies.read_erasure(replies.erasure_fields(job)) == job
    assert replies.read_erasure(()) is None
    for reader in (replies.read_deletion, replies.read_erasure, replies.read_flag, replies.read_one):
        with pytest.raises(BadFrame):
            reader((b"\xff",) * 9)  # type: ignore[operator]


def test_settings_and_boards_are_read_as_they_were_written() -> None:
    own = {
        "type": "CUSTOMER",
        "pattern": "CU-[0-9]{6}",
        "flags": "i",
        "finds": ["cu-123456"],
        "leaves": ["x"],
    }
    given_ = portal_settings(rules=rule_set({"rule": [own]}), queues={"security": "response"})
    assert load(PortalSettings, dump(given_)) == given_
    notices = FakeNotices()
    notices.add("Outage", IncidentState.INVESTIGATING)
    notices.add("Upgrade", IncidentState.SCHEDULED, starts=1_790_000_000)
    notices.add_everything()
    board = notices.board()
    assert load(Board, dump(board)) == board
    for broken in (b"", b"[]", b"{}", dump(given_)[:-2], dump(board)):
        with pytest.raises(BadFrame):
            load(PortalSettings, broken)
