"""The eraser of a configuration: where its jobs and holds lie, and which mailbox it empties."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

from veildesk.core.ports import Backend, Clock
from veildesk.intake.imap import ImapSettings
from veildesk.intake.imap_expunge import expunge_before, expunge_mails
from veildesk.service.config import Config, ImapConfig
from veildesk.service.eraser import Eraser
from veildesk.spool.store import SqlSpool

__all__ = ["make_eraser", "old_mail_expunger"]


def make_eraser(config: Config, spool: SqlSpool, backends: Mapping[str, Backend], clock: Clock) -> Eraser:
    """The eraser over the store's own jobs and holds."""
    imap = config.imap

    async def expunge(message_ids: Sequence[str]) -> None:
        assert imap is not None
        await expunge_mails(_settings(imap), _context(imap), message_ids)

    return Eraser(
        spool=spool,
        backends=backends,
        jobs=spool.erase_jobs,
        holds=spool.holds,
        clock=clock,
        random_bytes=os.urandom,
        expunge=expunge if imap is not None else None,
    )


def old_mail_expunger(config: Config) -> Callable[[int], Awaitable[None]] | None:
    """What empties the source mailbox of mails from before a day; None without such a mailbox."""
    imap = config.imap
    if imap is None:
        return None

    async def expunge(day: int) -> None:
        await expunge_before(_settings(imap), _context(imap), day)

    return expunge


def _settings(imap: ImapConfig) -> ImapSettings:
    return ImapSettings(
        host=imap.host,
        port=imap.port,
        user=imap.user,
        password=imap.password_file.read_text(encoding="utf-8").rstrip("\r\n"),
        folder=imap.folder,
        processed=imap.processed,
        failed=imap.failed,
    )


def _context(imap: ImapConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(imap.ca_file) if imap.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
