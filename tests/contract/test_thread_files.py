"""Files beside a portal thread, over the real stores and the fake, and the pieces they are sealed in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.test_spool import SetClock, new_anchor
from veildesk.core.errors import AuthenticationFailed
from veildesk.core.ports import Spool
from veildesk.core.submission import Channel, PortalAnchor, Submission
from veildesk.core.thread_entry import piece_name
from veildesk.core.work import State
from veildesk.spool import KeyRing, MemorySpool, SqlSpool, WordsCipher
from veildesk.spool.thread_files import PIECE, open_piece, seal_file

PLACE = "0123456789abcdef"


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def spool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spool]:
    clock = SetClock()
    if request.param == "memory":
        yield MemorySpool(clock, retention_days=30)
        return
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()
    ring = KeyRing.create(tmp_path / "ring")
    store = await SqlSpool.open(tmp_path / "state", ring, clock, 30, database=database, min_free=0)
    yield store
    await store.close()


async def answered(spool: Spool, anchor: PortalAnchor, *pieces: bytes) -> str:
    """A ticket with an answer whose files lie beside the thread."""
    lodged = Submission(Channel.PORTAL, secrets.token_bytes(32), b"x", anchor=anchor, thread_entry=b"own")
    ticket = (await spool.accept(lodged)).ticket_id
    await spool.collect(ticket, secrets.token_bytes(32), {"reply": b"x"}, None)
    (work,) = await spool.claim([State.COLLECTED])
    parts: dict[str, bytes | None] = {piece_name(PLACE, n): piece for n, piece in enumerate(pieces)}
    work = await spool.advance(work, State.SENDING, parts={"wire": b"w"}, ticket_parts=parts)
    await spool.advance(work, State.SENT, parts={"wire": None}, thread_entry=b"answer")
    return ticket


async def test_pieces_are_found_by_the_words_of_their_own_thread_only(spool: Spool) -> None:
    mine, theirs = new_anchor(), new_anchor()
    large = secrets.token_bytes(700_000)
    await answered(spool, mine, large, b"last")
    await answered(spool, theirs)
    assert await spool.thread_piece(mine.lookup_id, PLACE, 0) == large
    assert await spool.thread_piece(mine.lookup_id, PLACE, 1) == b"last"
    assert await spool.thread_piece(mine.lookup_id, PLACE, 2) is None
    assert await spool.thread_piece(theirs.lookup_id, PLACE, 0) is None
    assert await spool.thread_piece(b"?" * 32, PLACE, 0) is None
    view = await spool.thread(mine.lookup_id)
    assert view is not None
    assert view.entries == (b"own", b"answer")


async def test_new_words_keep_the_files_and_old_words_lose_them(spool: Spool) -> None:
    before, after = new_anchor(), new_anchor()
    await answered(spool, before, b"piece")
    assert await spool.reword(before.lookup_id, after, [b"a", b"b"], [])
    assert await spool.thread_piece(after.lookup_id, PLACE, 0) == b"piece"
    assert await spool.thread_piece(before.lookup_id, PLACE, 0) is None


async def test_deleting_the_ticket_deletes_its_files(spool: Spool, tmp_path: Path) -> None:
    anchor = new_anchor()
    ticket = await answered(spool, anchor, secrets.token_bytes(700_000), b"last")
    files = tmp_path / "state" / "files"
    assert isinstance(spool, MemorySpool) or len(list(files.iterdir())) == 1
    await spool.erase(ticket)
    assert await spool.thread_piece(anchor.lookup_id, PLACE, 0) is None
    assert isinstance(spool, MemorySpool) or not list(files.iterdir())


@pytest.mark.parametrize("place", ["", "..", "x" * 16, "0123456789ABCDEF", PLACE + "0", "contact"])
async def test_only_pieces_of_files_can_be_asked_for(spool: Spool, place: str) -> None:
    with pytest.raises(ValueError):
        await spool.thread_piece(b"?" * 32, place, 0)


@pytest.mark.parametrize("size", [0, 1, 255, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_a_file_opens_piece_by_piece(size: int) -> None:
    cipher = WordsCipher(b"p" * 32, memory_kib=64, iterations=1)
    content = secrets.token_bytes(size)
    sealed = cipher.seal_file(content)
    count = len(sealed.pieces)
    opened = [cipher.open_piece(sealed.key, n, count, piece) for n, piece in enumerate(sealed.pieces)]
    assert all(len(piece) == PIECE for piece in opened[:-1])
    assert b"".join(opened)[:size] == content
    assert not b"".join(opened)[size:].strip(b"\0")
    cipher.close()


def test_lengths_show_in_steps_only() -> None:
    shown = {sum(map(len, seal_file(bytes(size)).pieces)) for size in range(1_000_000, 1_030_000, 1000)}
    assert len(shown) <= 2


def test_pieces_cannot_be_moved_left_out_or_changed() -> None:
    sealed = seal_file(secrets.token_bytes(2 * PIECE + 1))
    first, second, third = sealed.pieces
    wrong = [
        (sealed.key, 0, 3, second),
        (sealed.key, 1, 2, second),
        (sealed.key, 3, 3, third),
        (sealed.key, 0, 3, first[:-1]),
        (sealed.key, 0, 3, b"\x02" + first[1:]),
        (sealed.key, 0, 3, b""),
        (sealed.key[:-1], 0, 3, first),
        (secrets.token_bytes(32), 0, 3, first),
    ]
    for case in wrong:
        with pytest.raises(AuthenticationFailed):
            open_piece(*case)
    assert seal_file(b"x").key != seal_file(b"x").key
