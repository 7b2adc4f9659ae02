"""The poller against a scripted server: what real servers do rarely, here on demand."""

import asyncio
import logging
import ssl
from dataclasses import replace

import pytest

from testbed.mail_tls import make_authority, make_certificate
from testbed.recording_intake import RecordingIntake
from testbed.scripted_imap import ScriptedImap
from veildesk.core.envelope import split_envelope
from veildesk.core.errors import ConfigInvalid, SpoolUnavailable, Unparsable
from veildesk.core.limits import Limits
from veildesk.intake.imap import ImapPoller, ImapSettings

MAIL = b"Message-ID: <1@example.org>\r\nSubject: one\r\n\r\nA body.\r\n"
OTHER = MAIL.replace(b"one", b"two")


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    authority = make_authority("imap")
    certificate, key = make_certificate(authority, ["localhost"])
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(certificate + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=authority.certificate_pem.decode())


@pytest.fixture
def intake():
    return RecordingIntake()


@pytest.fixture
async def poll(contexts, intake):
    """Start a server and a poller; both end with the test."""
    async with contextlib_stack() as stack:
        tasks = []

        async def start(imap, *, limits=None, early_check=None, run=True, **changes):
            await stack.enter_async_context(imap.serve(contexts[0]))
            settings = ImapSettings(
                "localhost",
                "bridge",
                "right",
                imap.port,
                idle=5,
                timeout=2,
                backoff_first=0.01,
                backoff_last=0.02,
            )
            poller = ImapPoller(
                replace(settings, **changes),
                intake,
                limits or Limits(),
                b"secret",
                contexts[1],
                early_check=early_check,
            )
            if run:
                tasks.append(asyncio.ensure_future(poller.run()))
            return poller

        yield start
        intake.gate.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def contextlib_stack():
    import contextlib

    return contextlib.AsyncExitStack()


async def until(condition, seconds=15):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def moved(imap, folder="Processed"):
    return list(imap.folders.get(folder, {}).values())


async def test_waiting_mail_is_kept_then_moved(poll, intake):
    imap = ScriptedImap()
    imap.add(MAIL)
    imap.add(OTHER)
    poller = await poll(imap)
    await until(lambda: len(moved(imap)) == 2)
    assert intake.payloads == [MAIL, OTHER]
    assert imap.folders["INBOX"] == {}
    assert (poller.state.kept, poller.state.failed, poller.state.connected) == (2, 0, True)


async def test_a_push_wakes_the_poller(poll, intake):
    imap = ScriptedImap()
    poller = await poll(imap, idle=60)
    await poller.wait_connected(10)
    await until(lambda: "IDLE" in imap.commands)
    imap.tell("* OK Still here")
    imap.add(MAIL)
    await until(lambda: len(moved(imap)) == 1, 5)


async def test_mail_announced_inside_another_answer_is_seen(poll, intake):
    imap = ScriptedImap(late_mail=MAIL)
    await poll(imap, idle=60)
    await until(lambda: len(moved(imap)) == 1, 5)


async def test_nothing_moves_before_it_is_kept(poll, intake):
    imap = ScriptedImap()
    intake.gate.clear()
    imap.add(MAIL)
    await poll(imap)
    await intake.wait_calls(1)
    await asyncio.sleep(0.05)
    assert not any("MOVE" in command for command in imap.commands)
    intake.gate.set()
    await until(lambda: len(moved(imap)) == 1)


async def test_an_end_between_keeping_and_moving_leaves_one_message(poll, intake):
    imap = ScriptedImap(drop={"UID MOVE"})
    imap.add(MAIL)
    poller = await poll(imap)
    await until(lambda: len(moved(imap)) == 1)
    assert imap.connections == 2
    assert intake.calls == 1
    fresh = ScriptedImap()
    fresh.add(MAIL)
    await poll(fresh)
    await until(lambda: len(moved(fresh)) == 1)
    assert len(intake.kept) == 1
    assert intake.calls == 2
    assert poller.state.kept == 1


async def test_new_uidvalidity_doubles_nothing(poll, intake):
    imap = ScriptedImap(refuse={"UID MOVE"})
    imap.add(MAIL)
    await poll(imap)
    await until(lambda: imap.connections >= 3)
    assert intake.calls == 1
    imap.renumber()
    imap.cut()
    await intake.wait_calls(2)
    imap.refuse.clear()
    await until(lambda: len(moved(imap)) == 1)
    assert len(intake.kept) == 1


@pytest.mark.parametrize("how", ["cut", "bye"])
async def test_a_lost_connection_is_made_anew_at_once(poll, intake, how):
    imap = ScriptedImap()
    poller = await poll(imap, idle=60, timeout=30)
    await until(lambda: "IDLE" in imap.commands)
    imap.cut() if how == "cut" else imap.tell("* BYE shutting down")
    await until(lambda: imap.connections == 2 and poller.state.connected, 5)
    assert poller.state.connections == 2


