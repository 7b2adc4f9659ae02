"""LMTP and SMTP sessions, byte by byte, against a recording intake."""

import asyncio
import contextlib
import logging
import socket
import ssl
from pathlib import Path

import pytest

from testbed.mail_tls import make_authority, make_certificate
from testbed.recording_intake import RecordingIntake
from testbed.smtp_dialogue import Dialogue
from veildesk.core.envelope import split_envelope
from veildesk.core.errors import ConfigInvalid, ListenerUnavailable, NotEncrypted, SpoolUnavailable
from veildesk.core.limits import Limits
from veildesk.core.ports import Intake
from veildesk.core.submission import Channel
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings

CORPUS = Path(__file__).parents[2] / "corpus" / "smtp"
SUPPORT, OTHER = "support@gateway.test", "other@gateway.test"
MAIL = b"Subject: hello\r\n\r\nA body.\r\n"


@pytest.fixture
def intake():
    return RecordingIntake()


@pytest.fixture
async def listen(intake):
    started = []

    async def start(channel=Channel.LMTP, *, limits=None, early_check=None, tls_context=None, **settings):
        listener = Listener(
            ListenerSettings("gateway.test", channel=channel, **settings),
            intake,
            limits or Limits(),
            Recipients({SUPPORT: "support", "help@gateway.test": "support", OTHER: "other"}),
            b"secret",
            early_check=early_check,
            tls_context=tls_context,
        )
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        intake.gate.set()
        await listener.close(grace=2)


async def replies(dialogue, count):
    return [await dialogue.reply() for _ in range(count)]


def test_recording_intake_is_an_intake(intake):
    assert isinstance(intake, Intake)


