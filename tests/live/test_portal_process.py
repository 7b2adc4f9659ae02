"""The portal as a process of its own: everything a visitor can do, by a process that can open nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.two_processes import OTHER_USER, TwoProcesses, WireVisitor, two_processes

pytestmark = [pytest.mark.live, pytest.mark.timeout(280)]


@pytest_asyncio.fixture
async def house() -> AsyncIterator[TwoProcesses]:
    async with two_processes() as made:
        yield made


async def test_a_visitor_can_do_everything(house: TwoProcesses) -> None:
    await house.start_gateway()
    portal = await house.start_portal()
    visitor = WireVisitor(house.portal_socket)

    words = await visitor.open_ticket("Mail me at karla@example.org", [("notes.txt", b"from 93.184.216.34")])
    await house.until(lambda status: status["messages"].get("delivered", 0) == 1)
    (ticket,) = house.tickets()
    seen = [part.get_content() for part in ticket.walk() if not part.is_multipart()]
    assert "[email-1]" in seen[0]
    assert seen[-1] == "from [ip-1]"

    await house.answer(ticket, "Update to 4.2.\n", ("steps.txt", b"one\ntwo\n"))
    fresh = WireVisitor(house.portal_socket)
    page = await fresh.track(words)
    assert "Update to 4.2." in page.text
    signed = (await fresh.client.get("/en/ticket/message/2.asc")).text
    assert signed.startswith("-----BEGIN PGP SIGNED MESSAGE-----")
    assert (await fresh.client.get("/en/ticket/message/2/file/1")).content == b"one\ntwo\n"

    check = await fresh.submit(page.form("/en/ticket/reply").set(message="It works, thanks"))
    page = await fresh.submit(check.form("/en/new/check"), op="send")
    assert "It works, thanks" in page.text

    proof = (await fresh.client.get("/en/ticket/proof.asc")).text
    assert "Receipt of lodging" in proof
    assert "BEGIN PGP SIGNATURE" in proof

    changed = await fresh.submit((await fresh.get("/en/ticket/words")).form("/en/ticket/words"))
    later = WireVisitor(house.portal_socket)
    assert "could not open" in (await later.track(words)).title
    words = " ".join(changed.words)
    recovering = WireVisitor(house.portal_socket)
    recover = (await recovering.get("/en/recover")).form()
    assert (await recovering.submit(recover.set(code=changed.codes[0]))).words
    assert "It works, thanks" in (await later.track(words)).text

    await later.submit((await later.get("/en/ticket/feedback")).form("/en/ticket/feedback").set(helped="yes"))
    await house.until(lambda status: sum(status["feedback"].values()) == 1)
    gone = await later.submit(
        (await later.get("/en/ticket/delete")).form("/en/ticket/delete").set(sure="yes")
    )
    assert gone.title == "Deleted"
    assert "could not open" in (await WireVisitor(house.portal_socket).track(words)).title

    for path in ("/en", "/en/status", "/en/status/history", "/en/verify", "/en/privacy", "/status.json"):
        assert (await later.get(path)).status == 200, path
    assert b"<feed" in (await later.client.get("/status.atom")).content
    assert (await later.client.get("/keys/support.asc")).text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK")

    assert (await house.status())["portal"] == "answers"
    _opens_nothing(house, portal.pid)
    assert await house.end("gateway") == 0
    assert not house.link.exists()
    house.config.write_text(house.config.read_text().replace('"Desk"', '"Another name"', 1))
    await house.start_gateway()
    await later.until("/en", "Another name")
    assert await house.end("portal") == 0
    assert await house.end("gateway") == 0
    assert not house.link.exists()
    logged = b"".join(house.said)
    for told in (b"karla", b"It works", *(word.encode() for word in words.split())):
        assert told not in logged


def _opens_nothing(house: TwoProcesses, pid: int) -> None:
    """What this process could open: its files, its command line, its environment, its rights."""
    open_files = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    assert [name for name in open_files if name.startswith(str(house.folder))] == []
    told = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert str(house.folder).encode() not in told
    loaded = Path(f"/proc/{pid}/maps").read_text()
    assert "_sqlite3" not in loaded
    (users,) = re.findall(r"^Uid:\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert set(users.split()) == {str(OTHER_USER)}
    if os.geteuid() != OTHER_USER:
        assert house.folder.stat().st_mode & 0o077 == 0


async def test_what_was_accepted_is_one_ticket_whoever_is_killed_when(house: TwoProcesses) -> None:
    """The gateway between its commit and its word for it; the portal process before the visitor's receipt."""
    await house.start_portal(until=b"waiting-for-gateway")
    await house.start_gateway(VEILDESK_CRASHPOINT="accept.after-commit:1")
    visitor = WireVisitor(house.portal_socket)
    await visitor.served()
    check = await visitor.write("Sent at an awkward moment")
    told = await visitor.submit(check.form("/en/new/check"), op="send")
    assert "could not find out whether your message arrived" in told.text
    assert "Sent at an awkward moment" in told.text
    assert await house.ended("gateway") == -signal.SIGKILL
    # While it is away, what needs it says so, and everything else is shown.
    assert (await visitor.get("/en/help")).status == 200
    assert (await visitor.get("/en/status")).status == 200
    again = await visitor.submit(told.form("/en/new/check"), op="send")
    assert "could not find out whether your message arrived" in again.text
    third = WireVisitor(house.portal_socket)
    refused = await third.submit((await third.write("Not yet")).form("/en/new/check"), op="send")
    assert "Nothing was sent and nothing is lost: try again" in refused.text

    await house.start_gateway()
    receipt = await visitor.submit(again.form("/en/new/check"), op="send")
    words = " ".join(receipt.words)
    assert words == " ".join(check.words)
    await house.until(lambda status: status["messages"].get("delivered", 0) == 1)

    other = WireVisitor(house.portal_socket)
    form = (await other.write("Sent just before the portal died")).form("/en/new/check")
    assert (await other.post(form, op="send")).status_code == 303
    assert await house.end("portal", signal.SIGKILL) == -signal.SIGKILL
    await house.start_portal()
    receipt = await other.submit(form, op="send")
    assert receipt.words
    assert "awkward moment" in (await WireVisitor(house.portal_socket).track(words)).text
    status = await house.until(lambda status: status["messages"].get("delivered", 0) == 2)
    assert sum(status["messages"].values()) == 2
    assert len(house.tickets()) == 2
    assert await house.end("portal") == 0
    assert await house.end("gateway") == 0
