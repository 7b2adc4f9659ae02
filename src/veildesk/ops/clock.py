"""The real clock."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Implements `core.ports.Clock` on the operating system."""

    def now(self) -> int:
        """Seconds since 1970, UTC."""
        return int(time.time())

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()
