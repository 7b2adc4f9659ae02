"""Which addresses are ours, and which queue each belongs to.

Local parts are compared without regard to case, as mail users expect; domains as well (RFC 5321 § 2.4).
An address with an extension ("support+token@...") belongs to the address without it. This module only
answers questions; it keeps and logs no address that it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from veildesk.core.errors import ConfigInvalid

__all__ = ["Recipients"]


class Recipients:
    """A table from address to queue name.

    `delimiter` starts an extension of the local part; empty for none. Raises `ConfigInvalid` for a key
    that is no address.
    """

    __slots__ = ("_delimiter", "_queues")

    def __init__(self, queues: Mapping[str, str], *, delimiter: str = "+") -> None:
        self._delimiter = delimiter
        self._queues: dict[str, str] = {}
        for address, queue in queues.items():
            local, at, domain = address.rpartition("@")
            if not (local and at and domain):
                raise ConfigInvalid("recipient-address")
            self._queues[address.lower()] = queue

    def queue_for(self, address: str) -> str | None:
        """The queue of an envelope recipient, None if the address is not ours."""
        wanted = address.lower()
        if wanted in self._queues:
            return self._queues[wanted]
        local, _, domain = wanted.rpartition("@")
        if self._delimiter and self._delimiter in local:
            base = local.partition(self._delimiter)[0]
            return self._queues.get(f"{base}@{domain}")
        return None

    def extension_of(self, address: str) -> str:
        """What stands between delimiter and "@" of an address that is ours only without it; else ""."""
        wanted = address.lower()
        local, _, _ = wanted.rpartition("@")
        if wanted in self._queues or not self._delimiter or self._delimiter not in local:
            return ""
        return local.partition(self._delimiter)[2]
