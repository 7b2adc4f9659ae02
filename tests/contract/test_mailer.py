"""What every `Mailer` must do: the recording one, and the real one against a real Postfix."""

import asyncio
import contextlib
import secrets
import ssl
from dataclasses import dataclass, replace

import pytest

from testbed.fixtures_mail import mail_servers  # noqa: F401
from testbed.mail_tls import make_authority, make_certificate
from veildesk.core.errors import ConfigInvalid, SendFailed, SendRefused
from veildesk.core.ports import Mailer
from veildesk.replies.fake_mailer import FakeMailer
from veildesk.replies.mailer import SmtpMailer, SmtpMailerSettings, SocksProxy, Transport

SENDER, USER = "support@gateway.test", "user@users.test"


def mail(body=b"Hello.\r\n"):
    token = secrets.token_hex(16)
    head = f"Message-ID: <{token}@gateway.test>\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n\r\n"
    return f"<{token}@gateway.test>", head.encode() + body


@dataclass
class Bench:
    """A mailer and a way to see what arrived."""

    mailer: Mailer
    arrived: object


def real_settings(servers, **changes):
    settings = SmtpMailerSettings(
        hello_name="gateway.test", host="localhost", port=servers.smtp_port, timeout=20
    )
    return replace(settings, **changes)


@pytest.fixture(params=["fake", pytest.param("smtp", marks=pytest.mark.live)])
def bench(request):
    if request.param == "fake":
        fake = FakeMailer()
        fake.unknown.add("nobody@elsewhere.test")

        async def in_memory(message_id):
            return fake.sent[message_id][0].wire

        return Bench(fake, in_memory)
    servers = request.getfixturevalue("mail_servers")
    real = SmtpMailer(real_settings(servers), servers.tls_context())

    async def in_mailbox(message_id):
        for _ in range(1000):
            for content in await asyncio.to_thread(servers.messages, USER):
                if message_id.encode() in content:
                    return content
            await asyncio.sleep(0.02)
        raise AssertionError("not delivered")

    return Bench(real, in_mailbox)


async def test_exact_bytes_arrive(bench):
    message_id, wire = mail(b".leading dot\r\n..two\r\n\r\ntrailing space \r\n\tTab\r\nlast\r\n\r\n")
    await bench.mailer.send(wire, SENDER, USER)
    body = wire.partition(b"\r\n\r\n")[2]
    content = (await bench.arrived(message_id)).replace(b"\r\n", b"\n")
    assert content.partition(b"\n\n")[2] == body.replace(b"\r\n", b"\n")


async def test_eight_bit_bytes_arrive(bench):
    message_id, wire = mail("Grüße, мир\r\n".encode())
    await bench.mailer.send(wire, SENDER, USER)
    assert "Grüße, мир".encode() in await bench.arrived(message_id)


async def test_null_return_path_is_possible(bench):
    message_id, wire = mail()
    await bench.mailer.send(wire, "", USER)
    assert await bench.arrived(message_id)


async def test_a_refused_recipient_is_final(bench):
    with pytest.raises(SendRefused):
        await bench.mailer.send(mail()[1], SENDER, "nobody@elsewhere.test")


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"Subject: x\r\n\r\nno line end",
        b"Subject: x\n\nbare\n",
        b"Subject: x\r\n\r\nbare\rcr\r\n",
        b"Subject: x\r\n\r\nnul\x00\r\n",
        b"Subject: x\r\n\r\nsmuggled\n.\nMAIL FROM:<a@b.test>\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
    ],
)
async def test_bytes_that_would_change_are_refused(bench, wire):
    with pytest.raises(SendRefused):
        await bench.mailer.send(wire, SENDER, USER)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test>\r\nRCPT TO:<c@d.test",
        "a\r@b.test",
        "a\n@b.test",
        "a\x00@b.test",
        "a@b.test> SIZE=1",
        "a b@c.test",
        "a@b@c.test",
        '"a"@b.test',
        "<a@b.test>",
        "a@b.test,c@d.test",
        "a..b@c.test",
        "-a@b.test",
        "a@-b.test",
        "a@b\udcff.test",
        "a@",
        "@b.test",
        "a",
        "a" * 400 + "@b.test",
    ],
)
async def test_addresses_that_could_inject_are_refused(bench, address):
    for sender, recipient in ((address, USER), (SENDER, address)):
        with pytest.raises(SendRefused):
            await bench.mailer.send(mail()[1], sender, recipient)


async def test_an_empty_recipient_is_refused(bench):
    with pytest.raises(SendRefused):
        await bench.mailer.send(mail()[1], SENDER, "")


