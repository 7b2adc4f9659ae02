"""Servers for the rows about accepting mail: `mail_server.py ours|empty FOLDER` prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from veildesk.core.limits import Limits
from veildesk.core.submission import Channel
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.ops.clock import SystemClock
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool


class Nothing:
    """An empty handler: aiosmtpd answers 250 and forgets the mail."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return "250 OK"


async def ours(folder: Path) -> int:
    """The listener and the store."""
    spool = await SqlSpool.open(folder / "state", KeyRing.create(folder / "ring"), SystemClock(), 14)
    settings = ListenerSettings(hostname="bench.test", channel=Channel.SMTP)
    recipients = Recipients({"support@bench.test": "support"})
    listener = Listener(settings, spool, Limits(), recipients, b"s" * 32)
    await listener.start()
    assert listener.port is not None
    return listener.port


async def empty(_: Path) -> int:
    """aiosmtpd alone."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Nothing(), hostname="bench.test"), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    port = await (ours if kind == "ours" else empty)(folder)
    print(port, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
