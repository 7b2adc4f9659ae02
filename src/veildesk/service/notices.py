"""Wiring of signed statements: keys, series, channels and the status site of one configuration."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from veildesk.core.errors import ConfigInvalid, KeyUnusable, VeildeskError
from veildesk.core.notice import Identity, PublishedNotice
from veildesk.core.ports import Engine
from veildesk.notices.archive import NoticeDirectory, NoticeRefused, replace_file
from veildesk.notices.board import KEYS_FILE, NoticeBoard
from veildesk.notices.channels.export import ExportChannel, OnionChannel, Render
from veildesk.notices.channels.mail import MailChannel, MailSettings
from veildesk.notices.channels.social import SocialChannel
from veildesk.notices.channels.webhook import WebhookChannel
from veildesk.notices.distribution import Channel, Distribution, Result
from veildesk.notices.draft import Draft
from veildesk.notices.heartbeat import beat, beat_due
from veildesk.notices.identity import SECURITY_TXT, security_txt, security_txt_expires
from veildesk.notices.publishing import Publisher, Rules
from veildesk.notices.signing import read_signed, sign_text
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.wkd_export import wkd_paths
from veildesk.ops.clock import SystemClock
from veildesk.portal.ports import PortalSettings
from veildesk.portal.status_files import base_address
from veildesk.portal.status_site import StatusSite
from veildesk.service.build import outgoing_mailer, tls_context
from veildesk.service.config import Config
from veildesk.service.key_pages import keep_file, keep_mail_key
from veildesk.service.official import mail_footer, own_onions, wanted_identity, where_listed
from veildesk.service.runtime import runtime_folder
from veildesk.service.subscriptions import subscribers
from veildesk.spool.keyring import KeyRing

__all__ = [
    "Press",
    "notice_board",
    "open_press",
    "status_folder",
]

_log = logging.getLogger("veildesk.notices")
_SITE = "status-site"
_DAY = 86400


def status_folder(config: Config) -> Path:
    """Where the status site's files lie."""
    return config.gateway.state_dir / _SITE


def notice_board(config: Config) -> NoticeBoard:
    """What status pages show. Without a status site nobody looks at components."""
    names = config.status.components if config.status else ()
    return NoticeBoard(config.gateway.state_dir / "notices", names, SystemClock())


def status_settings(config: Config, hosts: Sequence[str], support: bytes, notices: bytes) -> PortalSettings:
    """Settings of status pages outside the portal."""
    return PortalSettings(
        organisation=config.gateway.name,
        hosts=tuple(hosts),
        form_secret=b"",
        status_only=True,
        support_key=support,
        support_fingerprint=config.keys.support,
        notices_key=notices,
        notices_fingerprint=config.keys.notice,
        support_address=config.gateway.address,
    )


