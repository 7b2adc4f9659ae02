"""What a configuration says that cannot work: misspelt names, addresses and places to listen at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from veildesk.core.errors import ConfigInvalid
from veildesk.mail.address import valid_address

if TYPE_CHECKING:
    from veildesk.service.config import Config

__all__ = ["check_names", "unknown"]

_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}")
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})")


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """What to say about a name that is not known: the likely one, or all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"unknown {what}; " + (f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}")


def check_names(config: Config) -> None:
    """Raises `ConfigInvalid` for addresses and places that nothing could be reached at."""
    if not valid_address(config.gateway.address):
        raise ConfigInvalid("[gateway] address: expected an address such as support@example.org")
    if not _DOMAIN.fullmatch(config.gateway.domain):
        raise ConfigInvalid("[gateway] domain: expected a domain such as example.org")
    for name, queue in config.queues.items():
        for address in queue.addresses:
            if not valid_address(address):
                raise ConfigInvalid(f"[queues.{name}] addresses: {address!r} is no mail address")
    for name, listener in (("lmtp", config.lmtp), ("smtp", config.smtp)):
        if listener is None:
            continue
        place = listener.listen
        match = _HOST_AND_PORT.fullmatch(place)
        if place.startswith("unix:") and len(place) > 5:
            continue
        if match is None or not 0 < int(match.group(1)) < 65536:
            raise ConfigInvalid(f"[{name}] listen: expected unix:PATH or ADDRESS:PORT")
