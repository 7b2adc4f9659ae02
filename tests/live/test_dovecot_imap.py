"""Real Dovecot: push, sudden death, farewell, silence, outage, a large mail in bounded memory."""

import asyncio
import hashlib
import os
import secrets
import signal
import smtplib
import ssl
import subprocess
import sys
import textwrap
import time

import pytest

from testbed.mail_servers import MailServers
from testbed.mail_tls import make_authority
from testbed.recording_intake import RecordingIntake
from veildesk.core.limits import Limits
from veildesk.intake.imap import ImapPoller, ImapSettings
from veildesk.intake.imap_expunge import expunge_before, expunge_mails

pytestmark = pytest.mark.live

ACCOUNTS = [f"box{number}@users.test" for number in range(9)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with MailServers(tmp_path_factory.mktemp("dovecot"), users=ACCOUNTS) as running:
        yield running


@pytest.fixture(scope="module")
def accounts():
    return iter(ACCOUNTS)


class Watch:
    """A poller on an account of its own, and what it kept."""

    def __init__(self, servers, user, **changes):
        self.servers, self.user, self.intake = servers, user, RecordingIntake()
        settings = {"idle": 30.0, "timeout": 10.0, "backoff_first": 0.05, "backoff_last": 0.2} | changes
        context = settings.pop("context", None) or servers.tls_context()
        self.poller = ImapPoller(
            ImapSettings(
                host=settings.pop("host", "localhost"),
                user=user,
                password=servers.password(user),
                port=servers.imap_port,
                **settings,
            ),
            self.intake,
            Limits(),
            b"secret",
            context,
        )
        self.task = None

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.poller.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def send(self, text=b"Subject: x\r\n\r\nx\r\n"):
        await asyncio.to_thread(self._send, text)

    def _send(self, text):
        with smtplib.SMTP("127.0.0.1", self.servers.smtp_port, timeout=30) as client:
            client.sendmail("sender@users.test", [self.user], text)

    async def processed(self, count):
        await asyncio.to_thread(self.servers.wait_messages, self.user, count, folder="Processed", seconds=30)
        # A move is a copy, then an expunge: for a moment both folders have the mail.
        await until(lambda: self.servers.messages(self.user) == [], 10)
        assert len(self.servers.messages(self.user, "Processed")) == count == len(self.intake.kept)

    async def idling(self):
        await self.poller.wait_connected(15)
        await until(lambda: self.servers.imap_sessions())


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_push_is_kept_and_moved(servers, accounts):
    async with Watch(servers, next(accounts), idle=120) as watch:
        await watch.idling()
        await watch.send()
        await watch.intake.wait_kept(1, 10)
        await watch.processed(1)


async def test_a_server_killed_in_idle_and_mail_during_the_outage(servers, accounts):
    async with Watch(servers, next(accounts), idle=120) as watch:
        await watch.idling()
        await watch.send()
        await watch.processed(1)
        await asyncio.to_thread(servers.kill_dovecot)
        await until(lambda: not watch.poller.state.connected, 5)
        await watch.send(b"Subject: meanwhile\r\n\r\nx\r\n")
        await asyncio.to_thread(servers.start_dovecot)
        await watch.processed(2)
        assert watch.poller.state.connections == 2


async def test_one_killed_session_process(servers, accounts):
    async with Watch(servers, next(accounts), idle=120) as watch:
        await watch.idling()
        for pid in servers.imap_sessions():
            os.kill(pid, signal.SIGKILL)
        await until(lambda: watch.poller.state.connections == 2)
        await watch.send()
        await watch.processed(1)


async def test_a_farewell(servers, accounts):
    async with Watch(servers, next(accounts), idle=120) as watch:
        await watch.idling()
        await asyncio.to_thread(servers.kick, watch.user)
        await until(lambda: watch.poller.state.connections == 2)
        await watch.send()
        await watch.processed(1)


async def test_a_peer_that_falls_silent(servers, accounts):
    async with Watch(servers, next(accounts), idle=1.0, timeout=1.0) as watch:
        await watch.idling()
        stopped = servers.imap_fronts()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: watch.poller.state.error != "", 10)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        await watch.poller.wait_connected(15)
        await watch.send()
        await watch.processed(1)


