"""What a configuration says that cannot work: misspelt names, addresses and places to listen at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from veildesk.core.errors import ConfigInvalid
from veildesk.mail.address import valid_address

__all__ = ["check_names", "unknown"]

_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}")
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})")


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """What to say about a name that is not known: the likely one, or all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"unknown {what}; " + (f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}")


def check_names(
    address: str, domain: str, queues: Mapping[str, Iterable[str]], places: Mapping[str, str]
) -> None:
    """Raises `ConfigInvalid` for addresses and places that nothing could be reached at.

    `queues` have the addresses of each; `places` say where each listener listens.
    """
    if not valid_address(address):
        raise ConfigInvalid("[gateway] address: expected an address such as support@example.org")
    if not _DOMAIN.fullmatch(domain):
        raise ConfigInvalid("[gateway] domain: expected a domain such as example.org")
    for name, addresses in queues.items():
        for one in addresses:
            if not valid_address(one):
                raise ConfigInvalid(f"[queues.{name}] addresses: {one!r} is no mail address")
    for name, place in places.items():
        match = _HOST_AND_PORT.fullmatch(place)
        if place.startswith("unix:") and len(place) > 5:
            continue
        if match is None or not 0 < int(match.group(1)) < 65536:
            raise ConfigInvalid(f"[{name}] listen: expected unix:PATH or ADDRESS:PORT")