async def test_the_fake_fails_as_told_and_counts_doubles():
    fake = FakeMailer()
    fake.next_errors.append(SendFailed("smtp-451"))
    message_id, wire = mail()
    with pytest.raises(SendFailed):
        await fake.send(wire, SENDER, USER)
    assert fake.sent == {}
    await fake.send(wire, SENDER, USER)
    await fake.send(wire, SENDER, USER)
    assert len(fake.sent[message_id]) == 2


# ---------------------------------------------------------------------- the real one against scripted servers


@contextlib.asynccontextmanager
async def scripted(script, tls=None, path=None):
    """A server that answers each command by `script(command)`; None drops the connection."""
    seen = []

    async def serve(reader, writer):
        writer.write(script(b"") or b"")
        try:
            while line := await reader.readline():
                seen.append(line.rstrip(b"\r\n"))
                answer = script(line.rstrip(b"\r\n"))
                if answer is None:
                    break
                writer.write(answer)
                if answer.startswith(b"354"):
                    seen.append(await reader.readuntil(b"\r\n.\r\n"))
                    answer = script(b".")
                    if answer is None:
                        break
                    writer.write(answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    if path is None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    else:
        server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield None if path else server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        await server.wait_closed()


def answers(**changes):
    table = {
        "": b"220 x\r\n",
        "EHLO": b"250-x\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n",
        "MAIL": b"250 2.1.0 ok\r\n",
        "RCPT": b"250 2.1.5 ok\r\n",
        "DATA": b"354 go\r\n",
        ".": b"250 2.0.0 ok\r\n",
        "QUIT": b"221 bye\r\n",
    } | changes

    def script(line):
        return table.get(line.decode("utf-8", "replace").partition(" ")[0].upper(), b"502 what\r\n")

    return script


def plain(port, **changes):
    settings = SmtpMailerSettings(
        "gateway.test", host="127.0.0.1", port=port, transport=Transport.PLAIN, timeout=3, data_timeout=3
    )
    return SmtpMailer(replace(settings, **changes))


async def test_the_envelope_and_hello_are_fixed():
    async with scripted(answers()) as (port, seen):
        wire = mail(b"x\r\n")[1]
        await plain(port).send(wire, SENDER, USER)
    assert seen == [
        b"EHLO gateway.test",
        f"MAIL FROM:<{SENDER}> SIZE={len(wire)}".encode(),
        f"RCPT TO:<{USER}>".encode(),
        b"DATA",
        wire + b".\r\n",
        b"QUIT",
    ]


@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("", b"421 4.3.2 busy\r\n", SendFailed),
        ("", b"554 5.7.1 you are blocked\r\n", SendFailed),
        ("", None, SendFailed),
        ("EHLO", b"421 4.3.2 busy\r\n", SendFailed),
        ("MAIL", b"451 4.3.0 later\r\n", SendFailed),
        ("MAIL", b"550 5.7.1 no\r\n", SendRefused),
        ("RCPT", b"450 4.2.1 greylisted\r\n", SendFailed),
        ("RCPT", b"550 5.1.1 unknown\r\n", SendRefused),
        ("RCPT", b"421 4.3.2 closing\r\n", SendFailed),
        ("DATA", b"554 5.5.1 no\r\n", SendRefused),
        (".", b"452 4.3.1 full\r\n", SendFailed),
        (".", b"552 5.3.4 too big\r\n", SendRefused),
        (".", b"354 what\r\n", SendFailed),
        (".", b"nonsense\r\n", SendFailed),
        (".", None, SendFailed),
        ("RCPT", None, SendFailed),
    ],
)
async def test_replies_say_whether_to_try_again(step, reply, error):
    async with scripted(answers(**{step: reply})) as (port, _):
        with pytest.raises(error) as raised:
            await plain(port).send(mail()[1], SENDER, USER)
    assert raised.type is error
    assert "@" not in raised.value.detail


async def test_a_success_stays_a_success_when_the_farewell_fails():
    async with scripted(answers(QUIT=None)) as (port, seen):
        await plain(port).send(mail()[1], SENDER, USER)
    assert seen[-1] == b"QUIT"


async def test_a_server_that_says_nothing_is_left():
    async with scripted(answers(RCPT=b"")) as (port, _):
        with pytest.raises(SendFailed):
            await plain(port, timeout=0.2).send(mail()[1], SENDER, USER)


async def test_nobody_listening_is_temporary(unused_port):
    with pytest.raises(SendFailed):
        await plain(unused_port).send(mail()[1], SENDER, USER)


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_eight_bit_and_unicode_need_the_servers_leave():
    async with scripted(answers(EHLO=b"250 x\r\n")) as (port, seen):
        with pytest.raises(SendRefused):
            await plain(port).send(mail("ü\r\n".encode())[1], SENDER, USER)
        with pytest.raises(SendRefused):
            await plain(port).send(mail()[1], SENDER, "üser@users.test")
    assert not any(line.startswith(b"MAIL") for line in seen)


