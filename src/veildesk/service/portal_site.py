"""The portal's settings and ports, from the configuration in force."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable

from veildesk.core.ticket import Erasure
from veildesk.portal.ports import Eraser, PortalPorts, PortalSettings
from veildesk.redact.rules import RuleSet
from veildesk.service.build import WORDS_PEPPER, Gateway
from veildesk.service.config import AttachmentsConfig
from veildesk.service.eraser import look_up_erasure
from veildesk.service.notices import notice_board
from veildesk.service.onions import portal_address, status_address
from veildesk.service.portal_offer import PortalOffer
from veildesk.service.portal_receipts import SupportReceipts
from veildesk.service.subscriptions import subscribers

__all__ = ["ROTATION_DAYS", "portal_offer", "portal_ports", "portal_settings", "status_settings"]

ROTATION_DAYS = 1
"""How often the store's keys are changed; what was deleted is unreadable in backups from then on."""


async def portal_settings(gateway: Gateway) -> PortalSettings:
    """What the portal works by; the privacy page is made of it. Raises `KeyUnusable`."""
    config, portal = gateway.config, gateway.config.portal
    assert portal is not None
    onion = portal_address(config.onion)
    hosts = ([onion] if onion else []) + [*portal.extra_hosts, *portal.clearnet_hosts]
    return PortalSettings(
        organisation=config.gateway.name,
        hosts=tuple(host.lower() for host in hosts) or ("localhost",),
        clearnet_hosts=tuple(host.lower() for host in portal.clearnet_hosts),
        onion=onion,
        circuits=config.onion is not None and config.onion.circuits,
        form_secret=gateway.keyring.derive_secret(b"portal-forms"),
        support_key=await gateway.engine.export(config.keys.support),
        support_fingerprint=config.keys.support,
        notices_key=await gateway.engine.export(config.keys.notice),
        notices_fingerprint=config.keys.notice,
        support_address=config.gateway.address,
        notices_address=config.notices.mail,
        retention_days=config.gateway.retention_days,
        rotation_days=ROTATION_DAYS,
        # Types switched off for agents are still offered for hiding: here their owner chooses.
        rules=RuleSet(own=config.redact.own),
        queue="support" if "support" in config.queues else next(iter(config.queues)),
        queues=portal.queues,
        open=portal.open,
        challenge=portal.challenge,
    )


def _subscription(gateway: Gateway) -> Callable[[], Awaitable[str]] | None:
    """What makes the tokens that people mail in to get notices; None when there are none by mail."""
    if gateway.config.notices.mail is None:
        return None
    known = subscribers(gateway.config, gateway.keyring)

    async def token() -> str:
        return known.start_token(gateway.clock.now())

    return token


def status_settings(gateway: Gateway, settings: PortalSettings) -> PortalSettings | None:
    """The same for the site of the notices alone; None when it has no onion or a process of its own."""
    address = status_address(gateway.config.onion)
    if address is None or gateway.config.status is not None:
        return None
    return dataclasses.replace(settings, hosts=(address,), clearnet_hosts=(), onion=address, status_only=True)


def portal_offer(gateway: Gateway, site: PortalSettings, status: PortalSettings | None) -> PortalOffer:
    """What a portal process gets to work by."""
    portal, files = gateway.config.portal, gateway.config.attachments or AttachmentsConfig()
    assert portal is not None
    return PortalOffer(
        site=site,
        socket=portal.socket,
        pepper=gateway.keyring.derive_secret(WORDS_PEPPER),
        status=status,
        status_socket=portal.status_socket,
        clamd=files.clamd,
        require_sandbox=files.require_sandbox,
        subscriptions=gateway.config.notices.mail is not None,
    )


def portal_ports(
    gateway: Gateway, erase: Eraser, count: Callable[[str], None], parking: Callable[[], bool]
) -> PortalPorts:
    """What the portal gets of the gateway."""
    config = gateway.config
    signer = config.keys.support

    async def counted(choice: str) -> None:
        count(choice)

    async def erasure(code: str) -> Erasure | None:
        return await look_up_erasure(gateway.eraser, code)

    return PortalPorts(
        intake=gateway.spool,
        threads=gateway.spool,
        cipher=gateway.cipher,
        cleaner=gateway.cleaner,
        notices=notice_board(config),
        subscription=_subscription(gateway),
        clock=gateway.clock,
        erase=erase,
        random_bytes=os.urandom,
        receipts=SupportReceipts(
            organisation=config.gateway.name,
            sign=lambda text: gateway.engine.clearsign(text, signer),
            threads=gateway.spool,
            erasure=erasure,
            clock=gateway.clock,
        ),
        count=counted,
        parking=parking,
        erasure=erasure,
    )
