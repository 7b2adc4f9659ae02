"""What every way in for mail must do: LMTP, SMTP and IMAP, over the same intake."""

import asyncio
import contextlib
import ssl

import pytest

from testbed.mail_tls import make_authority, make_certificate
from testbed.recording_intake import RecordingIntake
from testbed.scripted_imap import ScriptedImap
from testbed.smtp_dialogue import Dialogue
from veildesk.core.envelope import split_envelope
from veildesk.core.errors import SpoolUnavailable, Unparsable
from veildesk.core.limits import Limits
from veildesk.core.ports import Intake
from veildesk.core.submission import Channel
from veildesk.intake.imap import ImapPoller, ImapSettings
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings

ADDRESS = "support@gateway.test"
MAIL = b"X-Veildesk-Envelope: x\r\nSubject: one\r\n\r\nA body.\r\n"
CLEAN = b"Subject: one\r\n\r\nA body.\r\n"
LIMITS = Limits(mail_size=10_000)


class OverSmtp:
    """Offers a mail to a listener; the outcome is "kept", "later" or "never"."""

    def __init__(self, channel):
        self.channel = channel

    async def start(self, stack, intake, early_check):
        self.listener = Listener(
            ListenerSettings("gateway.test", channel=self.channel),
            intake,
            LIMITS,
            Recipients({ADDRESS: "help"}),
            b"secret",
            early_check=early_check,
        )
        await self.listener.start()
        stack.push_async_callback(self.listener.close)

    async def offer(self, raw, *, null_sender=False):
        hello = "LHLO x" if self.channel is Channel.LMTP else "EHLO x"
        client = await Dialogue.open(self.listener.port, hello)
        await client.begin(ADDRESS, sender="" if null_sender else "a@example.org")
        await client.send(raw + b".\r\n")
        reply = await client.reply()
        await client.close()
        return {"2": "kept", "4": "later", "5": "never"}[reply[0]]


class OverImap:
    """Puts a mail into a mailbox; where it lies afterwards tells the outcome."""

    channel = Channel.IMAP

    async def start(self, stack, intake, early_check):
        authority = make_authority("contract")
        certificate, key = make_certificate(authority, ["localhost"])
        self.pem.write_bytes(certificate + key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.pem)
        self.imap = ScriptedImap()
        await stack.enter_async_context(self.imap.serve(server))
        self.poller = ImapPoller(
            ImapSettings("localhost", "box", "right", self.imap.port, queue="help", backoff_first=30),
            intake,
            LIMITS,
            b"secret",
            ssl.create_default_context(cadata=authority.certificate_pem.decode()),
            early_check=early_check,
        )
        task = asyncio.ensure_future(self.poller.run())
        stack.push_async_callback(asyncio.gather, task, return_exceptions=True)
        stack.callback(task.cancel)
        await self.poller.wait_connected(10)

    async def offer(self, raw, *, null_sender=False):
        raw = b"Return-Path: <>\r\n" + raw if null_sender else raw
        before = {name: len(mails) for name, mails in self.imap.folders.items()}
        self.imap.add(raw)
        async with asyncio.timeout(10):
            while True:
                for folder, outcome in (("Processed", "kept"), ("Failed", "never")):
                    if len(self.imap.folders[folder]) > before[folder]:
                        return outcome
                if self.poller.state.error:
                    assert len(self.imap.folders["INBOX"]) == 1
                    return "later"
                await asyncio.sleep(0.005)


@pytest.fixture
def intake():
    return RecordingIntake()


@pytest.fixture(params=["lmtp", "smtp", "imap"])
async def way(request, intake, tmp_path):
    refusals = {}

    async def early_check(raw, _recipient):
        return refusals.get(raw)

    chosen = OverImap() if request.param == "imap" else OverSmtp(Channel(request.param))
    chosen.pem = tmp_path / "server.pem"
    chosen.refusals = refusals
    async with contextlib.AsyncExitStack() as stack:
        await chosen.start(stack, intake, early_check)
        yield chosen


def test_the_recording_intake_is_one(intake):
    assert isinstance(intake, Intake)


async def test_a_kept_mail_is_what_was_offered(way, intake):
    assert await way.offer(MAIL) == "kept"
    (kept,) = intake.kept.values()
    assert (kept.channel, kept.queue, kept.payload) == (way.channel, "help", CLEAN)
    assert len(kept.dedup) == 32


async def test_the_same_mail_twice_is_one_message(way, intake):
    assert await way.offer(MAIL) == "kept"
    assert await way.offer(MAIL) == "kept"
    assert (intake.calls, len(intake.kept)) == (2, 1)
    assert await way.offer(MAIL + b"more\r\n") == "kept"
    assert len(intake.kept) == 2


@pytest.mark.parametrize("error", [SpoolUnavailable("full"), OSError("disk")])
async def test_what_cannot_be_kept_now_stays_with_the_sender(way, intake, error):
    intake.failures.append(error)
    assert await way.offer(MAIL) == "later"
    assert intake.kept == {}


async def test_what_is_too_large_is_never_kept(way, intake):
    assert await way.offer(b"x" * 10_001 + b"\r\n") == "never"
    assert intake.calls == 0


async def test_an_early_refusal_of_what_would_be_kept_is_final(way, intake):
    way.refusals[CLEAN] = Unparsable("x")
    assert await way.offer(MAIL) == "never"
    assert intake.calls == 0


async def test_a_null_sender_is_kept_as_a_fact(way, intake):
    assert await way.offer(MAIL, null_sender=True) == "kept"
    raw, null_sender, _ = split_envelope(intake.payloads[0])
    assert null_sender
    assert raw.endswith(CLEAN)