# ---------------------------------------------------------------------- verified connections


def test_settings_without_a_verified_connection_are_refused(tmp_path):
    base = SmtpMailerSettings("gateway.test", host="mail.example", transport=Transport.PLAIN)
    onion = "a" * 56 + ".onion"
    proxy = SocksProxy("127.0.0.1", 9050)
    refused = [
        base,
        replace(base, host="localhost"),
        replace(base, host="192.0.2.1"),
        replace(base, host=onion),
        replace(base, host="evil" + onion + ".example", proxy=proxy),
        replace(base, host="127.0.0.1", proxy=proxy),
        replace(base, host=""),
        replace(base, path=tmp_path / "s"),
        replace(base, host="", path=tmp_path / "s", transport=Transport.STARTTLS),
    ]
    for settings in refused:
        with pytest.raises(ConfigInvalid):
            SmtpMailer(settings)
    for settings in (
        replace(base, host="127.0.0.1"),
        replace(base, host="::1"),
        replace(base, host=onion, proxy=proxy),
        replace(base, host="", path=tmp_path / "s"),
        replace(base, transport=Transport.STARTTLS),
    ):
        SmtpMailer(settings)


def test_an_unverifying_context_is_refused():
    context = ssl.create_default_context()
    context.check_hostname = False
    settings = SmtpMailerSettings("gateway.test", host="mail.example")
    with pytest.raises(ConfigInvalid):
        SmtpMailer(settings, context)
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigInvalid):
        SmtpMailer(settings, context)


async def test_no_plain_text_without_starttls():
    async with scripted(answers()) as (port, seen):
        mailer = SmtpMailer(SmtpMailerSettings("gateway.test", host="127.0.0.1", port=port, timeout=3))
        with pytest.raises(SendFailed):
            await mailer.send(mail()[1], SENDER, USER)
    assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for line in seen)


@pytest.mark.parametrize("case", ["good", "self-signed", "wrong-host", "expired"])
async def test_only_a_verified_server_gets_mail(tmp_path, case):
    authority = make_authority("one")
    maker = make_authority("two") if case == "self-signed" else authority
    names = ["other.test"] if case == "wrong-host" else ["localhost"]
    certificate, key = make_certificate(maker, names, days=-1 if case == "expired" else 5)
    (tmp_path / "server.pem").write_bytes(certificate + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    client = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    async with scripted(answers(), tls=server) as (port, seen):
        settings = SmtpMailerSettings(
            "gateway.test", host="localhost", port=port, transport=Transport.IMPLICIT, timeout=3
        )
        mailer = SmtpMailer(settings, client)
        if case == "good":
            await mailer.send(mail()[1], SENDER, USER)
            assert seen
        else:
            with pytest.raises(SendFailed) as raised:
                await mailer.send(mail()[1], SENDER, USER)
            assert raised.value.detail == "smtp-certificate"
            assert seen == []


async def test_a_unix_socket_is_served(tmp_path):
    path = tmp_path / "out.sock"
    settings = SmtpMailerSettings("gateway.test", path=path, transport=Transport.PLAIN, timeout=3)
    wire = mail(b"x\r\n")[1]
    async with scripted(answers(), path=path) as (_, seen):
        await SmtpMailer(settings).send(wire, SENDER, USER)
    assert seen[0] == b"EHLO gateway.test"
    assert wire + b".\r\n" in seen


async def test_sending_through_a_socks_proxy_resolves_nothing_here():
    onion = "b" * 56 + ".onion"
    asked = []

    async def socks(reader, writer):
        asked.append(await reader.readexactly(2))
        await reader.readexactly(asked[-1][1])
        writer.write(b"\x05\x02")
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x01\x00")
        head = await reader.readexactly(5)
        asked.append((head[3], await reader.readexactly(head[4]), user))
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        script = answers()
        writer.write(script(b""))
        while line := await reader.readline():
            answer = script(line.strip())
            writer.write(answer)
            if answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(script(b"."))
        writer.close()

    server = await asyncio.start_server(socks, "127.0.0.1", 0)
    proxy = SocksProxy("127.0.0.1", server.sockets[0].getsockname()[1])
    settings = SmtpMailerSettings(
        "gateway.test", host=onion, port=25, transport=Transport.PLAIN, proxy=proxy, timeout=3
    )
    mailer = SmtpMailer(settings)
    await mailer.send(mail()[1], SENDER, USER)
    await mailer.send(mail()[1], SENDER, USER)
    requests = [item for item in asked if isinstance(item, tuple)]
    assert [(kind, host) for kind, host, _ in requests] == [(3, onion.encode())] * 2
    assert len({user for _, _, user in requests}) == 2
    server.close()
    await server.wait_closed()
