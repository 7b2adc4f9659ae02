"""The conformance suite and the special traps of Znuny, against a real one."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.command import backend_command, run_command, write_config
from testbed.helpdesks.znuny import ZnunyDesk, ZnunyServer, znuny_desk, znuny_server
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import entry, fresh
from veildesk.core.errors import BackendRefused
from veildesk.core.ticket import Erased, Level

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
    refused = _run(command, f"{foreign['TicketID']}\n")
    assert (refused.returncode, b"not from Veildesk" in refused.stderr) == (1, True)
    for odd in ("1 OR 1=1\n", "-1\n", "0\n", "1;2\n", "9" * 30 + "\n"):
        assert _run(command, odd).returncode != 0
    assert (await desk.call("/Ticket/Get", TicketID=foreign["TicketID"]))["Ticket"]


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
