"""Answers about certificates, for the short time in which they cannot have changed.

The same certificate is asked about two or three times for each mail. What it is good for depends on its bytes
and on the time alone; where a certificate is used, its usability is checked there again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from veildesk.core.ports import CertificateStatus

__all__ = ["StatusCache"]

_SECONDS = 30
_MOST = 256


class StatusCache:
    """By a digest of the certificate. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[int, CertificateStatus]] = OrderedDict()

    def get(self, certificate: bytes, now: int) -> CertificateStatus | None:
        """The status that was found at most half a minute ago, if its expiry did not come in between."""
        made, status = self._known.get(_digest(certificate), (now + 1, None))
        if status is None or not made <= now < made + _SECONDS:
            return None
        if status.expires is not None and status.expired != (status.expires <= now):
            return None
        return status

    def put(self, certificate: bytes, now: int, status: CertificateStatus) -> None:
        """Remember what was found at `now`."""
        self._known[_digest(certificate)] = now, status
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


def _digest(certificate: bytes) -> bytes:
    return hashlib.sha256(certificate).digest()
