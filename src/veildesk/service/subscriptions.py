"""Mail to the notices' address: subscribe by a token from the portal, leave by the token of a notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from veildesk.core.message import OpenedMessage
from veildesk.notices.subscribers import Subscribers, find_token
from veildesk.ops.clock import SystemClock
from veildesk.service.config import Config
from veildesk.spool.keyring import KeyRing

__all__ = ["subscription_handler", "subscribers"]

_log = logging.getLogger("veildesk.notices")


def subscribers(config: Config, keyring: KeyRing) -> Subscribers:
    """Who gets notices by mail."""
    secret = keyring.derive_secret(b"notice-subscribers")
    return Subscribers(config.gateway.state_dir / "notices" / "subscribers", secret)


def subscription_handler(
    config: Config, keyring: KeyRing
) -> Callable[[OpenedMessage], Awaitable[bool]] | None:
    """What takes such mails; None when there are no notices by mail."""
    if config.notices.mail is None:
        return None
    known, clock = subscribers(config, keyring), SystemClock()

    async def handle(message: OpenedMessage) -> bool:
        found = find_token(f"{message.subject}\n{message.text}")
        if found is None:
            return False
        token, action = found
        if action == "stop":
            done = await asyncio.to_thread(known.stop, f"stop-{token}")
        elif message.from_address is None or message.automatic:
            done = False
        else:
            # Only where the mail is from; an address written inside could be anyone's.
            done = await asyncio.to_thread(known.start, f"start-{token}", message.from_address, clock.now())
        _log.info("subscription action=%s done=%s", action, done)
        return True

    return handle
