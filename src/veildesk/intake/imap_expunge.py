"""Remove mails for good from the account they were fetched from, when their ticket is deleted or over."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from veildesk.core.errors import BackendUnavailable
from veildesk.intake.imap import ImapSettings
from veildesk.intake.imap_connection import Disconnected, ImapConnection

__all__ = ["expunge_before", "expunge_mails"]

_SAFE: Final = re.compile(r"[!#-\[\]-~]{1,900}\Z")


async def expunge_mails(settings: ImapSettings, context: ssl.SSLContext, message_ids: Sequence[str]) -> None:
    """Remove the mails with these Message-IDs (without angle brackets) from every folder in use.

    Raises `BackendUnavailable`; repeating it does no harm.
    """
    wanted = [f'HEADER Message-ID "<{one}>"' for one in message_ids if _SAFE.match(one)]
    await _expunge(settings, context, (settings.processed, settings.folder, settings.failed), wanted)


async def expunge_before(settings: ImapSettings, context: ssl.SSLContext, day: int) -> None:
    """Remove what arrived before a day (days since 1970 UTC) from the processed folder."""
    first = date(1970, 1, 1) + timedelta(days=day)
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    when = f"{first.day}-{months[first.month - 1]}-{first.year}"
    await _expunge(settings, context, (settings.processed,), [f"BEFORE {when}"])


async def _expunge(
    settings: ImapSettings, context: ssl.SSLContext, folders: Sequence[str], searches: Sequence[str]
) -> None:
    if not searches:
        return
    try:
        connection = await ImapConnection.open(
            settings.host, settings.port, settings.user, settings.password, context, settings.timeout
        )
    except Disconnected:
        raise BackendUnavailable("mailbox") from None
    try:
        for folder in dict.fromkeys(folders):
            if not await connection.has_folder(folder):
                continue
            await connection.select(folder)
            for search in searches:
                await connection.expunge(await connection.search(search))
    except Disconnected:
        connection.abort()
        raise BackendUnavailable("mailbox") from None
    finally:
        await connection.close()
