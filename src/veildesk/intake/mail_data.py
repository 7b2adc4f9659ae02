"""The bytes between 354 and the end mark (RFC 5321 § 4.1.1.4), in pieces, with dot-stuffing undone (§ 4.5.2).

Only CRLF "." CRLF ends a mail. What a client sends behind it stays in the reader: with PIPELINING the next
command may come in the same packet (RFC 2920 § 3.1). Mails are read in pieces as large as they come, not
line by line: of 25 MB that would be 300,000 lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

__all__ = ["has_bare_line_end", "mail_pieces"]

_END: Final = b"\r\n.\r\n"
_BEFORE: Final = b"\r\n"


async def mail_pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Pieces of a mail up to the end mark; none ends between CR and LF.

    Raises `asyncio.IncompleteReadError` when the client goes away before the end mark.
    """
    # The mail begins a line, so its first dot is one behind a line end: that of the command.
    held, skip = _BEFORE, len(_BEFORE)
    while True:
        data = await _more(reader, held)
        ended = data.endswith(_END)
        held = b"" if ended else _begun(data)
        text = data[: len(data) - (len(_END) - len(_BEFORE) if ended else len(held))]
        piece = text.replace(b"\r\n.", b"\r\n")[skip:]
        skip = 0
        if piece:
            yield piece
        if ended:
            return


async def _more(reader: asyncio.StreamReader, held: bytes) -> bytes:
    """What comes next, `held` in front of it; never anything behind the end mark."""
    if held:
        # So many bytes come at least, or the end mark would never do.
        return held + await reader.readexactly(len(_END) - len(held))
    try:
        return await reader.readuntil(_END)
    except asyncio.LimitOverrunError as overrun:
        # No end mark begins in these.
        return await reader.readexactly(overrun.consumed)


def _begun(data: bytes) -> bytes:
    """The beginning of an end mark with which `data` stops, "" for none."""
    return next((_END[:size] for size in range(len(_END) - 1, 0, -1) if data.endswith(_END[:size])), b"")


def has_bare_line_end(piece: bytes) -> bool:
    """Whether there is a CR or LF without the other; the piece must not end between them."""
    pairs = piece.count(b"\r\n")
    return piece.count(b"\n") != pairs or piece.count(b"\r") != pairs