async def test_lmtp_answers_once_per_recipient_in_order(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.say("MAIL FROM:<a@example.org>")
    assert (await client.say(f"RCPT TO:<{SUPPORT}>")).startswith("250 2.1.5")
    assert (await client.say("RCPT TO:<nobody@gateway.test>")).startswith("550 5.1.1")
    assert (await client.say(f"RCPT TO:<{OTHER}>")).startswith("250 2.1.5")
    assert (await client.say(f"RCPT TO:<{SUPPORT}>")).startswith("250 2.1.5")
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert [line[:3] for line in await replies(client, 3)] == ["250"] * 3
    assert (await client.say("NOOP")).startswith("250")
    assert sorted(kept.queue for kept in intake.kept.values()) == ["other", "support"]
    assert {kept.payload for kept in intake.kept.values()} == {MAIL}
    await client.close()


async def test_lmtp_recipients_fail_one_by_one(listen, intake):
    async def early_check(raw, recipient):
        return NotEncrypted() if recipient == OTHER else None

    listener = await listen(early_check=early_check)
    intake.failures.append(SpoolUnavailable("full"))
    client = await Dialogue.open(listener.port)
    await client.begin(OTHER, SUPPORT)
    await client.send(MAIL + b".\r\n")
    assert [line[:9] for line in await replies(client, 2)] == ["550 5.7.1", "452 4.3.1"]
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    await client.close()


async def test_kept_is_said_only_after_it_is_kept(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    intake.gate.clear()
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    await intake.wait_calls(1)
    pending = asyncio.ensure_future(client.reply())
    await asyncio.sleep(0.05)
    assert not pending.done()
    intake.gate.set()
    assert (await pending).startswith("250")
    await client.close()


async def test_a_client_that_leaves_does_not_stop_the_acceptance(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    intake.gate.clear()
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    await intake.wait_calls(1)
    await client.close()
    intake.gate.set()
    await intake.wait_kept(1)
    again = await Dialogue.open(listener.port)
    await again.begin(SUPPORT)
    await again.send(MAIL + b".\r\n")
    assert (await again.reply()).startswith("250")
    assert len(intake.kept) == 1
    await again.close()


@pytest.mark.parametrize("turns", range(6))
async def test_who_connects_while_the_listener_closes_is_not_left_waiting(listen, turns):
    listener = await listen()
    clients = [socket.create_connection(("127.0.0.1", listener.port), 10) for _ in range(5)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await listener.close(grace=0)

    def left(client: socket.socket) -> bytes:
        with client, contextlib.suppress(ConnectionResetError):
            return client.recv(1000) and client.recv(1000)
        return b""

    assert [await asyncio.to_thread(left, client) for client in clients] == [b""] * 5


async def test_closing_lets_a_mail_under_way_be_answered(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    idle = await Dialogue.open(listener.port)
    intake.gate.clear()
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    await intake.wait_calls(1)
    closing = asyncio.ensure_future(listener.close())
    assert await idle.rest() == ""
    intake.gate.set()
    assert (await client.reply()).startswith("250")
    await closing
    await client.close()
    await idle.close()


async def test_a_fault_of_the_spool_is_temporary_and_tells_nothing(listen, intake, caplog):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    intake.failures.append(RuntimeError("secret detail"))
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    reply = await client.reply()
    assert reply.startswith("452 4.3.1")
    assert "secret" not in reply + caplog.text
    await client.close()


async def test_same_queue_by_two_addresses_is_one_message(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT, "help@gateway.test", "support+x@gateway.test")
    await client.send(MAIL + b".\r\n")
    assert [line[:3] for line in await replies(client, 3)] == ["250"] * 3
    assert intake.calls == 1
    await client.close()


async def test_smtp_takes_one_queue_per_transaction(listen, intake):
    listener = await listen(Channel.SMTP)
    client = await Dialogue.open(listener.port, "EHLO client.test")
    await client.say("MAIL FROM:<a@example.org>")
    assert (await client.say(f"RCPT TO:<{SUPPORT}>")).startswith("250")
    assert (await client.say(f"RCPT TO:<{OTHER}>")).startswith("452 4.5.3")
    assert (await client.say("RCPT TO:<help@gateway.test>")).startswith("250")
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    assert (await client.say("NOOP")).startswith("250")
    await client.close()


@pytest.mark.parametrize("channel", [Channel.LMTP, Channel.SMTP])
async def test_hello_of_the_other_protocol_is_refused(listen, channel):
    listener = await listen(channel)
    client = await Dialogue.open(listener.port, None)
    wrong = ["EHLO x", "HELO x"] if channel is Channel.LMTP else ["LHLO x"]
    for line in wrong:
        assert (await client.say(line)).startswith("500")
    right = "LHLO x" if channel is Channel.LMTP else "EHLO x"
    lines = (await client.say(right)).splitlines()
    assert lines[0] == "250-gateway.test"
    assert {line[4:] for line in lines[1:]} == {
        f"SIZE {Limits().mail_size}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"
    }  # fmt: skip
    await client.close()


async def test_null_sender_reaches_the_spool(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT, sender="")
    await client.send(b"X-Veildesk-Envelope: x\r\n" + MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    assert split_envelope(intake.payloads[0])[:2] == (MAIL, True)
    await client.close()


async def test_dots_and_long_lines_arrive_unchanged(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT)
    long = b"y" * 300_000
    await client.send(b"Subject: x\r\n\r\n..\r\n...\r\n.x\r\n" + long + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert intake.payloads == [b"Subject: x\r\n\r\n.\r\n..\r\nx\r\n" + long + b"\r\n"]
    await client.close()


async def test_empty_mail_ends_at_once(listen, intake):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT)
    await client.send(b".\r\n")
    assert (await client.reply()).startswith("250")
    assert intake.payloads == [b""]
    await client.close()


# ---------------------------------------------------------------------- hostile bytes

SMUGGLING = sorted(CORPUS.glob("end-of-data-*.data"))
DIALOGUES = sorted(CORPUS.glob("command-*.dialogue"))


def test_corpus_is_there():
    assert (len(SMUGGLING), len(DIALOGUES)) == (13, 13)


@pytest.mark.parametrize("path", SMUGGLING, ids=lambda path: path.stem)
@pytest.mark.parametrize("channel", [Channel.LMTP, Channel.SMTP])
async def test_only_crlf_dot_crlf_ends_a_mail(listen, intake, channel, path):
    listener = await listen(channel)
    client = await Dialogue.open(listener.port, "LHLO x" if channel is Channel.LMTP else "EHLO x")
    await client.begin(SUPPORT)
    await client.send(path.read_bytes() + b"QUIT\r\n")
    said = (await client.rest()).splitlines()
    assert len(said) == 2
    assert said[1].startswith("221")
    assert said[0].startswith(("250", "550 5.5.2"))
    assert [kept.queue for kept in intake.kept.values()] == ["support"] * said[0].startswith("250")
    for payload in intake.payloads:
        assert b"MAIL FROM:<admin@example.org>" in payload
        assert b"evil" in payload
    bare = b"\r\n" not in path.read_bytes().partition(b"one")[2][:2]
    assert said[0].startswith("250") or channel is Channel.SMTP or not bare
    await client.close()


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
async def test_hostile_commands_leave_no_recipient(listen, intake, path):
    listener = await listen(Channel.SMTP)
    client = await Dialogue.open(listener.port, "EHLO x")
    await client.send(path.read_bytes() + b"DATA\r\nQUIT\r\n")
    said = await client.rest()
    lines = said.replace("\r\n", "\n").splitlines()
    assert lines[-2].startswith("503")
    assert all(line[:1] in "25" for line in lines)
    assert "\r" not in said.replace("\r\n", "")
    assert not set(said) & set("\x00\x01\x02\x1b")
    assert intake.calls == 0
    await client.close()


async def test_text_pipelined_behind_starttls_is_forgotten(listen, intake):
    context = server_context()
    listener = await listen(Channel.SMTP, tls_context=context[0])
    client = await Dialogue.open(listener.port, None)
    assert "STARTTLS" in await client.say("EHLO x")
    await client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
    assert (await client.reply()).startswith("220")
    await client.writer.start_tls(context[1], server_hostname="gateway.test")
    assert (await client.say(f"RCPT TO:<{SUPPORT}>")).startswith("503")
    offered = await client.say("EHLO x")
    assert "STARTTLS" not in offered
    assert "AUTH" not in offered
    assert (await client.say(f"RCPT TO:<{SUPPORT}>")).startswith("503")
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    await client.close()


def server_context():
    authority = make_authority("unit")
    certificate, key = make_certificate(authority, ["gateway.test"])
    client = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return load(server, certificate, key), client


def load(context, certificate, key):
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


# ---------------------------------------------------------------------- bounds


async def test_size_is_refused_when_declared_and_when_sent(listen, intake):
    listener = await listen(limits=Limits(mail_size=10_000))
    client = await Dialogue.open(listener.port)
    assert (await client.say("MAIL FROM:<a@example.org> SIZE=10001")).startswith("552 5.3.4")
    await client.begin(SUPPORT, OTHER)
    await client.send(b"x" * 10_001 + b"\r\n.\r\n")
    assert [line[:9] for line in await replies(client, 2)] == ["552 5.3.4"] * 2
    await client.begin(SUPPORT)
    await client.send(b"x" * 9_998 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert listener.bytes_held == 0
    await client.close()


async def test_endless_mail_is_cut_off(listen, intake):
    listener = await listen(limits=Limits(mail_size=10_000))
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT)
    with pytest.raises(OSError):  # noqa: PT012
        for _ in range(1000):
            await client.send(b"x" * 65_536)
            await asyncio.sleep(0)
    assert intake.calls == 0
    await client.close()


async def test_bytes_in_flight_are_bounded(listen, intake):
    listener = await listen(limits=Limits(mail_size=100_000), bytes_in_flight=150_000)
    slow = await Dialogue.open(listener.port)
    await slow.begin(SUPPORT)
    await slow.send(b"x" * 80_000 + b"\r\n")
    while listener.bytes_held < 80_000:
        await asyncio.sleep(0.005)
    client = await Dialogue.open(listener.port)
    assert (await client.say("MAIL FROM:<a@example.org> SIZE=90000")).startswith("452 4.3.1")
    await client.begin(SUPPORT)
    await client.send(b"x" * 90_000 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("452 4.3.1")
    await slow.send(b".\r\n")
    assert (await slow.reply()).startswith("250")
    await client.begin(SUPPORT)
    await client.send(b"x" * 90_000 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    await slow.begin(OTHER)
    await slow.send(b"x" * 80_000)
    await slow.close()
    await client.close()
    while listener.sessions:
        await asyncio.sleep(0.005)
    assert listener.bytes_held == 0


async def test_sessions_are_bounded(listen):
    listener = await listen(max_sessions=2)
    first, second = await Dialogue.open(listener.port), await Dialogue.open(listener.port)
    third = await Dialogue.open(listener.port, None)
    assert await third.rest() == ""
    await first.say("QUIT")
    await first.close()
    while listener.sessions > 1:
        await asyncio.sleep(0.005)
    fourth = await Dialogue.open(listener.port, None)
    assert (await fourth.say("LHLO x")).startswith("250")
    for client in (second, third, fourth):
        await client.close()


async def test_silent_clients_are_dropped(listen):
    listener = await listen(timeout=0.1)
    client = await Dialogue.open(listener.port)
    assert await client.rest() == ""
    await client.close()


async def test_recipients_are_bounded(listen):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.say("MAIL FROM:<a@example.org>")
    said = [await client.say(f"RCPT TO:<support+{number}@gateway.test>") for number in range(101)]
    assert [line[:9] for line in said[99:]] == ["250 2.1.5", "452 4.5.3"]
    await client.close()


async def test_a_check_that_fails_itself_refuses_nothing(listen, intake):
    async def early_check(raw, recipient):
        raise ZeroDivisionError

    listener = await listen(early_check=early_check)
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    await client.close()


@pytest.mark.parametrize("command", ["AUTH PLAIN AGEAYg==", "VRFY <support@gateway.test>", "HELP", "EXPN x"])
async def test_nothing_else_is_told(listen, command):
    listener = await listen()
    client = await Dialogue.open(listener.port)
    reply = await client.say(command)
    assert reply[:3] in {"502", "252", "214"}
    assert "aiosmtpd" not in reply.lower()
    assert "support" not in reply.lower()
    await client.close()


# ---------------------------------------------------------------------- socket, settings, logs


async def test_unix_socket_is_private_and_goes_away(listen, tmp_path):
    path = tmp_path / "lmtp.sock"
    listener = await listen(path=path, socket_mode=0o600)
    assert listener.path == path
    assert path.stat().st_mode & 0o777 == 0o600
    client = await Dialogue.open(path)
    await client.begin(SUPPORT)
    await client.send(MAIL + b".\r\n")
    assert (await client.reply()).startswith("250")
    await client.close()
    await listener.close()
    assert not path.exists()


async def test_a_left_over_socket_is_replaced_and_a_file_is_not(listen, tmp_path):
    first = await listen(path=tmp_path / "lmtp.sock")
    second = await listen(path=tmp_path / "lmtp.sock")
    await second.close()
    await first.close()
    (tmp_path / "file").write_text("x")
    with pytest.raises(ListenerUnavailable):
        await listen(path=tmp_path / "file")


async def test_a_port_in_use_is_named(listen):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenerUnavailable) as caught:
            await listen(host="127.0.0.1", port=taken.getsockname()[1])
    assert caught.value.detail == "[lmtp] listen: Address already in use"


@pytest.mark.parametrize(
    "settings",
    [
        ListenerSettings("gateway.test", channel=Channel.IMAP),
        ListenerSettings("gateway.test", bytes_in_flight=10),
    ],
)
def test_settings_that_cannot_work_are_refused(intake, settings):
    with pytest.raises(ConfigInvalid):
        Listener(settings, intake, Limits(), Recipients({SUPPORT: "support"}), b"secret")


async def test_logs_hold_neither_mail_nor_addresses(listen, intake, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("mail.log", "veildesk.intake"):
        caplog.set_level(logging.DEBUG, logger=name)
    listener = await listen()
    client = await Dialogue.open(listener.port)
    await client.begin(SUPPORT, "unknown-canary@gateway.test", sender="sender-canary@example.org")
    await client.send(b"Subject: subject-canary\r\n\r\nbody-canary\r\n.\r\n")
    await client.reply()
    await client.say("BOGUS command-canary")
    await client.say("QUIT")
    await client.close()
    text = caplog.text + " ".join(str(record.__dict__) for record in caplog.records)
    assert "mail-kept" in text
    assert "canary" not in text
    assert "@" not in text


async def test_a_mail_that_is_still_being_kept_counts_when_its_client_has_gone(listen, intake):
    """A store that answers late would fill the memory otherwise, with clients that do not wait for it."""
    listener = await listen(limits=Limits(mail_size=100_000), bytes_in_flight=150_000)
    intake.gate.clear()
    gone = await Dialogue.open(listener.port)
    await gone.begin(SUPPORT)
    await gone.send(b"x" * 80_000 + b"\r\n.\r\n")
    await intake.wait_calls(1)
    await gone.close()
    while listener.sessions:
        await asyncio.sleep(0.005)
    assert listener.bytes_held >= 80_000
    client = await Dialogue.open(listener.port)
    assert (await client.say("MAIL FROM:<a@example.org> SIZE=90000")).startswith("452 4.3.1")
    intake.gate.set()
    await intake.wait_kept(1)
    while listener.bytes_held:
        await asyncio.sleep(0.005)
    await client.begin(OTHER)
    await client.send(b"x" * 90_000 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    await client.close()
