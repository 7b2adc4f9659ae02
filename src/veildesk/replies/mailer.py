"""Hands finished mails to the outgoing SMTP server: exact bytes, verified connection, fixed EHLO name.

TLS is required and verified, by STARTTLS or from the first byte; without it only a Unix socket, an
explicitly configured loopback address, or an onion service through a SOCKS proxy is taken, whose
connection proves itself. There is no way to switch verification off, and no fall-back to plain text.
Nothing about a mail, an address or a server's reply is logged.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import aiosmtplib
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from veildesk.core.errors import ConfigInvalid, SendFailed, SendRefused
from veildesk.replies.wire import check_address, check_wire, is_eight_bit

__all__ = ["SmtpMailer", "SmtpMailerSettings", "SocksProxy", "Transport"]

log = logging.getLogger("veildesk.replies.mailer")

_QUIT_SECONDS = 5.0
_ONION = re.compile(r"(?:[a-z0-9-]+\.)*[a-z2-7]{56}\.onion")


class Transport(StrEnum):
    """How the connection is protected. PLAIN is for Unix sockets, loopback and onion services only."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class SocksProxy:
    """A SOCKS5 proxy, such as tor's. Names are resolved by the proxy, never here."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SmtpMailerSettings:
    """Where and how to send.

    `hello_name` is the fixed EHLO name. `path` (Unix socket) stands in place of `host` and `port`.
    `timeout` and `data_timeout` are seconds; the latter is for the reply after the last byte, where
    giving up early would mean sending twice (RFC 5321 § 4.5.3.2.6).
    """

    hello_name: str
    host: str = ""
    port: int = 587
    path: Path | None = None
    transport: Transport = Transport.STARTTLS
    username: str = ""
    password: str = field(default="", repr=False)
    proxy: SocksProxy | None = None
    timeout: float = 60.0
    data_timeout: float = 600.0


class SmtpMailer:
    """A `veildesk.core.ports.Mailer` over SMTP, one connection for each mail.

    `tls_context` must verify certificates and host names. Raises `ConfigInvalid` at construction for
    settings that would send without a verified connection.
    """

    def __init__(self, settings: SmtpMailerSettings, tls_context: ssl.SSLContext | None = None) -> None:
        _check_settings(settings)
        context = tls_context if tls_context is not None else ssl.create_default_context()
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise ConfigInvalid("smtp-tls-unverified")
        self._settings = settings
        self._context = context

    async def send(self, wire: bytes, sender: str, recipient: str) -> None:
        """Send exact bytes; an empty `sender` is the null return path.

        Raises `SendFailed` (try again) or `SendRefused` (do not).
        """
        check_wire(wire)
        check_address(sender, null_allowed=True)
        check_address(recipient)
        client = await self._connect()
        try:
            await self._transaction(client, wire, sender, recipient)
        except (SMTPSenderRefused, SMTPRecipientRefused, SMTPDataError) as refusal:
            raise self._verdict(refusal) from None
        except SMTPResponseException:
            raise SendFailed("smtp-unexpected-reply") from None
        except (SMTPException, OSError):
            raise SendFailed("smtp-connection-lost") from None
        else:
            log.info("mail-sent")
            with contextlib.suppress(SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        finally:
            client.close()

    async def ask(self, recipient: str) -> None:
        """Ask whether the server takes mail to `recipient`, and send none. Raises as `send`."""
        check_address(recipient)
        client = await self._connect()
        try:
            await client.mail("")
            await client.rcpt(recipient)
            await client.rset()
        except SMTPRecipientRefused as refusal:
            raise self._verdict(refusal) from None
        except (SMTPException, OSError):
            raise SendFailed("smtp-unexpected-reply") from None
        else:
            with contextlib.suppress(SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        finally:
            client.close()

    # ------------------------------------------------------------------ connection

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        tunnel = await self._tunnel() if settings.proxy is not None else None
        at_host = tunnel is None and settings.path is None
        client = aiosmtplib.SMTP(
            hostname=settings.host or None,
            port=settings.port if at_host else None,
            socket_path=str(settings.path) if settings.path is not None else None,
            sock=tunnel,
            local_hostname=settings.hello_name,
            timeout=settings.timeout,
            use_tls=settings.transport is Transport.IMPLICIT,
            start_tls=settings.transport is Transport.STARTTLS,
            tls_context=self._context,
        )
        try:
            await client.connect()
            if settings.username:
                await client.login(settings.username, settings.password)
        except ssl.SSLCertVerificationError:
            raise SendFailed("smtp-certificate") from None
        except aiosmtplib.SMTPAuthenticationError:
            client.close()
            raise SendFailed("smtp-login") from None
        except (SMTPException, OSError) as error:
            client.close()
            cause = error.__cause__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise SendFailed("smtp-certificate") from None
            raise SendFailed("smtp-connect") from None
        return client

    async def _tunnel(self) -> socket.socket:
        """A connection through the proxy; random credentials keep mails on circuits of their own."""
        settings = self._settings
        assert settings.proxy is not None
        token = secrets.token_hex(8)
        proxy = Proxy(
            ProxyType.SOCKS5,
            settings.proxy.host,
            settings.proxy.port,
            username=token,
            password=token,
            rdns=True,
        )
        try:
            return await proxy.connect(settings.host, settings.port, timeout=settings.timeout)
        except (ProxyError, OSError):
            raise SendFailed("smtp-proxy") from None

    # ------------------------------------------------------------------ transaction

    async def _transaction(self, client: aiosmtplib.SMTP, wire: bytes, sender: str, recipient: str) -> None:
        await client.ehlo()
        options = []
        encoding = "ascii"
        if client.supports_extension("size"):
            options.append(f"SIZE={len(wire)}")
        if is_eight_bit(wire):
            if not client.supports_extension("8bitmime"):
                raise SendRefused("smtp-no-8bitmime")
            options.append("BODY=8BITMIME")
        if not (sender + recipient).isascii():
            if not client.supports_extension("smtputf8"):
                raise SendRefused("smtp-no-smtputf8")
            options.append("SMTPUTF8")
            encoding = "utf-8"
        await client.mail(sender, options=options, encoding=encoding)
        await client.rcpt(recipient, encoding=encoding)
        await client.data(wire, timeout=self._settings.data_timeout)

    def _verdict(self, reply: SMTPResponseException) -> SendFailed | SendRefused:
        """4xx is for now, 5xx for good (RFC 5321 § 4.2.1); anything else is not trusted."""
        if 500 <= reply.code <= 599:
            log.warning("mail-refused code=%d", reply.code)
            return SendRefused(f"smtp-{reply.code}")
        return SendFailed(f"smtp-{reply.code}")


def _check_settings(settings: SmtpMailerSettings) -> None:
    if (settings.path is None) == (not settings.host):
        raise ConfigInvalid("smtp-host-or-path")
    if settings.path is not None:
        if settings.transport is not Transport.PLAIN or settings.proxy is not None:
            raise ConfigInvalid("smtp-unix-socket")
    elif settings.transport is Transport.PLAIN:
        onion = settings.proxy is not None and _ONION.fullmatch(settings.host.lower()) is not None
        if not onion and (settings.proxy is not None or not _is_loopback(settings.host)):
            raise ConfigInvalid("smtp-plain-not-local")


def _is_loopback(host: str) -> bool:
    """Only literal addresses: a name could point elsewhere tomorrow."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
