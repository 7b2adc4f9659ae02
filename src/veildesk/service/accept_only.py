"""`veildesk accept`: a process that only takes mail over. It has no key ring, no GnuPG home and no helpdesk.

Who breaks into it sees mails as they pass and opens nothing that came before: it can seal new tickets for the
store and nothing else (`veildesk.spool.store_intake`). Its one secret, the intake file, recognises a mail
that came twice.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from veildesk.child.memory import forbid_core_files, give_back_large_blocks
from veildesk.core.errors import ConfigInvalid, KeyUnusable, SpoolUnavailable
from veildesk.core.limits import Limits
from veildesk.core.submission import Channel
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.ops.notify import notify
from veildesk.service.clock_guard import ClockGuard, GuardedClock
from veildesk.service.config import Config, ListenConfig
from veildesk.service.database import database_of, files_of
from veildesk.service.sockets import mail_sockets
from veildesk.service.stopping import stop_at_signals
from veildesk.service.taken import refuse_taken
from veildesk.spool.durable import write_file
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store_intake import AcceptOnlySpool

__all__ = ["place_of", "serve_accepting", "write_intake_file"]

_log = logging.getLogger("veildesk.service")
_LENGTH = 32


def write_intake_file(config: Config) -> Path:
    """Write what an accepting process needs of the ring; the same each time."""
    path = config.keys.intake
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, [KeyRing.load(config.keys.ring).intake_secret])
    return path


def _intake_secret(path: Path) -> bytes:
    try:
        mode, secret = path.stat().st_mode, path.read_bytes()
    except OSError:
        raise KeyUnusable("[keys] intake: the file is missing; 'veildesk keys intake' writes it") from None
    if mode & 0o077:
        raise KeyUnusable("[keys] intake: the file is accessible to other users")
    if len(secret) != _LENGTH:
        raise KeyUnusable("[keys] intake: the file is damaged; 'veildesk keys intake' writes it")
    return secret


async def serve_accepting(config: Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises `VeildeskError` for what cannot work."""
    forbid_core_files()
    give_back_large_blocks()
    listeners = [(Channel.LMTP, config.lmtp), (Channel.SMTP, config.smtp)]
    if not any(listen for _, listen in listeners):
        raise ConfigInvalid("[lmtp] or [smtp] is needed to accept anything")
    stop = stop_at_signals()
    refuse_taken(mail_sockets(config))
    secret = await asyncio.to_thread(_intake_secret, config.keys.intake)
    # A note of its own: the gateway's may be another user's, or on another host.
    before = int(config.keys.intake.stat().st_mtime)
    guard = ClockGuard(config.gateway.state_dir / "clock-accept", before)
    async with AsyncExitStack() as stack:
        spool = await AcceptOnlySpool.open(
            config.gateway.state_dir,
            secret,
            GuardedClock(guard.latest),
            config.gateway.retention_days,
            database=database_of(config),
            files=files_of(config),
        )
        stack.push_async_callback(spool.close)
        guard.look()
        for channel, listen in listeners:
            if listen is not None:
                listener = _listener(config, channel, listen, spool, secret)
                await listener.start()
                stack.push_async_callback(listener.close)
        _log.info("accepting")
        notify("READY=1", "STATUS=accepting")
        stopped, failed = asyncio.create_task(stop.wait()), asyncio.create_task(spool.failure())
        looking = asyncio.create_task(guard.run())
        await asyncio.wait({stopped, failed, looking}, return_when=asyncio.FIRST_COMPLETED)
        notify("STOPPING=1")
        code = SpoolUnavailable.exit_code if failed.done() else 0
        for task in (stopped, failed, looking):
            task.cancel()
    _log.info("stopped")
    return code


def _listener(
    config: Config, channel: Channel, listen: ListenConfig, spool: AcceptOnlySpool, secret: bytes
) -> Listener:
    recipients = Recipients(
        {address: name for name, queue in config.queues.items() for address in queue.addresses},
        delimiter=config.gateway.reply_delimiter,
    )
    place = place_of(listen, config.base)
    settings = ListenerSettings(hostname=config.gateway.domain, channel=channel, **place)
    return Listener(settings, spool, Limits(), recipients, secret)


def place_of(listen: ListenConfig, base: Path) -> dict[str, Any]:
    """Where a listener waits, as `ListenerSettings` takes it; makes the folder of a Unix socket."""
    kind, _, rest = listen.listen.partition(":")
    if kind == "unix":
        path = base / rest
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return {"path": path}
    host, _, port = listen.listen.rpartition(":")
    return {"host": host.strip("[]"), "port": int(port)}