@dataclass(frozen=True, slots=True)
class Press:
    """Everything it takes to publish, for as long as the context is open."""

    config: Config
    engine: GnuPGEngine
    clock: SystemClock
    directory: NoticeDirectory
    publisher: Publisher
    board: NoticeBoard
    distribution: Distribution
    site: StatusSite
    exports: tuple[ExportChannel, ...]

    async def publish(
        self, content: Draft | Identity | str, *, allowed: Collection[str] = (), after_pause: bool = False
    ) -> tuple[PublishedNotice, list[Result]]:
        """Prepare and sign what is not signed yet, publish it, and bring it to every channel."""
        if isinstance(content, Draft) and self.directory.identity() is None:
            await self.publish(wanted_identity(self.config))
        if isinstance(content, str):
            signed = content
        else:
            text = await self.publisher.prepare(content, allowed=allowed, after_pause=after_pause)
            signed = await self.publisher.sign(text)
        self.distribution.prepare(len(self.directory.published()))
        item = await self.publisher.publish(signed, allowed=allowed)
        await self.keep_keys()
        with contextlib.suppress(VeildeskError):
            await self.beat()
        return item, [
            one for one in await self.distribution.run(self.board.board()) if one.number == item.number
        ]

    async def beat(self, *, due_only: bool = True) -> bool:
        """A heartbeat if it is time and its key is ours. Raises like `heartbeat.beat`."""
        key, hours = self.config.keys.heartbeat, self.config.notices.heartbeat_hours
        if key is None or (due_only and not beat_due(self.directory, self.clock.now(), hours)):
            return False
        await beat(self.directory, self.engine, key, self.clock, hours, self.publisher.copies)
        return True

    async def keep_keys(self) -> None:
        """Public keys for readers, as they are now: ours for mail, and of everyone who ever signed."""
        await keep_mail_key(self.config, self.engine)
        names: dict[str, None] = {}
        for item in self.directory.published():
            content = item.statement.content
            if isinstance(content, Identity):
                every = (*content.signers, *((content.heartbeat_key,) if content.heartbeat_key else ()))
                names |= dict.fromkeys(every)
        blocks = []
        for name in names:
            with contextlib.suppress(KeyUnusable):
                blocks.append(await self.engine.export(name))
        if blocks:
            joined = b"".join(block.rstrip(b"\n") + b"\n" for block in blocks)
            await asyncio.to_thread(keep_file, self.directory.folder / KEYS_FILE, joined)

    async def write_security_txt(self, *, days: int = 365) -> str:
        """Sign security.txt for at most a year and never longer than the key lasts."""
        text = await self.security_txt_text(days=days)
        signed = await sign_text(text, self.engine, [self.config.keys.notice])
        await asyncio.to_thread(replace_file, self.directory.folder / SECURITY_TXT, signed.encode())
        return signed

    async def security_txt_text(self, *, days: int = 365) -> str:
        """The text of security.txt, to be signed here or elsewhere."""
        if not 1 <= days <= 365:
            raise ConfigInvalid("security.txt must end within a year (RFC 9116 § 2.5.5)")
        until = self.clock.now() + days * _DAY
        status = await self.engine.certificate_status(await self.engine.export(self.config.keys.notice))
        if status.expired or status.revoked:
            raise KeyUnusable("the notice key is expired or revoked; renew or rotate it first")
        if status.expires is not None:
            until = min(until, status.expires)
        if until - self.clock.now() < _DAY:
            raise KeyUnusable("the notice key is about to expire; renew or rotate it first")
        onions = [f"http://{one}" for one in own_onions(self.config)]
        bases = onions + [f"https://{one}" for one in self.config.identity.domains]
        return security_txt(
            contacts=[f"mailto:{self.config.gateway.address}", *[f"{one}/en/new" for one in onions[:1]]],
            canonical=[f"{one}/.well-known/security.txt" for one in bases],
            encryption=[f"{one}/keys/support.asc" for one in bases[:1]]
            or [f"openpgp4fpr:{self.config.keys.support.lower()}"],
            expires=until,
            languages=("en", "ru"),
        )

    async def take_security_txt(self, signed: str) -> str:
        """Put a security.txt in place that was signed elsewhere. Raises `NoticeRefused`."""
        read = await read_signed(signed.encode(), self.engine)
        expires = security_txt_expires(read.text or "")
        if self.config.keys.notice not in dict(read.signers) or expires is None:
            raise NoticeRefused("this is not a security.txt signed by the notice key")
        if expires <= self.clock.now():
            raise NoticeRefused("this security.txt is over already; make a new one")
        await asyncio.to_thread(replace_file, self.directory.folder / SECURITY_TXT, signed.encode())
        return signed

    async def key_expiries(self) -> dict[str, int | None]:
        """Names of the keys that sign, with the time of their expiry."""
        keys = {"support key": self.config.keys.support, "notice key": self.config.keys.notice}
        keys |= {f"notice key {number}": one for number, one in enumerate(self.config.notices.signers, 2)}
        if self.config.keys.heartbeat:
            keys["heartbeat key"] = self.config.keys.heartbeat
        found: dict[str, int | None] = {}
        for name, fingerprint in keys.items():
            with contextlib.suppress(KeyUnusable):
                status = await self.engine.certificate_status(await self.engine.export(fingerprint))
                found[name] = 0 if status.revoked else status.expires
        return found

    def identity_differs(self) -> bool:
        """Whether the published list says something else than the configuration."""
        return self.directory.identity() != wanted_identity(self.config)


