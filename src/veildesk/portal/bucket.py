"""Token buckets: one for all visitors together, and one for each Tor circuit where tor tells them apart.

Pure: time is passed in. A circuit's number identifies nobody and is forgotten with its bucket.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["CircuitBuckets", "TokenBucket"]

_MOST: Final = 4096


class TokenBucket:
    """`burst` tokens at most, `rate` new ones a second; the clock is monotonic seconds."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a bucket needs a positive rate and at least one token")
        self._rate, self._burst = rate, burst
        self._tokens, self._seen = float(burst), now

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens and return 0.0, or take none and return the seconds to wait."""
        self._refill(now)
        if self._tokens >= cost:
            self._tokens -= cost
            return 0.0
        return (cost - self._tokens) / self._rate

    def fill(self, now: float) -> float:
        """Which part of the tokens is left, 0 to 1."""
        self._refill(now)
        return self._tokens / self._burst

    def busy(self, now: float) -> bool:
        """Whether less than half of the tokens are left."""
        return self.fill(now) < 0.5

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._seen) * self._rate)
        self._seen = max(self._seen, now)


class CircuitBuckets:
    """A bucket for each of the circuits seen last; older ones are forgotten, so that memory is bounded."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, circuit: str, now: float, cost: float = 1.0) -> float:
        """As `TokenBucket.take`, for one circuit."""
        bucket = self._buckets.pop(circuit, None) or TokenBucket(self._rate, self._burst, now)
        self._buckets[circuit] = bucket
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return bucket.take(now, cost)
