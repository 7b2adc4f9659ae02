"""What the configuration says of who we are: own onions, official addresses, the footer of mails."""

from __future__ import annotations

from veildesk.core.notice import Identity
from veildesk.notices.identity import footer, official_handle
from veildesk.service.config import Config
from veildesk.service.onions import portal_address, status_address

__all__ = ["mail_footer", "own_onions", "wanted_identity", "where_listed"]


def own_onions(config: Config) -> list[str]:
    """Our onion addresses, that of the status site last."""
    found = (portal_address(config.onion), status_address(config.onion))
    return [one for one in found if one is not None]


def wanted_identity(config: Config) -> Identity:
    """The list of official addresses as the configuration has it."""
    identity = config.identity
    mails = [config.gateway.address, *identity.mails]
    mails += [config.notices.mail] if config.notices.mail else []
    return Identity(
        signers=tuple(dict.fromkeys((config.keys.notice, *config.notices.signers))),
        threshold=config.notices.threshold,
        heartbeat_key=config.keys.heartbeat,
        support_key=config.keys.support,
        onions=tuple(dict.fromkeys((*own_onions(config), *identity.onions))),
        domains=identity.domains,
        mails=tuple(dict.fromkeys(mails)),
        handles=tuple(official_handle(one) for one in identity.handles),
    )


def where_listed(config: Config) -> str:
    """The address at which the list of official addresses is served, empty if there is none."""
    hosts = [*own_onions(config)]
    if hosts:
        return f"http://{hosts[0]}/addresses.asc"
    return f"https://{config.identity.domains[0]}/addresses.asc" if config.identity.domains else ""


def mail_footer(config: Config) -> str:
    """The footer of every outgoing mail; empty when there is no address to point to."""
    where = where_listed(config)
    return footer(where) if where else ""
