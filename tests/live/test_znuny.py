"""The conformance suite and the special traps of Znuny, against a real one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.command import backend_command, run_command, write_config
from testbed.helpdesks.znuny import ZnunyDesk, ZnunyServer, znuny_desk, znuny_server
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import collected, entry, fresh, position
from veildesk.core.errors import BackendRefused
from veildesk.core.ticket import Erased, Level
from veildesk.core.work import Reason
from veildesk.deliver.answers import Seen

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("znuny")]


@pytest.fixture(scope="module")
def server() -> Iterator[ZnunyServer]:
    with znuny_server() as started:
        yield started


@pytest_asyncio.fixture
async def desk(server: ZnunyServer) -> AsyncIterator[ZnunyDesk]:
    async with znuny_desk(server) as made:
        yield made


async def test_a_lost_session_is_renewed(desk: ZnunyDesk) -> None:
    await desk.backend.deliver(entry(fresh()))
    desk.backend._session = "x" * 32
    assert (await desk.backend.deliver(entry(fresh()))).fresh


async def test_check_names_what_is_wrong(server: ZnunyServer) -> None:
    (server.home / "wrong").write_text("not it")
    async with znuny_desk(server, password_file="wrong") as desk:
        (result,) = await desk.backend.check()
        assert (result.level, result.found) == (Level.FAIL, "wrong user or password")
    async with znuny_desk(server, queue="Nowhere", erase_command=[]) as desk:
        wrong = {
            r.id.rpartition(".")[2]: r.level for r in await desk.backend.check() if r.level is not Level.OK
        }
        assert wrong == {"queue": Level.FAIL, "erase": Level.WARN}


async def test_a_fault_inside_an_answer_of_status_200_is_a_fault(server: ZnunyServer) -> None:
    async with znuny_desk(server, queue="Nowhere") as desk:
        with pytest.raises(BackendRefused, match="TicketCreate"):
            await desk.backend.deliver(entry(fresh()))


async def test_without_a_command_on_its_host_erasing_is_only_asked_for(server: ZnunyServer) -> None:
    async with znuny_desk(server, erase_command=[]) as desk:
        thread, canary = fresh(), f"canary{fresh()}"
        delivered = await desk.backend.deliver(entry(thread, canary, subject=f"about {canary}"))
        assert await desk.backend.erase(delivered.ref, thread) is Erased.REQUESTED
        title = desk.server.sql(f"select title from ticket where id = {delivered.ref}")
        assert title.strip() == "(deleted)"
        # Nothing is added to what is about to be erased; a new message opens a new ticket.
        again = await desk.backend.deliver(entry(thread, "Later.", ref=delivered.ref))
        assert again.ref != delivered.ref
    async with znuny_desk(server) as desk:
        assert await desk.backend.erase(delivered.ref, thread) is Erased.GONE
        assert desk.leftovers(canary.encode()) == 0


async def test_the_companion_erases_nothing_outside_its_list(desk: ZnunyDesk, server: ZnunyServer) -> None:
    foreign = await desk.call(
        "/Ticket",
        Ticket={
            "Title": "A ticket of somebody else",
            "Queue": "Raw",
            "State": "new",
            "Priority": "3 normal",
            "CustomerUser": "veildesk",
        },
        Article={
            "CommunicationChannel": "Internal",
            "Subject": "s",
            "Body": "b",
            "ContentType": "text/plain; charset=utf8",
        },
    )
    command = str(server.home / "erase")
    refused = _run(command, f"{foreign['TicketID']} {fresh()}\n")
    assert (refused.returncode, b"not from Veildesk" in refused.stderr) == (1, True)
    for odd in ("1 OR 1=1\n", "-1\n", "0\n", "1\n", "1;2\n", "9" * 30 + f" {fresh()}\n"):
        assert _run(command, odd).returncode != 0
    assert (await desk.call("/Ticket/Get", TicketID=foreign["TicketID"]))["Ticket"]


async def test_what_was_merged_goes_and_stays_each_for_itself(desk: ZnunyDesk) -> None:
    """Agents' answers of the merged ticket too; what is left over would be read as the other's."""
    mine, theirs = fresh(), fresh()
    first = await desk.backend.deliver(entry(mine, f"question {mine}"))
    await desk.backend.deliver(entry(theirs, f"question {theirs}"))
    await desk.answer(mine, f"answer {mine}")
    await desk.answer(theirs, f"answer {theirs}")
    # Merging is told apart from writing by the second in which it happened.
    await asyncio.to_thread(desk.server.sql, "select pg_sleep(3)")
    await desk.merge(mine, theirs)
    assert await desk.backend.erase(first.ref, mine) is Erased.GONE
    assert desk.leftovers(f" {mine}".encode()) == 0
    assert desk.leftovers(f"answer {theirs}".encode())
    third, theirs = fresh(), fresh()
    await desk.backend.deliver(entry(third, f"question {third}"))
    second = await desk.backend.deliver(entry(theirs, f"question {theirs}"))
    await desk.answer(third, f"answer {third}")
    await asyncio.to_thread(desk.server.sql, "select pg_sleep(3)")
    await desk.merge(third, theirs)
    start = await position(desk.backend)
    assert await desk.backend.erase(second.ref, theirs) is Erased.GONE
    assert desk.leftovers(f" {theirs}".encode()) == 0
    # It is a ticket of its own again, and Znuny's remark about the merging goes to nobody.
    assert await desk.is_open(third)
    assert [text.count(f"question {third}") for text in await desk.texts(third)] == [1]
    desk.backend._seen = Seen()
    again = await collected(desk.backend, start, third)
    assert [reply.text.strip() for reply in again] == [f"answer {third}"]


@pytest.mark.parametrize(
    ("channel", "to", "doubt"),
    [
        ("Email", "Veildesk User <veildesk@veildesk.invalid>", Reason.NONE),
        ("Email", "expert@elsewhere.test", Reason.FORWARDED),
        ("Email", "veildesk@veildesk.invalid, expert@elsewhere.test", Reason.FORWARDED),
        ("Phone", "", Reason.FORWARDED),
    ],
    ids=["reply", "forwarded", "to-both", "call"],
)
async def test_what_an_agent_sends_to_somebody_else_is_no_answer(
    desk: ZnunyDesk, channel: str, to: str, doubt: Reason
) -> None:
    """Znuny ticks "visible for the customer" by itself where an agent forwards a ticket."""
    thread = fresh()
    start = await position(desk.backend)
    await desk.backend.deliver(entry(thread))
    article = {
        "CommunicationChannel": channel,
        "SenderType": "agent",
        "IsVisibleForCustomer": 1,
        "From": "agent@znuny.test",
        "To": to,
        "Subject": "Fwd",
        "Body": "What do you make of this one?",
        "ContentType": "text/plain; charset=utf8",
    }
    await desk.call("/Ticket/Update", TicketID=await desk.ref(thread), Article=article)
    (reply,) = await collected(desk.backend, start, thread)
    assert reply.doubt is doubt


def _run(command: str, given: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([command], input=given.encode(), capture_output=True, timeout=60)


async def test_setting_up_makes_what_is_missing_and_nothing_twice(
    server: ZnunyServer, tmp_path: Path
) -> None:
    """By the command that an operator types, with the companion on the helpdesk's host."""
    config = write_config(tmp_path, "znuny", {**server.settings, "queue": "Fresh"})
    missing = await backend_command("setup", "--dry-run", config=config)
    assert missing["queue Fresh"] == ("warn", "missing")
    async with znuny_desk(server, queue="Fresh") as desk:
        assert [r for r in await desk.backend.check() if r.level is Level.FAIL]
    made = await backend_command("setup", config=config)
    assert made["queue Fresh"] == ("ok", "made")
    assert not [title for title, (level, _) in made.items() if level == "fail"], made
    again = await backend_command("setup", config=config)
    assert again["queue Fresh"] == ("ok", "there")
    assert "made" not in [found for _, found in again.values()]
    async with znuny_desk(server, queue="Fresh") as desk:
        assert (await desk.backend.deliver(entry(fresh()))).fresh
    foreign = await backend_command(
        "setup", config=write_config(tmp_path, "znuny", {**server.settings, "queue": "Elsewhere"})
    )
    assert foreign["setup_command"][0] == "fail"


async def test_the_command_line_says_what_is_wrong_and_how_to_mend_it(
    server: ZnunyServer, tmp_path: Path
) -> None:
    (server.home / "wrong").write_text("not it")
    config = write_config(tmp_path, "znuny", {**server.settings, "password_file": "wrong"})
    shown = await run_command("check", config=config)
    assert shown.returncode == 14
    assert b"password" in shown.stdout
    assert b"not it" not in shown.stdout + shown.stderr
    silent = write_config(tmp_path, "znuny", {**server.settings, "url": "http://127.0.0.1:1"})
    assert (await run_command("check", config=silent)).returncode == 14
    good = await run_command("check", config=write_config(tmp_path, "znuny", server.settings))
    assert good.returncode == 0, good.stdout
