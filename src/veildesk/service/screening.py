"""Look through an agent's answer before it leaves: its text, its files, and the text in its files."""

from __future__ import annotations

import asyncio
import dataclasses

from veildesk.attachments.finish import finish
from veildesk.core.contact import Contact
from veildesk.core.ports import Cleaner
from veildesk.core.ticket import AgentReply, File
from veildesk.core.work import Reason
from veildesk.redact.engine import find
from veildesk.replies.guard import AnswerRules, guard_reply

__all__ = ["screen_files", "screen_text"]


async def screen_text(text: str, contact: Contact | None, rules: AnswerRules) -> Reason:
    """Why this text must not leave, `NONE` when it may."""
    return await asyncio.to_thread(lambda: guard_reply(text, find(text), contact, rules))


async def screen_files(
    reply: AgentReply, cleaner: Cleaner, contact: Contact | None, rules: AnswerRules, *, approved: bool
) -> tuple[AgentReply, Reason]:
    """The answer with its files cleaned, and why it must not leave.

    Files lose what says who made them, with which program and where. One that cannot be cleaned holds the
    answer: it must not arrive without its files, nor with this one.
    """
    texts: list[str] = []

    def read(text: str) -> str:
        texts.append(text)
        return text

    files = []
    for file in reply.files:
        done = finish(await cleaner.clean(file.name, file.media_type, file.content), read)
        if done.content is None:
            return reply, Reason.FILES
        files.append(File(done.name, "text/plain" if done.text else done.media_type, done.content))
    if not approved:
        for text in texts:
            reason = await screen_text(text, contact, rules)
            if reason is not Reason.NONE:
                return reply, reason
    return dataclasses.replace(reply, files=tuple(files)), Reason.NONE
