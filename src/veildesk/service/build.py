"""Config to objects. The only module, with `run`, that names concrete classes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from veildesk.attachments.clamd import ScannedCleaner
from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.core.errors import ConfigInvalid, RingUnusable
from veildesk.core.limits import Limits
from veildesk.core.ports import Backend, Cleaner, Closes, Engine, Mailer, VerifiesAnswers
from veildesk.deliver.registry import load_backend
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.ops.clock import SystemClock
from veildesk.replies.guard import AnswerRules
from veildesk.replies.key_lookup import WkdLookup
from veildesk.replies.mailer import SmtpMailer, SmtpMailerSettings, SocksProxy, Transport
from veildesk.replies.onion_routes import OnionRoutes, parse_onion_routes
from veildesk.service.adopt_files import adopt_files
from veildesk.service.cleaning import make_cleaner
from veildesk.service.clock_guard import ClockGuard, GuardedClock
from veildesk.service.config import AttachmentsConfig, Config, OutgoingConfig
from veildesk.service.database import database_of, files_of, read_secret
from veildesk.service.dispatch import Dispatch
from veildesk.service.engines import open_engine
from veildesk.service.eraser import Eraser
from veildesk.service.eraser_wiring import make_eraser
from veildesk.service.gates import Gate
from veildesk.service.hand_over import HandOver
from veildesk.service.inbound import Inbound
from veildesk.service.key_watch import KeyWatch
from veildesk.service.known_keys import KnownKeys, MemoryContacts
from veildesk.service.official import mail_footer
from veildesk.service.outbound import Outbound
from veildesk.service.routing import places_of
from veildesk.service.runtime import runtime_folder
from veildesk.service.subscriptions import subscription_handler
from veildesk.service.trust import Trust
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool
from veildesk.spool.thread_cipher import WordsCipher

_log = logging.getLogger("veildesk.service")

WORDS_PEPPER = b"words-pepper"
"""What the ring's secret of the ticket words is derived with."""

