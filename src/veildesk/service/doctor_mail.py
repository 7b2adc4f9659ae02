"""Doctor's checks of the ways in and out for mail. Recipients are asked for; no mail is ever sent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from veildesk.core.errors import SendFailed, SendRefused, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.intake.imap_connection import Disconnected, ImapConnection
from veildesk.intake.recipients import Recipients
from veildesk.mail.reply_address import TOKEN_BYTES, ReplyAddresses, new_token
from veildesk.service.build import outgoing_server, tls_context
from veildesk.service.config import Config, ImapConfig, ListenConfig
from veildesk.service.doctor_running import is_running

__all__ = ["check_mail"]

_SECONDS = 10.0
_LINE = 4096
_BOUNCE = (
    "let the mail server pass on support+token@... (Postfix: recipient_delimiter = +), or set "
    'reply_delimiter = "" in [gateway]; answers of users would bounce'
)


async def check_mail(config: Config) -> list[CheckResult]:
    """Whether mail comes in and goes out, and whether answers to reply addresses come back."""
    way_in = bool(config.lmtp or config.smtp or config.imap)
    fix = "" if way_in else "add [lmtp], [smtp] or [imap]"
    found = "configured" if way_in else "none"
    level = Level.OK if way_in else Level.WARN
    results = [CheckResult("mail.in", "a way in for mail", level, found, fix=fix)]
    replies = ReplyAddresses(config.gateway.address, config.gateway.reply_delimiter)
    address = replies.with_token(new_token(os.urandom(TOKEN_BYTES)))
    results.append(_has_queue(config, address))
    for name, listen in (("lmtp", config.lmtp), ("smtp", config.smtp)):
        if listen is not None:
            results.append(await _listener(config, name, listen, address))
    if config.imap is not None:
        results.append(await _mailbox(config.imap))
    return results + await _outgoing(config, address)


def _has_queue(config: Config, address: str) -> CheckResult:
    title = "the gateway's own address, and the reply addresses below it, belong to a queue"
    known = Recipients(
        {one: name for name, queue in config.queues.items() for one in queue.addresses},
        delimiter=config.gateway.reply_delimiter,
    )
    if known.queue_for(address) is None:
        fix = f"add {config.gateway.address} to the addresses of a queue; answers of users would be refused"
        return CheckResult("mail.reply-address", title, Level.FAIL, "none", fix=fix)
    return CheckResult("mail.reply-address", title, Level.OK)


async def _mailbox(imap: ImapConfig) -> CheckResult:
    """Log in and look for the folder; no mail is looked at."""
    title = "the mailbox opens"
    fix = "check host, port, ca_file, user, password_file and folder in [imap]"
    try:
        password = imap.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        async with asyncio.timeout(3 * _SECONDS):
            mailbox = await ImapConnection.open(
                imap.host, imap.port, imap.user, password, tls_context(imap.ca_file), _SECONDS
            )
            try:
                there = await mailbox.has_folder(imap.folder)
            finally:
                await mailbox.close()
    except (OSError, ValueError, Disconnected) as error:
        found = str(error) if isinstance(error, Disconnected) else type(error).__name__
        return CheckResult("mail.imap", title, Level.FAIL, found, "a login", fix)
    except VeildeskError as error:
        return CheckResult("mail.imap", title, Level.FAIL, error.detail, "a login", fix)
    if not there:
        return CheckResult("mail.imap", title, Level.FAIL, f"no folder {imap.folder}", "", fix)
    return CheckResult("mail.imap", title, Level.OK)


async def _listener(config: Config, name: str, listen: ListenConfig, address: str) -> CheckResult:
    title = f"the {name} listener takes mail to a reply address"
    try:
        async with asyncio.timeout(_SECONDS):
            code = await _ask(config, listen, "LHLO" if name == "lmtp" else "EHLO", address)
    except (OSError, TimeoutError, EOFError, ValueError):
        if await asyncio.to_thread(is_running, config):
            fix = "look into the gateway's log, then restart it"
            return CheckResult(f"mail.{name}", title, Level.FAIL, "no answer", "250", fix)
        fix = "start it with 'veildesk run' and look again"
        return CheckResult(f"mail.{name}", title, Level.SKIP, "no answer", fix=fix)
    level = Level.OK if code == 250 else Level.FAIL
    return CheckResult(f"mail.{name}", title, level, f"{code}", "250", "" if code == 250 else _BOUNCE)


async def _ask(config: Config, listen: ListenConfig, hello: str, address: str) -> int:
    """The reply to RCPT TO. Raises `OSError`, `EOFError` or `ValueError`."""
    kind, _, rest = listen.listen.partition(":")
    if kind == "unix":
        reader, writer = await asyncio.open_unix_connection(Path(config.base / rest), limit=_LINE)
    else:
        host, _, port = listen.listen.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=_LINE)
    try:
        await _reply(reader)
        for line in (f"{hello} {config.gateway.domain}", "MAIL FROM:<>"):
            writer.write(f"{line}\r\n".encode())
            await _reply(reader)
        writer.write(f"RCPT TO:<{address}>\r\n".encode())
        code = await _reply(reader)
        writer.write(b"RSET\r\nQUIT\r\n")
        return code
    finally:
        writer.close()


async def _reply(reader: asyncio.StreamReader) -> int:
    """The code of one reply, however many lines it has (RFC 5321 § 4.2)."""
    while True:
        line = await reader.readuntil(b"\n")
        if line[3:4] != b"-":
            return int(line[:3])


async def _outgoing(config: Config, address: str) -> list[CheckResult]:
    if config.outgoing is None:
        fix = "add [outgoing]; until then answers to mail wait"
        return [CheckResult("mail.out", "a way out for mail", Level.WARN, "none", fix=fix)]
    title = "outgoing server answers"
    taken = "the outgoing server takes mail to a reply address"
    try:
        async with asyncio.timeout(3 * _SECONDS):
            await outgoing_server(config.outgoing, config.gateway.domain).ask(address)
    except (SendFailed, TimeoutError) as error:
        found = error.detail if isinstance(error, SendFailed) else "no answer in time"
        fix = "check host, port, security, user and password in [outgoing]"
        return [CheckResult("mail.out", title, Level.FAIL, found, fix=fix)]
    except SendRefused as error:
        results = [CheckResult("mail.out", title, Level.OK)]
        return [*results, CheckResult("mail.reply-server", taken, Level.WARN, error.detail, "250", _BOUNCE)]
    results = [CheckResult("mail.out", title, Level.OK)]
    if config.imap is not None:
        # Whether a mailbox gets it is decided elsewhere and later.
        fix = f"send a mail to {address} and look whether it arrives in {config.imap.folder}"
        return [*results, CheckResult("mail.reply-server", taken, Level.SKIP, "not seen to the end", fix=fix)]
    return [*results, CheckResult("mail.reply-server", taken, Level.OK)]
