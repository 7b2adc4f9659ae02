"""What we send, read by Thunderbird's engine (RNP) under Thunderbird's rules."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.house import SUPPORT, House, mail, open_house, pgp_mail
from testbed.openpgp_lab import Lab, new_lab
from testbed.thunderbird import Thunderbird
from veildesk.core.message import Verdict
from veildesk.core.ticket import File

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ANSWER = "Grüße aus Köln,\n\nplease update to 4.2.18.\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


@pytest.fixture
def reader(tmp_path: Path, lab: Lab) -> Thunderbird:
    made = Thunderbird(tmp_path)
    made.take_key(lab.gpg("user", "--export-secret-keys"))
    made.take_key(lab.certificate("desk"))
    return made


@pytest_asyncio.fixture
async def house(tmp_path: Path, lab: Lab) -> AsyncIterator[House]:
    (tmp_path / "house").mkdir()
    async with open_house(tmp_path / "house", lab) as opened:
        # Signatures tell the real time, so the mail has to as well.
        opened.clock.seconds = int(time.time())
        yield opened


async def test_an_encrypted_answer_with_a_file(house: House, lab: Lab, reader: Thunderbird) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    await house.answer(entry.thread, ANSWER, File("a.txt", "text/plain", b"in file\n"))
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert (shown.encrypted, shown.signed, shown.faults) == (True, True, [])
    assert shown.subject == "Re: Secret help"
    assert shown.text.splitlines()[:3] == ANSWER.splitlines()
    assert shown.files == {"a.txt": b"in file\n"}


async def test_a_signed_answer_and_the_key_it_brings(house: House, lab: Lab, reader: Thunderbird) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert (shown.encrypted, shown.signed, shown.faults) == (False, True, [])
    assert shown.text.splitlines()[:3] == ANSWER.splitlines()
    assert reader.read(wire.replace(b"4.2.18", b"4.2.81")).faults == ["signature"]
    # The offered key is taken, and what is encrypted to it with RNP is opened and verified here.
    reader.take_key(reader.autocrypt_key(wire))
    opened = await house.engine.open(reader.encrypt(b"Hello", SUPPORT), [lab.certificate("user")])
    assert opened.data == b"Hello"
    assert [one.verdict for one in opened.signatures] == [Verdict.VALID]


async def test_the_note_without_content(house: House, lab: Lab, reader: Thunderbird) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    shown = reader.read(wire)
    assert (shown.signed, shown.faults) == (True, [])
    assert "attach your public OpenPGP key" in shown.text


async def test_a_date_that_is_hours_away_or_another_sender_would_be_told(
    house: House, reader: Thunderbird
) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    changed = re.sub(rb"Date: .*?\r\n", b"Date: Fri, 04 Oct 2024 00:00:00 +0000\r\n", wire, count=1)
    assert reader.read(changed).faults == ["signing-time"]
    changed = wire.replace(b"support@desk.example", b"someone@desk.example", 1)
    assert reader.read(changed).faults == ["from-not-in-key"]
