"""Real Postfix in front of the LMTP listener: nothing lost, nothing doubled."""

import asyncio
import smtplib
import ssl

import pytest

from testbed.mail_servers import MailServers
from testbed.mail_tls import make_authority
from testbed.recording_intake import RecordingIntake
from veildesk.core.envelope import split_envelope
from veildesk.core.errors import NotEncrypted, SendFailed, SpoolUnavailable
from veildesk.core.limits import Limits
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.replies.mailer import SmtpMailer, SmtpMailerSettings

pytestmark = pytest.mark.live

ADDRESSES = {f"{name}@gateway.test": name for name in ("support", "other", "strict")}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with MailServers(tmp_path_factory.mktemp("postfix")) as running:
        yield running


@pytest.fixture
def intake():
    return RecordingIntake()


async def only_encrypted(_raw, recipient):
    return NotEncrypted() if recipient == "strict@gateway.test" else None


def listener(intake, port=0):
    settings = ListenerSettings("gateway.test", port=port)
    return Listener(settings, intake, Limits(), Recipients(ADDRESSES), b"secret", early_check=only_encrypted)


def send(servers, recipients, text, sender="sender@users.test"):
    with smtplib.SMTP("127.0.0.1", servers.smtp_port, timeout=30) as client:
        client.sendmail(sender, recipients, text)


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_listener_that_is_away_loses_and_doubles_nothing(servers, intake):
    first = listener(intake)
    await first.start()
    port = first.port
    await asyncio.to_thread(servers.set_gateway_lmtp, ("127.0.0.1", port))

    def post(numbers):
        for number in numbers:
            send(servers, ["support@gateway.test"], f"Subject: n{number}\r\n\r\nx\r\n".encode())

    await asyncio.to_thread(post, range(15))
    await first.close(grace=0)
    await asyncio.to_thread(post, range(15, 30))
    second = listener(intake, port)
    await second.start()
    try:
        await intake.wait_kept(30, 200)
    except TimeoutError:
        raise AssertionError(servers.mail_log.read_text(errors="replace")[-8000:]) from None
    await until(lambda: servers.queued() == 0)
    subjects = sorted(payload.partition(b"Subject: n")[2].split(b"\r")[0] for payload in intake.payloads)
    assert subjects == sorted(str(number).encode() for number in range(30))
    await second.close()


async def test_a_reply_that_is_lost_does_not_double(servers, intake):
    server = listener(intake)
    await server.start()
    await asyncio.to_thread(servers.set_gateway_lmtp, ("127.0.0.1", server.port))
    intake.gate.clear()
    await asyncio.to_thread(send, servers, ["support@gateway.test"], b"Subject: once\r\n\r\nx\r\n")
    await intake.wait_calls(1)
    for session in list(server._sessions):
        session.transport.abort()
    intake.gate.set()
    await intake.wait_kept(1)
    await intake.wait_calls(2)
    await until(lambda: servers.queued() == 0)
    assert len(intake.kept) == 1
    await server.close()


async def test_recipients_have_outcomes_of_their_own(servers, intake):
    server = listener(intake)
    await server.start()
    await asyncio.to_thread(servers.set_gateway_lmtp, ("127.0.0.1", server.port))
    intake.failures.append(SpoolUnavailable("full"))
    # A null sender: the refusal of "strict" must not make Postfix write a bounce.
    await asyncio.to_thread(send, servers, list(ADDRESSES), b"Subject: mixed\r\n\r\nx\r\n", "")
    await intake.wait_kept(2)
    await until(lambda: servers.queued() == 0)
    assert sorted(kept.queue for kept in intake.kept.values()) == ["other", "support"]
    assert all(split_envelope(payload)[1] for payload in intake.payloads)
    assert intake.calls == 3
    await server.close()


async def test_the_extension_of_a_reply_address_is_kept(servers, intake):
    server = listener(intake)
    await server.start()
    await asyncio.to_thread(servers.set_gateway_lmtp, ("127.0.0.1", server.port))
    recipient = "support+ABCDEFghijklmnopqrstuvwxyz@gateway.test"
    await asyncio.to_thread(send, servers, [recipient], b"Subject: reply\r\n\r\nx\r\n")
    await intake.wait_kept(1)
    assert split_envelope(intake.payloads[0]).extension == "abcdefghijklmnopqrstuvwxyz"
    await server.close()


async def test_postfix_speaks_to_a_unix_socket(servers, intake):
    path = servers.root / "gateway.sock"
    server = Listener(
        ListenerSettings("gateway.test", path=path, socket_mode=0o666),
        intake,
        Limits(),
        Recipients(ADDRESSES),
        b"secret",
    )
    await server.start()
    await asyncio.to_thread(servers.set_gateway_lmtp, path)
    await asyncio.to_thread(send, servers, ["support@gateway.test"], b"Subject: unix\r\n\r\n.dot\r\n")
    await intake.wait_kept(1)
    assert intake.payloads[0].endswith(b"\r\n\r\n.dot\r\n")
    await server.close()


@pytest.mark.parametrize("case", ["unknown authority", "wrong host"])
async def test_an_unverified_postfix_gets_nothing(servers, case):
    context = servers.tls_context()
    host = "localhost"
    if case == "wrong host":
        host = "127.1"  # Reaches the same server by a name its certificate does not hold.
    else:
        context = ssl.create_default_context(cadata=make_authority("stranger").certificate_pem.decode())
    settings = SmtpMailerSettings("gateway.test", host=host, port=servers.smtp_port, timeout=10)
    before = len(servers.messages("user@users.test"))
    with pytest.raises(SendFailed) as raised:
        await SmtpMailer(settings, context).send(b"Subject: x\r\n\r\nx\r\n", "", "user@users.test")
    assert raised.value.detail == "smtp-certificate"
    assert len(servers.messages("user@users.test")) == before
