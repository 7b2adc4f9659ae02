"""The parts of a running gateway: listeners, loops, portal, onion, and what the control socket answers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvicorn

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.core.submission import Channel
from veildesk.core.ticket import Erased
from veildesk.core.work import State, Work
from veildesk.intake.imap import ImapPoller, ImapSettings
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.onion.key import load_key
from veildesk.onion.service import ManagedOnion
from veildesk.ops.control import Handler
from veildesk.ops.notify import notify, watchdog_seconds
from veildesk.portal import serve as portal_serve
from veildesk.portal.app import create_app
from veildesk.portal.ports import PortalPorts, PortalSettings
from veildesk.service.build import Gateway, tls_context
from veildesk.service.config import ListenConfig
from veildesk.service.erasure import erase_ticket
from veildesk.service.feedback import FeedbackCounts
from veildesk.service.workers import Poller, Sweeper, Worker

__all__ = ["Running"]

_log = logging.getLogger("veildesk.service")
_WORKERS = 2
_ROTATE_SECONDS = 86400
_OUTCOMES = 1000
Job = tuple[str, Coroutine[Any, Any, None]]


class Running:
    """Starts every part that the configuration switches on, and answers questions about them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._config = gateway.config
        self._listeners: list[Listener] = []
        self._pollers: dict[str, Poller] = {}
        self._workers: list[Worker] = []
        self._onion: ManagedOnion | None = None
        self._imap: ImapPoller | None = None
        self._erased: dict[bytes, Erased] = {}
        self._feedback = FeedbackCounts(self._config.gateway.state_dir / "feedback.json", gateway.clock)
        self._recipients = Recipients(
            {address: name for name, queue in self._config.queues.items() for address in queue.addresses},
            delimiter=self._config.gateway.reply_delimiter,
        )

    async def start(self, stack: AsyncExitStack) -> list[Job]:
        """Open listeners and return the loops to run. Raises `OSError` for an address in use."""
        gateway = self._gateway
        jobs: list[Job] = []
        for number in range(_WORKERS):
            worker = Worker(gateway.spool, gateway.inbound, gateway.outbound)
            self._workers.append(worker)
            jobs.append((f"worker-{number}", worker.run()))
        for name, backend in gateway.backends.items():
            pause = self._config.backends[name].poll_seconds
            self._pollers[name] = Poller(backend, gateway.spool, gateway.inbound.secret, pause)
            jobs.append((f"poll-{name}", self._alone(f"poll-{name}", self._pollers[name].run)))
        jobs.append(("sweep", self._alone("sweep", self._sweeper().run)))
        jobs.append(("store", self._watch_store()))
        if self._config.onion is not None:
            self._onion = self._make_onion()
            jobs.append(("onion", self._onion.run()))
        if self._config.portal is not None:
            jobs.append(("portal", await self._portal(self._config.portal.socket)))
        for channel, listen in ((Channel.LMTP, self._config.lmtp), (Channel.SMTP, self._config.smtp)):
            if listen is not None:
                await self._listen(channel, listen)
                stack.push_async_callback(self.stop_listening)
        if self._config.imap is not None:
            self._imap = self._make_imap()
            jobs.append(("imap", self._alone("imap", self._imap.run)))
        if (seconds := watchdog_seconds()) is not None:
            jobs.append(("watchdog", _watchdog(seconds)))
        return jobs

    def _sweeper(self) -> Sweeper:
        gateway = self._gateway
        ring = gateway.keyring.path

        def due() -> bool:
            # The ring is replaced at each rotation, so its date survives restarts.
            return gateway.clock.now() - ring.stat().st_mtime > _ROTATE_SECONDS

        return Sweeper(
            gateway.spool,
            gateway.backends,
            gateway.clock,
            gateway.spool.rotate,
            due,
            contacts=gateway.spool.contacts,
            retention_days=self._config.gateway.retention_days,
        )

    async def _watch_store(self) -> None:
        """End the process once the store refuses for good: only a fresh start may trust the disk again."""
        raise SpoolUnavailable(await self._gateway.spool.failure())

    async def _alone(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run what only one of all gateways on a store may do; take over when that one is gone."""
        await self._gateway.spool.lease(name)
        _log.info("lease name=%s", name)
        await run()

    async def stop_listening(self) -> None:
        """Close the mail listeners; mails in transfer are finished or refused for now."""
        while self._listeners:
            await self._listeners.pop().close()

    # --------------------------------------------------------------- parts
    async def _listen(self, channel: Channel, listen: ListenConfig) -> None:
        kind, _, rest = listen.listen.partition(":")
        place: dict[str, Any]
        if kind == "unix":
            path = self._config.base / rest
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            place = {"path": path}
        else:
            host, _, port = listen.listen.rpartition(":")
            place = {"host": host.strip("[]"), "port": int(port)}
        # Behind Postfix a refusal would become a bounce to an address that nobody has proven to be the
        # sender's; only a client that is the sender's own server is told.
        early = self._early_check if channel is Channel.SMTP else None
        listener = Listener(
            ListenerSettings(hostname=self._config.gateway.domain, channel=channel, **place),
            self._gateway.spool,
            self._gateway.limits,
            self._recipients,
            self._gateway.inbound.secret,
            early_check=early,
        )
        await listener.start()
        self._listeners.append(listener)

    async def _early_check(self, raw: bytes, recipient: str) -> VeildeskError | None:
        queue = self._recipients.queue_for(recipient)
        return await self._gateway.inbound.judge(raw, queue or "support")

    def _make_imap(self) -> ImapPoller:
        config = self._config.imap
        assert config is not None
        return ImapPoller(
            ImapSettings(
                host=config.host,
                port=config.port,
                user=config.user,
                password=config.password_file.read_text(encoding="utf-8").rstrip("\r\n"),
                folder=config.folder,
                processed=config.processed,
                failed=config.failed,
                queue=config.queue,
            ),
            self._gateway.spool,
            self._gateway.limits,
            self._gateway.inbound.secret,
            tls_context=tls_context(config.ca_file),
        )

    def _make_onion(self) -> ManagedOnion:
        onion, portal = self._config.onion, self._config.portal
        assert onion is not None
        targets = [(80, f"unix:{portal.socket}")] if portal else []
        return ManagedOnion(
            onion.control_socket,
            onion.key_file,
            targets,
            proof_of_work=onion.proof_of_work,
            max_streams=onion.max_streams,
        )

    async def _portal(self, socket: Path) -> Coroutine[Any, Any, None]:
        gateway, config = self._gateway, self._config
        assert config.portal is not None
        hosts = list(config.portal.extra_hosts)
        if config.onion is not None:
            hosts.insert(0, load_key(config.onion.key_file).address)
        settings = PortalSettings(
            organisation=config.gateway.name,
            hosts=tuple(hosts or ["localhost"]),
            form_secret=gateway.keyring.derive_secret(b"portal-forms"),
            support_key=await gateway.engine.export(config.keys.support),
            support_fingerprint=config.keys.support,
            notices_key=await gateway.engine.export(config.keys.notice),
            notices_fingerprint=config.keys.notice,
            support_address=config.gateway.address,
            retention_days=config.gateway.retention_days,
            queue="support" if "support" in config.queues else next(iter(config.queues)),
            queues=config.portal.queues,
        )
        ports = PortalPorts(
            intake=gateway.spool,
            threads=gateway.spool,
            cipher=gateway.cipher,
            cleaner=gateway.cleaner,
            notices=gateway.notices,
            clock=gateway.clock,
            erase=self._erase,
            random_bytes=os.urandom,
            sign=lambda text: gateway.engine.clearsign(text, config.keys.support),
            count=self._feedback.add,
        )
        socket.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        socket.unlink(missing_ok=True)
        server = _QuietServer(portal_serve.config(create_app(settings, ports), socket))
        return _serve(server)

    async def _erase(self, lookup_id: bytes) -> Erased:
        """Erase a portal ticket; what could not be erased in the helpdesk is told, never called gone."""
        view = await self._gateway.spool.thread(lookup_id)
        if view is None:
            return self._erased.get(lookup_id, Erased.GONE)
        # Before the first attempt: should it break in the middle, a repeat must not find "nothing there".
        self._erased[lookup_id] = Erased.UNSUPPORTED
        outcome = await erase_ticket(self._gateway.spool, self._gateway.backends, view.ticket_id)
        self._erased[lookup_id] = outcome
        while len(self._erased) > _OUTCOMES:
            del self._erased[next(iter(self._erased))]
        return outcome

    # ------------------------------------------------------------- control
    def handlers(self) -> Mapping[str, Handler]:
        """What the control socket answers."""
        handlers: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "poll": self._poll,
            "spool-list": self._spool_list,
            "spool-show": self._spool_show,
            "spool-retry": self._spool_retry,
        }
        return handlers

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        onion = self._onion.state() if self._onion else None
        return {
            "running": True,
            "messages": dict(await self._gateway.spool.counts()),
            "done": sum(worker.done for worker in self._workers),
            "backends": {name: "ok" if p.healthy else "failing" for name, p in self._pollers.items()},
            "onion": onion.address if onion else None,
            "onion_published": onion.published if onion else None,
            "onion_trouble": onion.trouble if onion else None,
            "feedback": self._feedback.totals(),
        }

    async def _poll(self, request: Mapping[str, Any]) -> bool:
        for poller in self._pollers.values():
            poller.nudge()
        return True

    async def _spool_list(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        states = [State(word) for word in request.get("states", [])]
        return [_row(work) for work in await self._gateway.spool.listing(states or None)]

    async def _spool_show(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for work in await self._gateway.spool.listing():
            if work.message_id == request["message"]:
                return _row(work)
        raise KeyError("message")

    async def _spool_retry(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return _row(await self._gateway.spool.retry(str(request["message"])))


class _QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the gateway decides when it stops."""

    def install_signal_handlers(self) -> None:
        """None: see the class."""

    def capture_signals(self) -> Any:
        """None: see the class."""
        from contextlib import nullcontext

        return nullcontext()


async def _serve(server: uvicorn.Server) -> None:
    running = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        # Cancelling uvicorn would cut off answers under way, or break it while it starts.
        server.should_exit = True
        await asyncio.wait({running}, timeout=15)
        running.cancel()
        raise


async def _watchdog(seconds: float) -> None:
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)


def _row(work: Work) -> dict[str, Any]:
    return {
        "message": work.message_id,
        "ticket": work.ticket_id,
        "direction": work.direction.value,
        "channel": work.channel.value,
        "queue": work.queue,
        "state": work.state.value,
        "reason": work.reason.value,
        "attempts": work.attempts,
        "accepted_day": work.accepted_day,
        "parked_from": work.parked_from.value if work.parked_from else None,
    }
