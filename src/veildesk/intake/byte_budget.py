"""A ceiling on the bytes of unfinished mails in memory, shared by all sessions of one listener."""

from __future__ import annotations

__all__ = ["ByteBudget", "Share"]


class ByteBudget:
    """Counts bytes that sessions hold. `limit` and `used` are bytes."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes would fit now; nothing is held."""
        return self.used + size <= self.limit

    def share(self) -> Share:
        """A session's own part, empty at first; give it back with `release`."""
        return Share(self)


class Share:
    """What one transaction holds of a budget."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    def cover(self, size: int) -> bool:
        """Hold at least `size` bytes; False, and nothing changed, if the budget has no room for them."""
        more = size - self.held
        if more <= 0:
            return True
        if self._budget.used + more > self._budget.limit:
            return False
        self._budget.used += more
        self.held = size
        return True

    def release(self) -> None:
        """Give everything back; safe to call again."""
        self._budget.used -= self.held
        self.held = 0
