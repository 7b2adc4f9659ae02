"""Sends mail for some domains straight to the onion service of their mail server.

The list is the operator's: names in the public DNS are not asked, since an answer there could come from
anybody. A domain on the list is never reached another way: while its onion does not answer, mail waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from veildesk.core.errors import ConfigInvalid
from veildesk.core.ports import Mailer
from veildesk.replies.mailer import SmtpMailer, SmtpMailerSettings, SocksProxy, Transport

__all__ = ["OnionRoutes", "parse_onion_routes"]

_PORT = 25


def parse_onion_routes(lines: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Lines like "example.org=abc…xyz.onion" or with ":port" at the end. Raises `ConfigInvalid`."""
    routes: dict[str, tuple[str, int]] = {}
    for line in lines:
        domain, _, place = line.partition("=")
        host, _, port = place.strip().lower().partition(":")
        if not domain.strip() or not host.endswith(".onion") or not (port or "25").isdigit():
            raise ConfigInvalid('[outgoing] onion_routes: expected lines like "example.org=….onion:25"')
        routes[domain.strip().lower()] = (host, int(port or _PORT))
    return routes


class OnionRoutes:
    """A `veildesk.core.ports.Mailer` that picks the way by the recipient's domain.

    `other` takes what is for no domain on the list. Raises `ConfigInvalid` for hosts that are no onion.
    """

    def __init__(
        self,
        routes: Mapping[str, tuple[str, int]],
        proxy: SocksProxy,
        hello_name: str,
        other: Mailer,
        *,
        timeout: float = 120.0,
    ) -> None:
        self._other = other
        self._routes = {
            domain: SmtpMailer(
                SmtpMailerSettings(
                    hello_name, host=host, port=port, transport=Transport.PLAIN, proxy=proxy, timeout=timeout
                )
            )
            for domain, (host, port) in routes.items()
        }

    async def send(self, wire: bytes, sender: str, recipient: str) -> None:
        """Send exact bytes. Raises `SendFailed` (try again) or `SendRefused` (do not)."""
        domain = recipient.rpartition("@")[2].lower().rstrip(".")
        await self._routes.get(domain, self._other).send(wire, sender, recipient)
