"""The parts of a running gateway: listeners, loops, portal, onion, and what the control socket answers."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.core.ports import OnionService
from veildesk.core.submission import Channel
from veildesk.core.ticket import Deletion, Erased
from veildesk.core.work import Reason, State, Work
from veildesk.intake.imap import ImapPoller, ImapSettings
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.link.server import LinkServer
from veildesk.link.shape import dump
from veildesk.ops.control import Handler
from veildesk.ops.lag import LoopLag
from veildesk.ops.metrics import MetricsServer
from veildesk.ops.notify import notify, watchdog_seconds
from veildesk.portal.app import create_app
from veildesk.portal.ports import PortalPorts, PortalSettings
from veildesk.redact.engine import searcher
from veildesk.service.accept_only import place_of
from veildesk.service.approving import approve
from veildesk.service.backlog import backlog
from veildesk.service.build import Gateway, tls_context
from veildesk.service.clock_guard import GuardedClock
from veildesk.service.config import ListenConfig, PortalConfig
from veildesk.service.eraser import look_up_erasure
from veildesk.service.eraser_wiring import old_mail_expunger
from veildesk.service.feedback import FeedbackCounts
from veildesk.service.key_pages import keep_mail_key
from veildesk.service.measuring import Measuring
from veildesk.service.notices import open_press
from veildesk.service.onions import build_onions
from veildesk.service.outages import Outages, retry_all
from veildesk.service.parking import Parking
from veildesk.service.portal_desk import PortalDesk, uid_of
from veildesk.service.portal_site import (
    ROTATION_DAYS,
    portal_offer,
    portal_ports,
    portal_settings,
    status_settings,
)
from veildesk.service.reporting import Reporter
from veildesk.service.serving import QuietServer, serve_site, site_server
from veildesk.service.status_site import Upkeep
from veildesk.service.webhooks import webhook_server
from veildesk.service.workers import Poller, Sweeper, Worker

__all__ = ["Running", "rotation_due"]

_log = logging.getLogger("veildesk.service")
_ROTATE_SECONDS = 86400 * ROTATION_DAYS
_SKEW = 3600
_OUTCOMES = 1000
_NOTICE_SECONDS = 60.0
Job = tuple[str, Coroutine[Any, Any, None]]


class Running:
    """Starts every part that the configuration switches on, and answers questions about them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._config = gateway.config
        self._listeners: list[Listener] = []
        self._pollers: dict[str, Poller] = {}
        self._workers: list[Worker] = []
        self._onions: dict[str, OnionService] = {}
        self._imap: ImapPoller | None = None
        # The control socket answers before every part is there; until then nothing is called running.
        self._ready = False
        self._erased: dict[bytes, Deletion] = {}
        self._desk: PortalDesk | None = None
        self._lag = LoopLag()
        self._measuring = Measuring(
            gateway.spool,
            self._lag,
            self._done,
            self._healthy,
            gateway.eraser.counts,
            lambda: gateway.guard.doubt is not None,
        )
        self._feedback = FeedbackCounts(self._config.gateway.state_dir / "feedback.json", gateway.clock)
        self._parking = Parking(self._config.gateway.state_dir / "parking", gateway.spool)
        self._recipients = Recipients(
            {address: name for name, queue in self._config.queues.items() for address in queue.addresses},
            delimiter=self._config.gateway.reply_delimiter,
        )

    async def start(self, stack: AsyncExitStack) -> list[Job]:
        """Open listeners and return the loops to run. Raises `ListenerUnavailable` for an address in use."""
        jobs: list[Job] = []
        try:
            await self._start(stack, jobs)
        except BaseException:
            for _, job in jobs:
                job.close()
            raise
        return jobs

    async def _start(self, stack: AsyncExitStack, jobs: list[Job]) -> None:
        gateway = self._gateway
        reporter = Reporter(gateway.spool, gateway.backends, gateway.inbound.secret, gateway.clock)
        if self._config.answers.remarks:
            jobs.append(("remarks", reporter.run()))
        told = reporter.tell if self._config.answers.remarks else (lambda _: None)
        outages = self._outages()
        # A helpdesk that is slow keeps its own workers busy and leaves the others theirs.
        for number in range(self._config.gateway.workers * max(1, len(gateway.backends))):
            worker = Worker(
                gateway.spool,
                gateway.inbound,
                gateway.outbound,
                parking=self._parking,
                outages=outages,
                told=told,
            )
            self._workers.append(worker)
            jobs.append((f"worker-{number}", worker.run()))
        for name, backend in gateway.backends.items():
            pause = self._config.backends[name].poll_seconds
            poller = Poller(backend, gateway.spool, gateway.inbound.secret, pause, outages=outages)
            self._pollers[name] = poller
            jobs.append((f"poll-{name}", self._alone(f"poll-{name}", poller.run)))
        if (webhooks := webhook_server(self._config, self._pollers)) is not None:
            await stack.enter_async_context(await webhooks.start())
        jobs.append(("clock", gateway.guard.run()))
        jobs.append(("sweep", self._alone("sweep", self._sweeper().run)))
        jobs.append(("erase", self._alone("erase", gateway.eraser.run)))
        jobs.append(("store", self._watch_store()))
        jobs.append(("rules", _prepare_rules()))
        jobs.append(("lag", self._lag.run()))
        if self._config.metrics is not None:
            jobs.append(("metrics", MetricsServer(self._config.metrics.socket, self._measuring.gather).run()))
        await self._keep_mail_key()
        gateway.key_watch.changed.append(self._keep_mail_key)
        jobs.append(("keys", gateway.key_watch.run()))
        if self._config.status is None:
            # With a status site its process does this, so that it goes on without the gateway.
            press = await stack.enter_async_context(open_press(self._config))
            jobs.append(("notices", self._alone("notices", Upkeep(press, _NOTICE_SECONDS).run)))
        self._onions = build_onions(self._config)
        jobs += [(name, onion.run()) for name, onion in self._onions.items()]
        if self._config.portal is not None:
            jobs += await self._portal(self._config.portal)
        for channel, listen in ((Channel.LMTP, self._config.lmtp), (Channel.SMTP, self._config.smtp)):
            if listen is not None:
                await self._listen(channel, listen)
                stack.push_async_callback(self.stop_listening)
        if self._config.imap is not None:
            self._imap = self._make_imap()
            jobs.append(("imap", self._alone("imap", self._imap.run)))
        if (seconds := watchdog_seconds()) is not None:
            jobs.append(("watchdog", _watchdog(seconds)))
        self._ready = True

    def _outages(self) -> Outages:
        return Outages(
            self._gateway.spool,
            {name: q.backend for name, q in self._config.queues.items()},
            {one.backend for one in self._config.routes.values()},
        )

    def _sweeper(self) -> Sweeper:
        gateway = self._gateway
        ring = gateway.keyring.path

        def due() -> bool:
            # The ring is replaced at each rotation, so its date survives restarts.
            return rotation_due(gateway.clock.now(), ring.stat().st_mtime)

        return Sweeper(
            gateway.spool,
            gateway.backends,
            GuardedClock(gateway.guard.earliest),
            gateway.spool.rotate,
            due,
            contacts=gateway.spool.contacts,
            retention_days=self._config.gateway.retention_days,
            eraser=gateway.eraser,
            latest=gateway.guard.latest,
            expunge_before=old_mail_expunger(self._config),
            queue_days={n: q.retention_days for n, q in self._config.queues.items() if q.retention_days},
        )

    def _done(self) -> int:
        return sum(worker.done for worker in self._workers)

    def _healthy(self) -> dict[str, bool]:
        return {name: poller.healthy for name, poller in self._pollers.items()}

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
        place = place_of(listen, self._config.base)
        # Behind Postfix a refusal would become a bounce to an address that nobody has proven to be the
        # sender's; only a client that is the sender's own server is told.
        early = self._early_check if channel is Channel.SMTP else None
        listener = Listener(
            ListenerSettings(hostname=self._config.gateway.domain, channel=channel, **place),
            self._gateway.inbound.ahead or self._gateway.spool,
            self._gateway.limits,
            self._recipients,
            self._gateway.inbound.secret,
            early_check=early,
        )
        await listener.start()
        self._listeners.append(listener)

    async def _early_check(self, payload: bytes, recipient: str) -> VeildeskError | None:
        queue = self._recipients.queue_for(recipient)
        return await self._gateway.inbound.judge(payload, queue or "support")

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
            self._gateway.inbound.ahead or self._gateway.spool,
            self._gateway.limits,
            self._gateway.inbound.secret,
            tls_context=tls_context(config.ca_file),
        )

    async def _portal(self, portal: PortalConfig) -> list[Job]:
        """The portal's server, and that of the notices' own onion; or what another process needs for both."""
        gateway = self._gateway
        settings = await portal_settings(gateway)
        ports = portal_ports(gateway, self._erase, self._feedback.add, lambda: self._parking.on)
        notices_alone = status_settings(gateway, settings)
        if portal.process is not None:
            offer = portal_offer(gateway, settings, notices_alone)
            self._desk = PortalDesk(ports, settings, dump(offer))
            server = LinkServer(portal.process.socket, uid_of(portal.process.user), self._desk)
            return [("portal-link", server.run())]
        jobs = [("portal", serve_site(_site(settings, ports, portal.socket)))]
        if notices_alone is not None:
            jobs.append(("status", serve_site(_site(notices_alone, ports, portal.status_socket))))
        return jobs

    async def _erase(self, lookup_id: bytes) -> Deletion:
        """Erase a portal ticket; what could not be erased in the helpdesk is told, never called gone."""
        view = await self._gateway.spool.thread(lookup_id)
        if view is None:
            return self._erased.get(lookup_id, Deletion(Erased.GONE))
        # Before the first attempt: should it break in the middle, a repeat must not find "nothing there".
        self._erased[lookup_id] = Deletion(Erased.REQUESTED)
        deletion = await self._gateway.eraser.erase(view.ticket_id)
        self._erased[lookup_id] = deletion
        while len(self._erased) > _OUTCOMES:
            del self._erased[next(iter(self._erased))]
        return deletion

    # ------------------------------------------------------------- control
    def handlers(self) -> Mapping[str, Handler]:
        """What the control socket answers."""
        handlers: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "poll": self._poll,
            "spool-list": self._spool_list,
            "spool-show": self._spool_show,
            "spool-retry": self._spool_retry,
            "spool-retry-all": self._spool_retry_all,
            "spool-revoke": self._spool_revoke,
            "portal-parking": self._portal_parking,
            "portal-release": self._portal_release,
            "spool-approve": self._spool_approve,
            "keys": self._look_at_keys,
            "erasure": self._erasure,
            "clock": self._clock,
        }
        return handlers

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        onion = self._onions["onion"].state() if self._onions else None
        alone = self._onions["status-onion"].state() if "status-onion" in self._onions else None
        return {
            "running": self._ready,
            "messages": dict(await self._gateway.spool.counts()),
            "files": self._gateway.spool.files_state,
            "deletions": await self._gateway.eraser.counts(),
            "oldest_days": dict(await self._gateway.spool.oldest()),
            "done": sum(worker.done for worker in self._workers),
            "backends": {name: "ok" if p.healthy else "failing" for name, p in self._pollers.items()},
            "backlog": await backlog(self._gateway.spool, self._pollers),
            "onion": onion.address if onion else None,
            "onion_published": onion.published if onion else None,
            "onion_trouble": onion.trouble if onion else None,
            "onion_published_elsewhere_too": any(one.state().another for one in self._onions.values()),
            "status_onion": alone.address if alone else None,
            "status_onion_published": alone.published if alone else None,
            "key_days": self._gateway.key_watch.days,
            "key_trouble": self._gateway.key_watch.trouble,
            "feedback": self._feedback.totals(),
            "clock": self._gateway.guard.told(),
            "portal": self._portal_state(),
            "parking": self._parking.on,
            "parked": len(await self._parking.waiting()),
        }

    def _portal_state(self) -> str:
        """ "off", "within" the gateway, or of a process of its own: "answers" or "away"."""
        if self._config.portal is None:
            return "off"
        if self._config.portal.process is None:
            return "within"
        return "answers" if self._desk is not None and self._desk.answered else "away"

    async def _poll(self, request: Mapping[str, Any]) -> bool:
        for poller in self._pollers.values():
            poller.nudge()
        return True

    async def _keep_mail_key(self) -> None:
        await keep_mail_key(self._config, self._gateway.key_watch.home)

    async def _look_at_keys(self, request: Mapping[str, Any]) -> dict[str, int | None]:
        await self._gateway.key_watch.again()
        return self._gateway.key_watch.days

    async def _spool_list(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        states = [State(word) for word in request.get("states", [])]
        return [_row(work) for work in await self._gateway.spool.listing(states or None)]

    async def _spool_show(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for work in await self._gateway.spool.listing(message_id=str(request["message"])):
            return _row(work)
        raise KeyError("message")

    async def _spool_retry(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._parking.let_through(str(request["message"]))
        return _row(await self._gateway.spool.retry(str(request["message"])))

    async def _spool_retry_all(self, request: Mapping[str, Any]) -> int:
        reason = None if request["reason"] is None else Reason(request["reason"])
        return await retry_all(self._gateway.spool, self._parking, reason)

    async def _spool_revoke(self, request: Mapping[str, Any]) -> dict[str, Any]:
        ticket = str(request["ticket"])
        return {"ticket": ticket, "revoked": await self._gateway.spool.forget_markers(ticket)}

    async def _portal_parking(self, request: Mapping[str, Any]) -> bool:
        self._parking.switch(bool(request["on"]))
        return self._parking.on

    async def _portal_release(self, request: Mapping[str, Any]) -> int:
        return await self._parking.release()

    async def _erasure(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        found = await look_up_erasure(self._gateway.eraser, str(request["code"]))
        return None if found is None else {"gateway": "gone", **dataclasses.asdict(found)}

    async def _clock(self, request: Mapping[str, Any]) -> dict[str, Any]:
        confirmed = bool(request.get("confirm")) and self._gateway.guard.confirm()
        return {**self._gateway.guard.told(), "confirmed": confirmed}

    async def _spool_approve(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return _row(await approve(self._gateway.spool, str(request["message"])))


def _site(settings: PortalSettings, ports: PortalPorts, socket: Path) -> QuietServer:
    return site_server(create_app(settings, ports), socket, circuits=settings.circuits)


def rotation_due(now: float, rotated: float) -> bool:
    """Whether the ring is a day old; one of tomorrow was made by a clock that was wrong. In seconds."""
    return not -_SKEW < now - rotated <= _ROTATE_SECONDS


async def _prepare_rules() -> None:
    """Make the rules of redaction ready, which takes a second, before the first message asks for them."""
    await asyncio.to_thread(searcher)


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
