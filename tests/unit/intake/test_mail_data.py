"""Reading mail in pieces: the same bytes as line by line, however they arrive."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.intake.mail_data import has_bare_line_end, mail_pieces

TRICKY = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\r\n.", b"\n.\n", b"\r\n..\r\n", b"x" * 1500]
    )
).map(b"".join)


def stuffed(mail: bytes) -> bytes:
    """What a client sends for a mail that ends a line (RFC 5321 § 4.5.2)."""
    lines = mail.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


async def read(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """The pieces of the mail, and what is left in the reader."""
    reader = asyncio.StreamReader(limit=1001)

    async def feed() -> None:
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    found = [piece async for piece in mail_pieces(reader)]
    await feeding
    return found, await reader.read()


@given(TRICKY, st.lists(st.integers(1, 3000), max_size=20), st.sampled_from([b"", b"QUIT\r\n", b".\r\n"]))
def test_any_mail_comes_out_as_it_went_in_and_commands_behind_it_stay(
    text: bytes, cuts: list[int], behind: bytes
) -> None:
    mail = text if not text or text.endswith(b"\r\n") else text + b"\r\n"
    sent = stuffed(mail) + behind
    pieces = []
    for size in cuts:
        pieces.append(sent[:size])
        sent = sent[size:]
    found, left = asyncio.run(read([one for one in (*pieces, sent) if one]))
    assert b"".join(found) == mail
    assert left == behind
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", mail) is not None
    assert any(map(has_bare_line_end, found)) == bare


@given(TRICKY)
def test_byte_by_byte_is_the_same(text: bytes) -> None:
    mail = text[:200] + b"\r\n"
    sent = stuffed(mail)
    found, left = asyncio.run(read([sent[at : at + 1] for at in range(len(sent))]))
    assert (b"".join(found), left) == (mail, b"")


@pytest.mark.parametrize("cut", [b"", b"hello\r\n", b"hello\r\n.", b"hello\r\n.\r", b"\n.\n", b".\r"])
def test_a_client_that_goes_away_before_the_end_mark_leaves_no_mail(cut: bytes) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read([cut]))


def test_nothing_waits_for_more_than_the_end_mark() -> None:
    async def main() -> None:
        for mail in (b".\r\n", b"a\r\n.\r\n", b"\r\n.\r\n", b"..\r\n.\r\n"):
            reader = asyncio.StreamReader(limit=1001)
            reader.feed_data(mail)  # And no end of the stream.
            async with asyncio.timeout(30):
                assert b"".join([piece async for piece in mail_pieces(reader)]) == mail[:-3].replace(
                    b"..", b"."
                )

    asyncio.run(main())
