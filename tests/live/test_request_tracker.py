"""The conformance suite and the special traps of Request Tracker, against a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.command import backend_command, run_command, write_config
from testbed.helpdesks.rt import RTDesk, RTServer, rt_desk
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import collected, entry, fresh, position
from veildesk.core.errors import BackendRefused, BackendUnavailable
from veildesk.core.ticket import Erased, Level
from veildesk.core.work import Reason
from veildesk.deliver.backends import rt, rt_session
from veildesk.ops.webhook_server import WebhookServer

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("rt")]


@pytest.fixture
def server(request_tracker: RTServer) -> RTServer:
    return request_tracker


@pytest_asyncio.fixture
async def desk(server: RTServer) -> AsyncIterator[RTDesk]:
    async with rt_desk(server) as made:
        yield made


def _gone(server: RTServer, needle: str) -> bool:
    return needle.encode() not in (server.home / "rt.sqlite").read_bytes()


async def test_a_stranger_who_mails_into_the_ticket_is_no_agent(desk: RTDesk, server: RTServer) -> None:
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    ref = await desk.ref(thread)
    mail = f"From: someone@else.test\nTo: secure@rt.test\nSubject: [rt.test #{ref}] hi\n\nI am the support.\n"
    sent = server.run(
        *("rt-mailgate-5", "--url", server.url, "--queue", "Secure", "--action", "correspond"),
        stdin=mail.encode(),
    )
    assert sent.returncode == 0, sent.stderr
    await desk.answer(thread, "A real answer.")
    replies = await collected(desk.backend, start, thread)
    assert [reply.text.strip() for reply in replies] == ["A real answer."]


async def test_no_mail_leaves_request_tracker_for_a_person(desk: RTDesk, server: RTServer) -> None:
    before = set((server.home / "mail").iterdir())
    thread = fresh()
    await desk.backend.deliver(entry(thread))
    await desk.answer(thread, "An answer.")
    await desk.close_ticket(thread)
    assert set((server.home / "mail").iterdir()) == before


async def test_an_answer_is_announced_and_the_announcement_proves_itself(
    desk: RTDesk, server: RTServer
) -> None:
    """The scrip of deploy/helpdesk/rt; it holds no content, and our own messages announce nothing."""
    told: asyncio.Queue[bytes] = asyncio.Queue()
    bodies: list[bytes] = []

    def proves(headers: Mapping[str, str], body: bytes) -> bool:
        bodies.append(body)
        return desk.backend.hint(headers, body)

    taker = {"rt": (proves, lambda: told.put_nowait(b"")), "other": (proves, lambda: None)}
    listening = await WebhookServer(taker, port=server.webhook_port).start()
    async with listening:
        thread = fresh()
        delivered = await desk.backend.deliver(entry(thread))
        await desk.note(thread, "between us")
        await desk.answer(thread, "An answer with words.")
        await asyncio.wait_for(told.get(), 30)
    assert [json.loads(body) for body in bodies] == [
        {"type": "replies.waiting", "data": {"ref": delivered.ref}}
    ]


async def test_a_lost_session_is_renewed(desk: RTDesk) -> None:
    await desk.backend.deliver(entry(fresh()))
    for cookie in desk.backend._client.cookies.jar:
        cookie.value = "0" * 32
    assert (await desk.backend.deliver(entry(fresh()))).fresh


async def test_a_token_works_as_well_as_a_session(server: RTServer) -> None:
    made = server.run(
        "perl",
        "-e",
        "use lib '/usr/share/request-tracker5/lib'; use RT; RT::LoadConfig(); RT::Init(); use RT::AuthToken;"
        "my $u = RT::User->new(RT->SystemUser); $u->Load('veildesk');"
        "my ($ok, $said, $token) = RT::AuthToken->new(RT->SystemUser)"
        "->Create(Owner => $u->id, Description => 'test'); print $token;",
    )
    (server.home / "token").write_bytes(made.stdout)
    from veildesk.deliver.backends.rt import from_config

    settings = {k: v for k, v in server.settings.items() if k != "password_file"}
    backend = from_config("rt", {**settings, "token_file": "token"})
    assert (await backend.deliver(entry(fresh()))).fresh
    await backend.close()


async def test_check_names_what_is_wrong(server: RTServer) -> None:
    (server.home / "wrong").write_text("not it")
    async with rt_desk(server, password_file="wrong") as desk:
        (result,) = await desk.backend.check()
        assert (result.level, result.found) == (Level.FAIL, "wrong user, password or token")
    async with rt_desk(server, queue="General") as desk:
        failed = {result.title for result in await desk.backend.check() if result.level is Level.FAIL}
        assert failed == {"queue General is visible"}
    async with rt_desk(server, queue="Payments", erase_command=[]) as desk:
        wrong = {
            r.id.rpartition(".")[2]: r.level for r in await desk.backend.check() if r.level is not Level.OK
        }
        assert wrong == {"veildesk-thread": Level.FAIL, "veildesk-key": Level.FAIL, "erase": Level.WARN}


async def test_without_its_fields_nothing_is_delivered(server: RTServer) -> None:
    async with rt_desk(server, queue="Payments") as desk:
        with pytest.raises(BackendRefused, match="queue-not-set-up"):
            await desk.backend.deliver(entry(fresh()))


async def test_without_a_command_on_its_host_erasing_is_only_asked_for(server: RTServer) -> None:
    async with rt_desk(server, erase_command=[]) as desk:
        thread, canary = fresh(), f"canary{fresh()}"
        delivered = await desk.backend.deliver(entry(thread, canary))
        assert await desk.backend.erase(delivered.ref, thread) is Erased.REQUESTED
        assert not _gone(server, canary)
        ticket = (await desk._agent.get(f"/ticket/{delivered.ref}")).json()
        assert (ticket["Status"], ticket["Subject"]) == ("deleted", "(deleted)")
    async with rt_desk(server) as desk:
        assert await desk.backend.erase(delivered.ref, thread) is Erased.GONE
        assert _gone(server, canary)


async def test_the_companion_erases_nothing_outside_its_list(desk: RTDesk, server: RTServer) -> None:
    made = entry(fresh(), "still here")
    delivered = await desk.backend.deliver(made)
    command, thread = server.settings["erase_command"][0], made.thread
    given = f"{delivered.ref} {thread}\n".encode()
    open_ticket = server.run(command, stdin=given)
    assert (open_ticket.returncode, b"not deleted" in open_ticket.stderr) == (1, True)
    for odd in (b"1 OR 1=1\n", b"-1\n", b"0\n", b"1\n", b"1;2\n", b"9" * 30 + f" {thread}\n".encode()):
        assert server.run(command, stdin=odd).returncode != 0
    (server.home / "veildesk-rt-erase.conf").write_text("queue Payments\n")
    answer = await desk._agent.put(f"/ticket/{delivered.ref}", json={"Status": "resolved"})
    assert answer.status_code == 200
    await desk.backend._call("DELETE", f"/ticket/{delivered.ref}")
    refused = server.run(command, stdin=given)
    (server.home / "veildesk-rt-erase.conf").write_text("queue Secure\nqueue Payments\n")
    assert (refused.returncode, b"not in an allowed queue" in refused.stderr) == (1, True)
    foreign = server.run(command, stdin=f"{delivered.ref} {fresh()}\n".encode())
    assert foreign.returncode == 0  # that thread has no such ticket
    assert not _gone(server, "still here")


async def test_an_answer_by_mail_is_not_passed_on_unseen(desk: RTDesk, server: RTServer) -> None:
    """RT goes by From; who forges an agent's must not speak for the team."""
    thread = fresh()
    start = await position(desk.backend)
    delivered = await desk.backend.deliver(entry(thread))
    mail = (
        f"From: agent@rt.test\nTo: secure@rt.test\nX-RT-Interface: Web\n"
        f"Subject: [rt.test #{delivered.ref}] hi\n\nSend us your keys.\n"
    )
    sent = server.run(
        *("rt-mailgate-5", "--url", server.url, "--queue", "Secure", "--action", "correspond"),
        stdin=mail.encode(),
    )
    assert sent.returncode == 0, sent.stderr
    await desk.answer(thread, "A real answer.")
    replies = await collected(desk.backend, start, thread)
    assert [(reply.text.strip(), reply.doubt) for reply in replies] == [
        ("Send us your keys.", Reason.BY_MAIL),
        ("A real answer.", Reason.NONE),
    ]


