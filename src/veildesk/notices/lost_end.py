"""Whether the end of our own series is gone here though it was published: an old backup, a deleted file.

Another statement under its number would be a fork, and a heartbeat that calls what is left the whole a lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from veildesk.notices.archive import NoticeDirectory, NoticeRefused
from veildesk.notices.heartbeat_file import last_heartbeat

__all__ = ["newest_known", "refuse_lost_end"]

_COPY = re.compile(r"(\d{1,6})\.asc")
_LEDGER = re.compile(r"(\d{6})\.json")


def newest_known(folder: Path, copies: Iterable[Path]) -> int:
    """The highest number that anything here remembers, 0 for none.

    The last heartbeat, the ledgers of channels, and `copies`, the folders of exports.
    """
    beat = last_heartbeat(folder)
    numbers = [0 if beat is None else beat.head_number]
    for ledger in (folder / "delivery").glob("*/"):
        numbers += _numbers(ledger, _LEDGER)
    for copy in copies:
        numbers += _numbers(copy / "status", _COPY)
    return max(numbers)


def refuse_lost_end(directory: NoticeDirectory, copies: Iterable[Path]) -> None:
    """Raise `NoticeRefused` when a statement that was published is missing at the end of the series."""
    number = len(directory.published()) + 1
    if newest_known(directory.folder, copies) >= number:
        raise NoticeRefused(
            f"statement {number} was published and is missing here; restore it from a channel that has "
            "it, such as a static export, and run 'veildesk notice verify'"
        )


def _numbers(folder: Path, form: re.Pattern[str]) -> list[int]:
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    return [int(match[1]) for name in names if (match := form.fullmatch(name))]