@asynccontextmanager
async def open_press(config: Config) -> AsyncIterator[Press]:
    """Open keys and folders. Raises `ConfigInvalid` or `KeyUnusable`."""
    clock = SystemClock()
    with runtime_folder(config.gateway.runtime_dir) as runtime:
        engine = GnuPGEngine(config.keys.home, runtime_dir=runtime)
        await engine.start(create=False)
        directory = NoticeDirectory(config.gateway.state_dir / "notices")
        notices = config.notices
        rules = Rules(
            wanted_identity(config),
            where_listed(config),
            notices.valid_days,
            notices.list_days,
            notices.canary_days,
        )
        support, notice = await engine.export(config.keys.support), await engine.export(config.keys.notice)
        own = [*own_onions(config)[::-1], *(config.status.hosts if config.status else ())]
        wkd = await _web_key_directory(config, engine)
        site = StatusSite(status_settings(config, own, support, notice), wkd)
        channels = _channels(config, engine, clock, site, support, notice, wkd)
        yield Press(
            config=config,
            engine=engine,
            clock=clock,
            directory=directory,
            publisher=Publisher(
                directory,
                engine,
                clock,
                rules,
                [one.target for one in channels if isinstance(one, ExportChannel)],
            ),
            board=notice_board(config),
            distribution=Distribution(directory.folder / "delivery", channels, clock),
            site=site,
            exports=tuple(one for one in channels if type(one) is ExportChannel),
        )


def _channels(
    config: Config,
    engine: Engine,
    clock: SystemClock,
    site: StatusSite,
    support: bytes,
    notice: bytes,
    wkd: Mapping[str, bytes],
) -> list[Channel]:
    folder = config.gateway.state_dir / "notices"
    onions = own_onions(config)
    latest = notice_board(config).board
    channels: list[Channel] = []
    if config.status is not None:
        host = (onions[::-1] or [*config.status.hosts, "localhost"])[0]
        channels.append(OnionChannel(status_folder(config), site.files, config.status.socket, host, latest))
    for text in config.notices.exports:
        domain, path = _export(text)
        hosts = [*([domain] if domain else []), *onions]
        render: Render = StatusSite(status_settings(config, hosts, support, notice), wkd).files
        name = "export-" + (domain or hashlib.sha256(path.encode()).hexdigest()[:8])
        channels.append(ExportChannel(name, config.base / path, render, latest))
    if config.notices.mail:
        channels.append(_mail_channel(config, engine, clock))
    if config.notices.social:
        base = (
            f"http://{onions[-1]}"
            if onions
            else base_address(status_settings(config, config.identity.domains, b"", b""))
        )
        channels.append(SocialChannel(folder / "social", base))
    if config.notices.webhook:
        channels.append(WebhookChannel(config.notices.webhook, tls_context(config.notices.webhook_ca_file)))
    return channels


async def _web_key_directory(config: Config, engine: GnuPGEngine) -> dict[str, bytes]:
    """The support key where mail programs look for it, on `openpgpkey.` and on the domain itself."""
    files: dict[str, bytes] = {}
    with contextlib.suppress(KeyUnusable):
        data = await engine.export_for(config.keys.support, config.gateway.address)
        for advanced in (True, False):
            key, policy = wkd_paths(config.gateway.address, advanced=advanced)
            files |= {str(key): data, str(policy): b""}
    return files


def _export(text: str) -> tuple[str, str]:
    """ "domain=folder", or a folder alone."""
    domain, equals, path = text.partition("=")
    return (domain.strip(), path.strip()) if equals else ("", text)


def _mail_channel(config: Config, engine: Engine, clock: SystemClock) -> MailChannel:
    address = config.notices.mail
    if address is None or not config.keys.ring.exists():
        raise NoticeRefused("notices by mail need the key ring; 'veildesk init' makes one")
    keyring = KeyRing.load(config.keys.ring)
    settings = MailSettings(
        address=address,
        name=config.gateway.name,
        domain=config.gateway.domain,
        signer=config.keys.support,
        footer=mail_footer(config),
        secret=keyring.derive_secret(b"notice-message-ids"),
    )
    mailer = outgoing_mailer(config.outgoing, config.gateway.domain)
    folder = config.gateway.state_dir / "notices" / "delivery" / "mail"
    return MailChannel(settings, subscribers(config, keyring), engine, mailer, clock, folder)