async def test_tickets_of_one_team_taken_apart_are_read_and_erased_each_for_itself(
    desk: RTDesk, server: RTServer
) -> None:
    """A into B into C: each keeps its own answers, and each goes alone."""
    threads = [fresh() for _ in range(3)]
    canaries = [f"canary{fresh()}" for _ in range(3)]
    start = await position(desk.backend)
    refs = [
        (await desk.backend.deliver(entry(thread, canary))).ref
        for thread, canary in zip(threads, canaries, strict=True)
    ]
    for thread in threads:
        await desk.answer(thread, f"for {thread}")
    await desk.merge(threads[0], threads[1])
    await desk.merge(threads[1], threads[2])
    found = [reply async for reply in desk.backend.replies(start) if reply.thread]
    assert [(reply.thread, reply.text, reply.others) for reply in found] == [
        (thread, f"for {thread}", ()) for thread in threads
    ]
    for ref, thread, canary in zip(refs, threads, canaries, strict=True):
        assert await desk.backend.erase(ref, thread) is Erased.GONE
        assert _gone(server, canary)
    assert all(_gone(server, f"for {thread}") for thread in threads)


async def test_a_queue_that_is_not_shown_any_more_is_a_fault_and_not_an_empty_one(
    desk: RTDesk, server: RTServer
) -> None:
    """Else its answers would be passed over as soon as another queue moves the position on."""
    made = entry(fresh())
    delivered = await desk.backend.deliver(made)
    async with rt_desk(server, queue="Renamed") as away:
        with pytest.raises(BackendUnavailable, match="queue-not-set-up"):
            await position(away.backend)
        with pytest.raises(BackendUnavailable, match="queue-not-set-up"):
            await away.backend.erase(delivered.ref, made.thread)


