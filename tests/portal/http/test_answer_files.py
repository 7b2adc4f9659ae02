"""Files that came with an answer, as a visitor gets them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from portal.fakes import HOST, World
from portal.visitor import Page, Visitor
from veildesk.core.ticket import File
from veildesk.portal import connection
from veildesk.portal.headers import HEADERS
from veildesk.portal.views.answer_file import disposition

SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\n"
PATH = "/en/ticket/message/2/file/1"
CONTENT = b"How to mend it, in many steps.\n" * 20_000


@pytest.fixture
async def answered(world: World) -> Visitor:
    visitor = Visitor(world)
    words = await visitor.open_ticket("Nothing works")
    await world.answer(words, "See the file", SIGNED, File("steps.txt", "text/plain", CONTENT))
    visitor.words = words
    return visitor


async def test_a_file_is_listed_with_its_size_and_hash_and_comes_whole(answered: Visitor) -> None:
    page = await answered.get("/en/ticket")
    (link,) = [node for node in page.tree.iter("a") if node.get("href") == PATH]
    assert "".join(link.itertext()) == "Download steps.txt"
    assert "605 kB" in page.text
    assert hashlib.sha256(CONTENT).hexdigest() in page.text
    assert "Go offline before you open it." in page.text
    response = await answered.client.get(PATH)
    assert response.content == CONTENT
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == 'attachment; filename="steps.txt"'
    assert response.headers["content-length"] == str(len(CONTENT))
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


async def test_who_has_not_opened_the_ticket_gets_nothing(answered: Visitor) -> None:
    stranger = Visitor(answered.world)
    assert (await stranger.client.get(PATH)).status_code == 410
    await stranger.open_ticket("Another matter")
    assert (await stranger.client.get(PATH)).status_code == 404


@pytest.mark.parametrize(
    "where", ["1/file/1", "2/file/0", "2/file/2", "3/file/1", "0/file/1", "9/file/99999"]
)
async def test_what_is_not_there_is_not_found(answered: Visitor, where: str) -> None:
    assert (await answered.client.get(f"/en/ticket/message/{where}")).status_code == 404


async def test_own_files_are_named_but_not_kept(world: World) -> None:
    visitor = Visitor(world)
    await visitor.open_ticket("Nothing works", [("mine.txt", b"x")])
    assert "mine.txt" in (await visitor.get("/en/ticket")).text
    assert (await visitor.client.get("/en/ticket/message/1/file/1")).status_code == 404


async def test_without_cookies_a_file_is_named_and_how_to_get_it(answered: Visitor) -> None:
    reader = Visitor(answered.world, cookies=False)
    page = Page(await reader.post((await reader.get("/en/track")).form().set(words=answered.words)))
    assert "steps.txt" in page.text
    assert "To answer, to save files or to delete the ticket, allow cookies" in page.text
    assert not [node for node in page.tree.iter("a") if "/file/" in (node.get("href") or "")]


async def test_new_words_open_the_files_too(answered: Visitor) -> None:
    page = await answered.get("/en/ticket/words")
    await answered.submit(page.form("/en/ticket/words"))
    assert (await answered.client.get(PATH)).content == CONTENT


async def test_after_deleting_the_file_is_gone(answered: Visitor) -> None:
    form = (await answered.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    await answered.submit(form)
    assert (await answered.client.get(PATH)).status_code == 410


async def test_a_missing_or_damaged_piece_is_an_error_and_not_a_short_file(answered: Visitor) -> None:
    pieces = answered.world.spool.pieces
    first = next(iter(pieces))
    pieces[first] = pieces[first][:-1] + bytes([pieces[first][-1] ^ 1])
    damaged = await answered.client.get(PATH)
    assert (damaged.status_code, damaged.headers["content-type"]) == (503, "text/html; charset=utf-8")
    pieces.clear()
    assert (await answered.client.get(PATH)).status_code == 503


async def test_the_copy_of_everything_names_files_and_holds_no_keys(answered: Visitor) -> None:
    exported = json.loads((await answered.client.get("/en/ticket/export")).text)
    digest = hashlib.sha256(CONTENT).hexdigest()
    told = {"name": "steps.txt", "type": "text/plain", "size": len(CONTENT), "sha256": digest}
    assert exported["entries"][1]["attachments"] == [told]


async def test_few_are_given_out_at_the_same_time(answered: Visitor) -> None:
    await answered.get("/en")
    answered.site.settings = replace(answered.world.settings, downloads=2)
    answered.site.downloading = 2
    full = await answered.client.get(PATH)
    assert full.status_code == 429
    assert full.headers["retry-after"] == "30"
    answered.site.downloading = 1
    assert (await answered.client.get(PATH)).content == CONTENT
    assert answered.site.downloading == 1


async def test_a_download_is_open_for_one_piece_at_a_time(answered: Visitor) -> None:
    """Memory is bounded by pieces, whatever the size: the second is opened after the first was taken."""
    spool, order = answered.world.spool, []
    real = spool.thread_piece

    async def noted(lookup_id: bytes, place: str, number: int) -> bytes | None:
        order.append(f"piece {number}")
        return await real(lookup_id, place, number)

    spool.thread_piece = noted

    async def send(message: dict[str, object]) -> None:
        if message.get("body"):
            order.append("slice")

    async def receive() -> dict[str, object]:
        await asyncio.get_running_loop().create_future()
        return {}

    request = answered.client.build_request("GET", PATH)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": PATH,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw]
        + [(b"cookie", f"visit={answered.client.cookies['visit']}".encode())],
    }
    scope["headers"] = [(b"host", HOST.encode()), scope["headers"][-1]]
    await answered.app(scope, receive, send)
    assert order[0] == "piece 0"
    half = order.index("piece 1")
    assert order[1:half] == ["slice"] * (half - 1)
    assert half > 3
    assert set(order[half + 1 :]) == {"slice"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ('a"b;c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%3Bc.txt"),
        (
            "отчёт.pdf",
            f"attachment; filename=\"_____.pdf\"; filename*=UTF-8''{quote('отчёт')}.pdf",
        ),
        ("..", "attachment; filename=\"file\"; filename*=UTF-8''.."),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
    ],
)
def test_names_cannot_change_the_header(name: str, expected: str) -> None:
    assert disposition(name) == expected


def test_who_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stops taking an answer is closed after a while; one that takes is not."""
    calls: list[tuple[float, object]] = []

    class Loop:
        def call_later(self, seconds: float, call: object) -> asyncio.Handle:
            calls.append((seconds, call))
            return handle

    class Handle:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    class Flow:
        def pause_writing(self) -> None: ...
        def resume_writing(self) -> None: ...

    handle = Handle()
    made = connection.Connection.__new__(connection.Connection)
    made.loop, made.flow = Loop(), Flow()
    made.transport = type("Transport", (), {"abort": "abort"})()
    made.pause_writing()
    made.pause_writing()
    assert calls == [(connection.TAKING_SECONDS, "abort")]
    made.resume_writing()
    assert handle.cancelled
