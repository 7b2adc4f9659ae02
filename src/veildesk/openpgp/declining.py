"""How an engine says that a message is not for it; the next one is asked then."""

from __future__ import annotations

__all__ = ["Declined"]


class Declined(Exception):
    """This engine does not fully understand what it was given, and says nothing about it.

    Never raised once integrity was found broken: that is final. `reason` is a fixed word.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