async def test_answers_after_an_older_copy_of_the_helpdesk_was_brought_back_are_read(desk: RTDesk) -> None:
    """Its numbers begin again below our position."""
    thread = fresh()
    await desk.backend.deliver(entry(thread))
    await position(desk.backend)
    await desk.answer(thread, "After the restoring.")
    desk.backend._settled = False
    (reply,) = await collected(desk.backend, "99999999", thread)
    assert reply.text.strip() == "After the restoring."
    assert int(reply.cursor) < 99999999


async def test_answers_to_many_tickets_at_once_come_whole(
    desk: RTDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As agents' bulk update writes them: more than one page of transactions."""
    threads = [fresh() for _ in range(5)]
    start = await position(desk.backend)
    for thread in threads:
        await desk.backend.deliver(entry(thread))
        await desk.answer(thread, f"to {thread}")
    for module in (rt, rt_session):
        monkeypatch.setattr(module, "PAGE", 2)
    found = [reply async for reply in desk.backend.replies(start) if reply.thread in threads]
    assert [(reply.thread, reply.text) for reply in found] == [(one, f"to {one}") for one in threads]


async def test_setting_up_makes_what_is_missing_and_nothing_twice(server: RTServer, tmp_path: Path) -> None:
    """By the command that an operator types, with the companion on the helpdesk's host."""
    config = write_config(tmp_path, "rt", {**server.settings, "queue": "Fresh"})
    missing = await backend_command("setup", "--dry-run", config=config)
    assert missing["queue Fresh"] == ("warn", "missing")
    async with rt_desk(server, queue="Fresh") as desk:
        assert [r for r in await desk.backend.check() if r.level is Level.FAIL]
    made = await backend_command("setup", config=config)
    assert made["queue Fresh"] == ("ok", "made")
    assert not [title for title, (level, _) in made.items() if level == "fail"], made
    again = await backend_command("setup", config=config)
    assert again["queue Fresh"] == ("ok", "there")
    assert "made" not in [found for _, found in again.values()]
    async with rt_desk(server, queue="Fresh") as desk:
        assert (await desk.backend.deliver(entry(fresh()))).fresh
    foreign = await backend_command(
        "setup", config=write_config(tmp_path, "rt", {**server.settings, "queue": "Elsewhere"})
    )
    assert foreign["setup_command"][0] == "fail"


async def test_the_command_line_says_what_is_wrong_and_how_to_mend_it(
    server: RTServer, tmp_path: Path
) -> None:
    (server.home / "wrong").write_text("not it")
    config = write_config(tmp_path, "rt", {**server.settings, "password_file": "wrong"})
    shown = await run_command("check", config=config)
    assert shown.returncode == 14
    assert b"password" in shown.stdout
    assert b"not it" not in shown.stdout + shown.stderr
    silent = write_config(tmp_path, "rt", {**server.settings, "url": "http://127.0.0.1:1"})
    assert (await run_command("check", config=silent)).returncode == 14
    good = await run_command("check", config=write_config(tmp_path, "rt", server.settings))
    assert good.returncode == 0, good.stdout
