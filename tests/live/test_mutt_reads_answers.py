"""mutt and neomutt, as Debian ships them, open and verify what we send."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.house import House, mail, open_house, pgp_mail
from testbed.openpgp_lab import Lab, new_lab
from testbed.terminal_mail import TerminalMail
from veildesk.core.ticket import File

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ANSWER = "Grüße aus Köln,\n\nplease update to 4.2.18.\n"
PROGRAMS = [("mutt", True), ("mutt", False), ("neomutt", True)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.gpg("user", "--import", stdin=made.certificate("desk"))
        owner = f"{made.fingerprints['desk']}:6:\n".encode()
        made.gpg("user", "--import-ownertrust", stdin=owner)
        yield made


@pytest_asyncio.fixture
async def house(tmp_path: Path, lab: Lab) -> AsyncIterator[House]:
    async with open_house(tmp_path, lab) as opened:
        yield opened


@pytest.fixture(params=PROGRAMS, ids=lambda one: f"{one[0]}-{'gpgme' if one[1] else 'classic'}")
def reader(request: pytest.FixtureRequest, tmp_path: Path, lab: Lab) -> TerminalMail:
    program, gpgme = request.param
    assert shutil.which(program), f"{program} is not installed: scripts/install dev"
    folder = tmp_path / "terminal"
    folder.mkdir()
    return TerminalMail(program, lab.home("user"), folder, gpgme)


async def test_an_encrypted_answer_with_a_file(house: House, lab: Lab, reader: TerminalMail) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    await house.answer(entry.thread, ANSWER, File("a.txt", "text/plain", b"in file\n"))
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert "Grüße aus Köln," in shown
    assert "please update to 4.2.18." in shown
    assert "in file" in shown
    assert "Good signature from" in shown
    assert "Support <support@desk.example>" in shown
    assert "Re: Secret help" in shown
    assert "BAD signature" not in shown
    assert "BADSIG" not in shown  # never BAD alone: fingerprints are hexadecimal


async def test_a_signed_answer(house: House, reader: TerminalMail) -> None:
    await house.deliver(mail("Help\n"))
    (entry,) = house.entries()
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert "Grüße aus Köln," in shown
    assert "Good signature from" in shown
    changed = wire.replace(b"4.2.18", b"4.2.81")
    assert changed != wire
    shown = reader.read(changed)
    assert "Good signature from" not in shown


async def test_the_note_without_content(house: House, lab: Lab, reader: TerminalMail) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert "attach your public OpenPGP key" in shown
    assert "Good signature from" in shown