async def test_folders_with_any_name(servers, accounts):
    async with Watch(servers, next(accounts), processed="Ответы & mehr") as watch:
        await watch.idling()
        await watch.send()
        folder = "&BB4EQgQyBDUEQgRL- &- mehr"
        await asyncio.to_thread(servers.wait_messages, watch.user, 1, folder=folder)


@pytest.mark.parametrize("case", ["unknown authority", "wrong host"])
async def test_an_unverified_server_gets_no_password(servers, case):
    if case == "wrong host":
        # Reaches the same server by a name its certificate does not hold.
        host, context = "127.1", servers.tls_context()
    else:
        stranger = make_authority("stranger").certificate_pem.decode()
        host, context = "localhost", ssl.create_default_context(cadata=stranger)
    async with Watch(servers, ACCOUNTS[-1], context=context, host=host) as watch:
        await until(lambda: watch.poller.state.error != "")
        assert watch.poller.state.error == "imap-certificate"
        assert watch.poller.state.connections == 0


_CHILD = textwrap.dedent(
    """
    import asyncio, hashlib, resource, ssl, sys
    from veildesk.core.limits import Limits
    from veildesk.core.submission import Accepted
    from veildesk.intake.imap import ImapPoller, ImapSettings

    class Digest:
        def __init__(self):
            self.done = asyncio.get_running_loop().create_future()
        async def accept(self, submission):
            digest = hashlib.sha256(submission.payload.replace(b"\\r", b"")[-4096:]).hexdigest()
            self.done.set_result((len(submission.payload), digest))
            return Accepted("m", "t", True)

    async def main(port, ca, user):
        intake = Digest()
        settings = ImapSettings("localhost", user, sys.stdin.readline().strip(), int(port))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        context = ssl.create_default_context(cafile=ca)
        task = asyncio.ensure_future(ImapPoller(settings, intake, Limits(), b"s", context).run())
        size, digest = await asyncio.wait_for(intake.done, 60)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(size, digest, grown)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main(*sys.argv[1:]))
    """
)


async def test_a_large_mail_in_bounded_memory(servers, accounts):
    user = next(accounts)
    lines = b"".join(secrets.token_bytes(36).hex().encode() + b"\r\n" for _ in range(20 * 1024 * 1024 // 74))
    watch = Watch(servers, user)
    await watch.send(b"Subject: large\r\n\r\n" + lines)
    await asyncio.to_thread(servers.wait_messages, user, 1)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CHILD, str(servers.imap_port), str(servers.tls_ca), user],
        input=servers.password(user) + "\n",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    size, digest, grown = done.stdout.split()
    assert int(size) >= len(lines)
    assert digest == hashlib.sha256(lines.replace(b"\r", b"")[-4096:]).hexdigest()
    # The mail itself, its copy while it is handed over, and a few pieces; never the doubling of a parser.
    assert int(grown) * 1024 < 4 * len(lines)


async def test_deleting_a_ticket_takes_its_mails_out_of_the_account_and_no_others(servers, accounts):
    user = next(accounts)
    async with Watch(servers, user) as watch:
        for name in ("mine", "mine-too", "theirs"):
            await watch.send(f"Message-ID: <{name}@users.test>\r\nSubject: x\r\n\r\n{name}\r\n".encode())
        await watch.processed(3)
    settings = watch.poller._settings
    mine = ["mine@users.test", "mine-too@users.test", 'odd"@users.test', "odd\r\nX: y@users.test"]
    for _ in range(2):
        await expunge_mails(settings, servers.tls_context(), mine)
        (left,) = servers.messages(user, "Processed")
    assert b"theirs" in left
    await expunge_before(settings, servers.tls_context(), int(time.time()) // 86400 - 7)
    assert len(servers.messages(user, "Processed")) == 1
    await expunge_before(settings, servers.tls_context(), int(time.time()) // 86400 + 2)
    assert servers.messages(user, "Processed") == []