@pytest.mark.parametrize("mute", ["DONE", "NOOP", "UID SEARCH", "SELECT", "LOGIN", "CAPABILITY", "STATUS"])
async def test_a_silent_server_is_left(poll, intake, mute):
    imap = ScriptedImap(mute={mute})
    poller = await poll(imap, idle=0.1, timeout=0.2)
    await until(lambda: poller.state.error != "")
    assert poller.state.error in {"silent", "refused-or-silent"}
    imap.mute.clear()
    imap.add(MAIL)
    await until(lambda: len(moved(imap)) == 1)


async def test_silence_in_the_middle_of_a_mail_is_noticed(poll, intake):
    imap = ScriptedImap(mute={"UID FETCH"})
    imap.add(MAIL)
    poller = await poll(imap, timeout=0.2)
    await until(lambda: poller.state.error != "")
    imap.mute.clear()
    await until(lambda: len(moved(imap)) == 1)
    assert intake.payloads == [MAIL]


async def test_without_idle_the_folder_is_asked_again(poll, intake):
    imap = ScriptedImap(capabilities="IMAP4rev1 MOVE")
    poller = await poll(imap, idle=0.05)
    await poller.wait_connected(5)
    imap.folders["INBOX"][500] = MAIL
    await until(lambda: len(moved(imap)) == 1)
    assert "IDLE" not in imap.commands


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 IDLE", "IMAP4rev1 IDLE UIDPLUS"])
async def test_without_move_a_copy_is_made_first(poll, intake, capabilities):
    imap = ScriptedImap(capabilities=capabilities)
    uid = imap.add(MAIL)
    await poll(imap)
    await until(lambda: uid in imap.deleted)
    assert moved(imap) == [MAIL]
    steps = [command.split()[1] for command in imap.commands if command.startswith("UID ")]
    assert steps.index("COPY") < steps.index("STORE")
    assert "EXPUNGE" not in imap.commands
    if "UIDPLUS" in capabilities:
        await until(lambda: uid not in imap.folders["INBOX"])
    imap.add(OTHER)
    await until(lambda: len(moved(imap)) == 2)
    assert intake.calls == 2


async def test_a_mail_too_large_is_never_fetched(poll, intake):
    imap = ScriptedImap()
    imap.add(b"x" * 5001)
    imap.add(MAIL)
    poller = await poll(imap, limits=Limits(mail_size=5000))
    await until(lambda: len(moved(imap)) == 1)
    assert moved(imap, "Failed") == [b"x" * 5001]
    assert imap.largest_piece == len(MAIL)
    assert (poller.state.kept, poller.state.failed) == (1, 1)


async def test_a_wrong_size_does_not_make_us_read_on(poll, intake):
    imap = ScriptedImap(told_size=10)
    imap.add(b"x" * 100_000)
    await poll(imap, limits=Limits(mail_size=5000), chunk=1000)
    await until(lambda: len(moved(imap, "Failed")) == 1)
    assert sum("BODY.PEEK" in command for command in imap.commands) == 6
    assert intake.calls == 0


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 3000])
async def test_pieces_are_put_together_exactly(poll, intake, length):
    imap = ScriptedImap()
    raw = bytes(number % 251 for number in range(length))
    imap.add(raw)
    await poll(imap, chunk=1000)
    await until(lambda: len(moved(imap)) == 1)
    assert intake.payloads == [raw]
    assert imap.largest_piece <= 1000


async def test_a_quoted_body_is_read(poll, intake):
    imap = ScriptedImap(quoted_bodies=True)
    imap.add(rb'Subject: "a" \ b')
    await poll(imap)
    await until(lambda: len(moved(imap)) == 1)
    assert intake.payloads == [rb'Subject: "a" \ b']


async def test_a_full_spool_moves_nothing_and_comes_back(poll, intake):
    imap = ScriptedImap()
    imap.add(MAIL)
    intake.failures.extend([SpoolUnavailable("full"), SpoolUnavailable("full"), RuntimeError("secret")])
    poller = await poll(imap)
    await until(lambda: len(moved(imap)) == 1)
    assert intake.calls == 4
    assert moved(imap, "Failed") == []
    assert poller.state.error == ""


async def test_one_mail_that_cannot_be_kept_does_not_hold_up_others(poll, intake):
    imap = ScriptedImap()
    imap.add(MAIL)
    imap.add(OTHER)
    intake.failures.append(RuntimeError("secret"))
    await poll(imap)
    await until(lambda: len(moved(imap)) == 2)
    assert moved(imap) == [OTHER, MAIL]


