"""Take agents' answers over from a helpdesk, each exactly once.

The position in the helpdesk is stored in the same commit as the answer; an answer seen again after a
crash, by an overlapping position or after a second webhook has the same key and changes nothing.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Final

from veildesk.core.encoding import encode_reply
from veildesk.core.errors import BackendRefused, VeildeskError, WorkLost
from veildesk.core.limits import Limits
from veildesk.core.ports import Acknowledges, Backend, Spool
from veildesk.core.submission import dedup_key
from veildesk.core.ticket import AgentReply, File, TicketChange

__all__ = ["collect_replies"]

_log = logging.getLogger("veildesk.replies")
_ELSEWHERE: Final = (
    "Veildesk: answers in this ticket reach nobody. It is not the one that Veildesk made for the person, but "
    "a copy of it, or one that got its number or its field. Please answer in the person's own ticket."
)
_NOBODY: Final = (
    "Veildesk: answers in this ticket reach nobody any more. The person deleted it, or its time was over."
)


async def collect_replies(
    backend: Backend, spool: Spool, secret: bytes, place_in: Callable[[str, str], str], limits: Limits
) -> int:
    """Poll once; returns how many answers were new.

    `secret` keys the deduplication digests; `place_in` makes what the spool keeps as a ticket's place of
    the helpdesk's name and its number. Raises `BackendUnavailable` or `BackendRefused`, with everything
    before the fault kept.
    """
    fresh = 0
    cursor = await spool.cursor(backend.name)
    async for reply in backend.replies(cursor):
        if await _belongs(backend, spool, reply, place_in):
            fresh += await _take(backend, spool, reply, secret, limits)
        else:
            if reply.thread:
                await _tell(backend, reply, secret, _ELSEWHERE)
            if reply.cursor and reply.cursor != cursor:
                await spool.set_cursor(backend.name, reply.cursor)
        cursor = reply.cursor or cursor
        if isinstance(backend, Acknowledges):
            await backend.acknowledge(reply)
    return fresh


async def _belongs(
    backend: Backend, spool: Spool, reply: AgentReply, place_in: Callable[[str, str], str]
) -> bool:
    """Whether the ticket the answer stands in is the one that we made for this thread.

    The thread is a field that agents may be able to edit, and some helpdesks give a number twice: only
    both together say whose answer it is.
    """
    if not reply.thread:
        return False
    place = await spool.backend_ref(reply.thread)
    # Not known yet: the helpdesk made the ticket, and we stopped before we could note its number.
    known = (place_in(backend.name, ""), place_in(backend.name, reply.ref))
    if place is not None and reply.ref and place not in known:
        _log.error("reply-in-wrong-ticket backend=%s", backend.name)
        return False
    return True


async def _take(backend: Backend, spool: Spool, reply: AgentReply, secret: bytes, limits: Limits) -> bool:
    whole = await _with_files(backend, reply, limits)
    parts = {"reply": encode_reply(whole)}
    place = backend.name.encode(), reply.reply_id.encode()
    key = dedup_key(secret, b"reply", *place)
    try:
        kept = await spool.collect(reply.thread, key, parts, (backend.name, reply.cursor))
        if not kept.fresh and kept.ticket_id not in (reply.thread, *reply.others):
            # A helpdesk that was restored gives numbers a second time; merging moves an answer elsewhere. It
            # is kept for a person to decide.
            _log.warning("reply-number-again backend=%s", backend.name)
            again = dedup_key(secret, b"reply-again", *place, reply.thread.encode())
            unsure = dataclasses.replace(whole, others=(*whole.others, ""))
            parts = {"reply": encode_reply(unsure)}
            kept = await spool.collect(reply.thread, again, parts, (backend.name, reply.cursor))
    except WorkLost:
        # The ticket was erased meanwhile: nobody is left who could be answered.
        _log.warning("reply-without-ticket backend=%s", backend.name)
        await _tell(backend, reply, secret, _NOBODY)
        if reply.cursor:
            await spool.set_cursor(backend.name, reply.cursor)
        return False
    return kept.fresh


async def _tell(backend: Backend, reply: AgentReply, secret: bytes, note: str) -> None:
    """A remark for agents where their answer stands, one for each ticket; it holds up nobody's answers."""
    if not reply.ref or not (reply.text.strip() or reply.files or reply.remote):
        return
    key = dedup_key(secret, b"not-taken", backend.name.encode(), reply.ref.encode(), note.encode())
    try:
        await backend.update(reply.ref, TicketChange(note=note, note_key=key.hex()[:32]))
    except VeildeskError as error:
        _log.warning("remark-failed backend=%s reason=%s", backend.name, error.code)


async def _with_files(backend: Backend, reply: AgentReply, limits: Limits) -> AgentReply:
    """The answer with its files; one too large or gone is named as missing, which holds the answer."""
    files: list[File] = []
    missing: list[str] = []
    room = limits.answer_files_size
    for file in reply.files:
        if len(files) < limits.attachments and len(file.content) <= room:
            files.append(file)
            room -= len(file.content)
        else:
            missing.append(file.name)
    for remote in reply.remote:
        content = bytearray()
        try:
            most = min(limits.attachment_size, room)
            if len(files) >= limits.attachments or (remote.size or 0) > most:
                raise BackendRefused("file-too-large")
            async for piece in backend.download(remote):
                content += piece
                if len(content) > most:
                    raise BackendRefused("file-too-large")
        except BackendRefused:
            missing.append(remote.name or "file")
        else:
            files.append(File(remote.name, remote.media_type, bytes(content)))
            room -= len(content)
    return dataclasses.replace(reply, files=tuple(files), remote=(), missing=(*reply.missing, *missing))