__all__ = ["WORDS_PEPPER", "Gateway", "build_gateway", "outgoing_mailer", "outgoing_server", "tls_context"]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything a running gateway is made of."""

    config: Config
    spool: SqlSpool
    keyring: KeyRing
    engine: Engine
    key_watch: KeyWatch
    cleaner: Cleaner
    cipher: WordsCipher
    backends: dict[str, Backend]
    inbound: Inbound
    outbound: Outbound
    eraser: Eraser
    clock: SystemClock
    guard: ClockGuard
    limits: Limits


@asynccontextmanager
async def build_gateway(config: Config) -> AsyncIterator[Gateway]:
    """Open the store, the keys and the helpdesks; close them in reverse order.

    Raises `ConfigInvalid`, `KeyUnusable` or `SpoolUnavailable`.
    """
    clock = SystemClock()
    limits = Limits()
    async with AsyncExitStack() as stack:
        runtime = stack.enter_context(runtime_folder(config.gateway.runtime_dir))
        keyring = _key_ring(config)
        guard = _clock_guard(config)
        spool = await SqlSpool.open(
            config.gateway.state_dir,
            keyring,
            GuardedClock(guard.latest),
            config.gateway.retention_days,
            database=database_of(config),
            files=files_of(config),
        )
        stack.push_async_callback(spool.close)
        guard.look()
        await adopt_files(config.gateway.state_dir, spool, keyring)
        engine, key_watch = await open_engine(config.keys, runtime, limits, stack, clock.now)
        cleaner = cleaner_from(config.attachments or AttachmentsConfig())
        cipher = WordsCipher(keyring.derive_secret(WORDS_PEPPER))
        backends: dict[str, Backend] = {}
        for name, settings in config.backends.items():
            places = list(places_of(name, config.queues, config.routes))
            given = {**settings.settings, "places": places} if places else settings.settings
            backends[name] = backend = load_backend(settings.kind, name, given)
            if isinstance(backend, VerifiesAnswers):
                backend.verify_with(engine)
            if isinstance(backend, Closes):
                stack.push_async_callback(backend.close)
        contacts = await asyncio.to_thread(_contacts, config.keys.contacts)
        inbound, outbound = _pipeline(config, spool, keyring, engine, cleaner, cipher, backends, contacts)
        eraser = make_eraser(config, spool, backends, GuardedClock(guard.earliest))
        inbound = dataclasses.replace(inbound, erase=eraser.erase, say_deleted=outbound.say_deleted)
        yield Gateway(
            config=config,
            spool=spool,
            keyring=keyring,
            engine=engine,
            key_watch=key_watch,
            cleaner=cleaner,
            cipher=cipher,
            backends=backends,
            inbound=inbound,
            outbound=outbound,
            eraser=eraser,
            clock=clock,
            guard=guard,
            limits=limits,
        )


def cleaner_from(settings: AttachmentsConfig) -> SandboxCleaner | ScannedCleaner:
    """The cleaner of files, behind a malware scan if one is switched on."""
    return make_cleaner(require_sandbox=settings.require_sandbox, clamd=settings.clamd)


def _key_ring(config: Config) -> KeyRing:
    if not config.keys.ring.exists():
        raise RingUnusable(
            "[keys] ring: there is no such file; for an empty store 'veildesk keys ring' makes one"
        )
    keyring = KeyRing.load(config.keys.ring)
    if keyring.bind():
        _log.info("ring-bound")
    return keyring


def _clock_guard(config: Config) -> ClockGuard:
    # The ring is made anew each day: for a gateway that never noted the time, it says what has been.
    before = int(config.keys.ring.stat().st_mtime)
    return ClockGuard(config.gateway.state_dir / "clock", before)


def _pipeline(
    config: Config,
    spool: SqlSpool,
    keyring: KeyRing,
    engine: Engine,
    cleaner: Cleaner,
    cipher: WordsCipher,
    backends: dict[str, Backend],
    contacts: tuple[bytes, ...],
) -> tuple[Inbound, Outbound]:
    secret = keyring.derive_secret(b"message-markers")
    replies = ReplyAddresses(config.gateway.address, config.gateway.reply_delimiter)
    proxy = _proxy(config.keys.wkd_proxy, "[keys] wkd_proxy")
    lookup = WkdLookup(proxy, tls_context(None)) if proxy else None
    keys = KnownKeys(MemoryContacts(contacts), spool.contacts, lookup)
    inbound = Inbound(
        spool=spool,
        engine=engine,
        cleaner=cleaner,
        backends=backends,
        queues=config.queues,
        secret=secret,
        random_bytes=os.urandom,
        domain=config.gateway.domain,
        replies=replies,
        keys=keys,
        clock=SystemClock(),
        rules=config.redact,
        subscribe=subscription_handler(config, keyring),
        ahead=HandOver(spool),
        dispatch=Dispatch(
            backends,
            config.queues,
            config.routes,
            {
                name: Gate(SystemClock(), per_minute=config.backends[name].deliveries_per_minute)
                for name in backends
            },
        ),
    )
    outbound = Outbound(
        spool=spool,
        engine=engine,
        mailer=outgoing_mailer(config.outgoing, config.gateway.domain),
        cipher=cipher,
        clock=SystemClock(),
        signer=config.keys.support,
        address=config.gateway.address,
        name=config.gateway.name,
        domain=config.gateway.domain,
        secret=secret,
        random_bytes=os.urandom,
        reply_delimiter=config.gateway.reply_delimiter,
        trust=Trust(engine, keys, replies, SystemClock()),
        footer=mail_footer(config),
        cleaner=cleaner,
        rules=_answer_rules(config),
    )
    return inbound, outbound


def _answer_rules(config: Config) -> AnswerRules:
    hosts = (urlsplit(str(one.settings.get("url", ""))).hostname for one in config.backends.values())
    return AnswerRules(
        own=frozenset({config.gateway.address.lower(), config.gateway.domain.lower()}),
        helpdesks=frozenset(host.lower() for host in hosts if host),
        internal=tuple(domain.lower().lstrip(".") for domain in config.answers.internal),
        allowed=frozenset(value.lower() for value in config.answers.allow),
    )


def outgoing_mailer(outgoing: OutgoingConfig | None, domain: str) -> Mailer | None:
    """The mailer for `[outgoing]`, None when it is absent."""
    if outgoing is None:
        return None
    mailer = outgoing_server(outgoing, domain)
    if not outgoing.onion_routes:
        return mailer
    proxy = _proxy(outgoing.proxy, "[outgoing] proxy")
    if proxy is None:
        raise ConfigInvalid("[outgoing] onion_routes: tor's SOCKS port is needed as proxy")
    return OnionRoutes(parse_onion_routes(outgoing.onion_routes), proxy, domain, mailer)


def outgoing_server(outgoing: OutgoingConfig, domain: str) -> SmtpMailer:
    """The mailer for `[outgoing]` without routes to onions."""
    transport = {"tls": Transport.IMPLICIT, "starttls": Transport.STARTTLS, "plain": Transport.PLAIN}
    settings = SmtpMailerSettings(
        hello_name=domain,
        host=outgoing.host,
        port=outgoing.port,
        transport=transport[outgoing.security],
        username=outgoing.user or "",
        password=read_secret(outgoing.password_file),
        proxy=_proxy(outgoing.proxy, "[outgoing] proxy"),
    )
    return SmtpMailer(settings, tls_context(outgoing.ca_file))


def _proxy(address: str | None, place: str) -> SocksProxy | None:
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigInvalid(f"{place}: expected host:port")
    return SocksProxy(host, int(port))


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A verifying TLS client context; `ca_file` replaces the system's authorities."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _contacts(folder: Path | None) -> tuple[bytes, ...]:
    if folder is None or not folder.is_dir():
        return ()
    return tuple(
        path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".asc", ".gpg", ".pgp")
    )