async def test_a_refused_mail_goes_to_failed_whole(poll, intake):
    async def early_check(raw, recipient):
        return Unparsable("nul") if recipient == "bridge@gateway.test" else None

    imap = ScriptedImap()
    imap.add(MAIL)
    await poll(imap, early_check=early_check, address="bridge@gateway.test")
    await until(lambda: moved(imap, "Failed") == [MAIL])
    assert intake.calls == 0


async def test_folders_are_made_and_encoded(poll, intake):
    imap = ScriptedImap()
    imap.add(MAIL)
    await poll(imap, processed="Ответы", failed='a "b"')
    await until(lambda: "&BB4EQgQyBDUEQgRL-" in imap.folders and moved(imap, "&BB4EQgQyBDUEQgRL-") == [MAIL])


async def test_a_null_return_path_reaches_the_spool(poll, intake):
    imap = ScriptedImap()
    raw = b"Return-Path: <>\r\nX-Veildesk-Envelope: x\r\n" + MAIL
    imap.add(raw)
    await poll(imap)
    await until(lambda: len(moved(imap)) == 1)
    assert split_envelope(intake.payloads[0])[:2] == (b"Return-Path: <>\r\n" + MAIL, True)


@pytest.mark.parametrize(
    ("knobs", "changes", "error"),
    [
        ({}, {"password": "wrong"}, "imap-login"),
        ({"greeting": "* BYE go away"}, {}, "lost"),
        ({"greeting": "* PREAUTH welcome"}, {}, "preauth"),
        ({"refuse": {"CREATE"}}, {}, "imap-folder"),
        ({"refuse": {"SELECT"}}, {}, "imap-folder"),
        ({}, {"host": "127.0.0.1"}, "imap-certificate"),
    ],
)
async def test_what_cannot_work_is_said_and_tried_again(poll, intake, knobs, changes, error):
    imap = ScriptedImap(**knobs)
    poller = await poll(imap, **changes)
    await until(lambda: poller.state.error == error)
    before = imap.connections
    await until(lambda: imap.connections > before or error == "imap-certificate")
    assert poller.state.connected is False
    assert intake.calls == 0


@pytest.mark.parametrize("case", ["self-signed", "expired", "wrong-host"])
async def test_no_password_is_sent_to_an_unverified_server(intake, tmp_path, case):
    authority = make_authority("known")
    maker = make_authority("stranger") if case == "self-signed" else authority
    names = ["other.test"] if case == "wrong-host" else ["localhost"]
    certificate, key = make_certificate(maker, names, days=-1 if case == "expired" else 5)
    (tmp_path / "server.pem").write_bytes(certificate + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    imap = ScriptedImap()
    async with imap.serve(server):
        poller = ImapPoller(
            ImapSettings("localhost", "bridge", "right", imap.port, backoff_first=0.01),
            intake,
            Limits(),
            b"secret",
            ssl.create_default_context(cadata=authority.certificate_pem.decode()),
        )
        task = asyncio.ensure_future(poller.run())
        await until(lambda: poller.state.error == "imap-certificate")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert imap.commands == []


@pytest.mark.parametrize("weaken", ["hostname", "both"])
async def test_an_unverifying_context_is_refused(contexts, intake, weaken):
    context = ssl.create_default_context()
    context.check_hostname = False
    if weaken == "both":
        context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigInvalid):
        ImapPoller(ImapSettings("localhost", "b", "p"), intake, Limits(), b"s", context)


async def test_ending_waits_for_an_acceptance_under_way(contexts, intake):
    imap = ScriptedImap()
    imap.add(MAIL)
    intake.gate.clear()
    async with imap.serve(contexts[0]):
        poller = ImapPoller(
            ImapSettings("localhost", "bridge", "right", imap.port), intake, Limits(), b"secret", contexts[1]
        )
        task = asyncio.ensure_future(poller.run())
        await intake.wait_calls(1)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        intake.gate.set()
        await asyncio.gather(task, return_exceptions=True)
    assert len(intake.kept) == 1


async def test_logs_hold_neither_mail_nor_account(poll, intake, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("aioimaplib.aioimaplib", "veildesk.intake"):
        caplog.set_level(logging.DEBUG, logger=name)
    imap = ScriptedImap(password="password-canary")
    imap.add(b"Subject: subject-canary\r\n\r\nbody-canary\r\n")
    poller = await poll(imap, user="user-canary", password="password-canary")
    await until(lambda: len(moved(imap)) == 1)
    imap.tell("* OK canary")
    imap.cut()
    await until(lambda: poller.state.connections == 2)
    text = caplog.text + " ".join(str(record.__dict__) for record in caplog.records)
    assert "imap-interrupted" in text
    assert "canary" not in text
    assert "canary" not in repr(poller._settings).replace("user-canary", "")
