"""Where the newest heartbeat lies."""

from __future__ import annotations

import contextlib
from pathlib import Path

from veildesk.core.notice import Heartbeat
from veildesk.notices.signing import signed_body
from veildesk.notices.text import parse_heartbeat

__all__ = ["HEARTBEAT_FILE", "last_heartbeat"]

HEARTBEAT_FILE = "heartbeat.asc"


def last_heartbeat(folder: Path) -> Heartbeat | None:
    """The newest heartbeat as it lies there, None if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        return parse_heartbeat(signed_body((folder / HEARTBEAT_FILE).read_text(encoding="utf-8")))
    return None
