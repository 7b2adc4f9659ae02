"""What somebody finds who takes the state directory away after a busy day, without words and keys.

The portal, the real store, the real ticket words, gpg and the workers run as in a gateway; the clock is
moved through a day. Then every byte, row, name, size and time stamp of the directory is looked at.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from portal.fakes import World, settings
from portal.visitor import Visitor
from testbed.house import House, open_house
from testbed.openpgp_lab import Lab, new_lab
from testbed.schema_text import schema_text
from veildesk.core.ticket import Deletion, File
from veildesk.core.work import State
from veildesk.portal.ports import PortalPorts
from veildesk.service.eraser import Eraser
from veildesk.service.feedback import FeedbackCounts
from veildesk.service.parking import Parking
from veildesk.spool.sealing import padded_length

pytestmark = [pytest.mark.live, pytest.mark.slow]

DAY = 86_400
NAME, PLACE, FILE = "Karlotta Markerwald", "Hinterzarten-Planted", "planted-passport-scan.txt"
NICK, SECRET = "plantednick77", "planted-Passw0rd-9431"
ANSWER = "Planted-Answer-Text with a remedy"
ANSWER_FILE, ANSWER_LINE = "planted-instructions.txt", "Planted line of a file"
HEX = re.compile(r"[0-9a-f]{32}")
CODES = re.compile(r"([a-z][a-z0-9.-]{0,31})?")


@dataclass
class GatewayWorld(World):
    """A portal on the house's store, words and workers."""

    house: House | None = None
    counts: FeedbackCounts | None = None

    @property
    def ports(self) -> PortalPorts:
        house = self.house
        assert house is not None
        assert self.counts is not None

        async def tally(choice: str) -> None:
            self.counts.add(choice)

        async def erase(lookup_id: bytes) -> Deletion:
            view = await house.spool.thread(lookup_id)
            assert view is not None
            spool = house.spool
            eraser = Eraser(
                spool, {"desk": house.backend}, spool.erase_jobs, spool.holds, house.clock, os.urandom
            )
            return await eraser.erase(view.ticket_id)

        return replace(
            super().ports,
            intake=house.spool,
            threads=house.spool,
            cipher=house.outbound.cipher,
            clock=house.clock,
            erase=erase,
            count=tally,
            receipts=replace(
                self.receipts,
                sign=lambda text: house.engine.clearsign(text, house.lab.fingerprints["desk"]),
                threads=house.spool,
                clock=house.clock,
            ),
        )


@dataclass
class Seized:
    """The directory, and what must not be learned from it."""

    folder: Path
    planted: list[str]
    moments: list[int]
    began: int


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


async def test_a_day_later_the_directory_tells_what_the_threat_model_says_and_no_more(
    tmp_path: Path, lab: Lab
) -> None:
    async with open_house(tmp_path, lab) as house:
        house.clock.seconds = house.clock.seconds // DAY * DAY + 7 * 3600 + 123
        counts = FeedbackCounts(house.state_dir / "feedback.json", house.clock)
        house.worker.parking = Parking(house.state_dir / "parking", house.spool)
        world = GatewayWorld(settings(burst=10_000), house=house, counts=counts)
        seized = Seized(
            house.state_dir,
            [NAME, PLACE, FILE, NICK, SECRET, ANSWER, ANSWER_FILE, ANSWER_LINE],
            [],
            house.clock.seconds // DAY,
        )
        await _a_day(world, house, seized)
        # Taken away while it runs: the database's log is seized with it.
        seized.folder = tmp_path / "seized"
        shutil.copytree(house.state_dir, seized.folder)
    _no_planted_text_name_word_or_code_is_anywhere(seized)
    _rows_hold_ids_codes_days_and_sealed_bytes_and_nothing_else(seized)
    _no_minute_of_the_day_is_there(seized)
    _lengths_are_told_in_steps_only(seized)


async def _a_day(world: GatewayWorld, house: House, seized: Seized) -> None:
    draw = random.Random(11)
    for number in range(6):
        await _moment(house, seized, draw)
        visitor = Visitor(world)
        text = f"{NAME} in {PLACE}, password: {SECRET}\n" + "so it goes " * draw.randrange(1, 400)
        content = f"{NAME} {number}\n".encode() * (40_000 if number == 5 else draw.choice((10, 100)))
        check = await visitor.write(text, [(FILE, content)], own_words=NICK)
        receipt = await visitor.submit(check.form(), op="send")
        seized.planted += [" ".join(receipt.words), *receipt.words, *receipt.codes]
        seized.planted += [code.replace("-", "") for code in receipt.codes]
        if number == 1:
            # The helpdesk is away for a while.
            house.backend.outage = "down"
            await house.work()
            house.backend.outage = ""
            await _moment(house, seized, draw)
        if number == 2:
            house.worker.parking.switch(True)
            await house.work()
            await house.worker.parking.release()
            house.worker.parking.switch(False)
        if number < 5:  # The last one is still on its way.
            await house.work()
        await _later(world, house, seized, visitor, number, draw)


async def _later(
    world: GatewayWorld, house: House, seized: Seized, visitor: Visitor, number: int, draw: random.Random
) -> None:
    """What people do with their tickets afterwards."""
    await _moment(house, seized, draw)
    if number in (0, 1):
        lines = f"{ANSWER_LINE} {number}\n".encode() * draw.randrange(10, 60_000)
        file = File(ANSWER_FILE, "text/plain", lines)
        await house.answer((await house.rows(State.DELIVERED))[-1].ticket_id, ANSWER, file)
        assert ANSWER in (await visitor.get("/en/ticket")).text
        taken = await visitor.client.get("/en/ticket/message/2/file/1")
        assert taken.content == lines
        for path in ("message/2.asc", "proof.asc"):
            _verified_by_gpg(house.lab, (await visitor.client.get(f"/en/ticket/{path}")).content)
        form = (await visitor.get("/en/ticket/feedback")).form("/en/ticket/feedback")
        await visitor.submit(form.set(helped="yes"))
    if number == 2:
        page = await visitor.get("/en/ticket/words")
        seized.planted += page.words
        await visitor.submit(page.form("/en/ticket/words"))
    if number == 3:
        form = (await visitor.get("/en/ticket/delete")).form("/en/ticket/delete")
        await visitor.submit(form.set(sure="yes"))


def _verified_by_gpg(lab: Lab, signed: bytes) -> None:
    """What the portal hands out as a file is a good signature of the support key to stock gpg."""
    path = lab.root / "received.asc"
    path.write_bytes(signed)
    lab.gpg("user", "--import", lab.certificate_file("desk"))
    lab.gpg("user", "--verify", str(path))


async def _moment(house: House, seized: Seized, draw: random.Random) -> None:
    house.clock.seconds += draw.randrange(600, 3600)
    seized.moments.append(house.clock.seconds)


def _disguises(word: str) -> Iterator[bytes]:
    """A word as it might lie there: as it is, in other cases and codings, at each place of base64."""
    for form in (word, word.lower(), word.upper()):
        yield form.encode()
        yield form.encode("utf-16-le")
        yield form.encode().hex().encode()
        for shift in range(3):
            yield base64.b64encode(b"\0" * shift + form.encode())[4:-4]


def _rows(folder: Path) -> Iterator[tuple[str, str, object]]:
    """Every value of the database: table, column, value."""
    connection = sqlite3.connect(folder / "spool.db")
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield from ((table, name, value) for name, value in zip(names, row, strict=True))
    finally:
        connection.close()


def _no_planted_text_name_word_or_code_is_anywhere(seized: Seized) -> None:
    paths = [path for path in seized.folder.rglob("*") if path.is_file()]
    names = [str(path.relative_to(seized.folder)) for path in paths]
    kept = b"".join(path.read_bytes() for path in paths) + "\n".join(names).encode()
    assert len(kept) > 500_000
    # Fixed names of ours that are ticket words or hold one: the schema's own rows, and one file's name.
    for own in (*schema_text(seized.folder / "spool.db"), b"feedback.json"):
        kept = kept.replace(own, b"")
    long_enough = {word for word in seized.planted if len(word) >= 6}
    for word in long_enough:
        for form in _disguises(word):
            assert len(form) < 6 or form not in kept, word


def _rows_hold_ids_codes_days_and_sealed_bytes_and_nothing_else(seized: Seized) -> None:
    days = range(seized.began - 1, seized.began + 40)
    seen = 0
    for table, column, value in _rows(seized.folder):
        if table == "alembic_version":
            continue
        seen += 1
        if isinstance(value, str):
            assert HEX.search(value) or CODES.fullmatch(value) or column == "name", (
                table,
                column,
                value,
            )
        if isinstance(value, int):
            assert value in days or value < 1000, (table, column, value)
    assert seen > 100


def _no_minute_of_the_day_is_there(seized: Seized) -> None:
    kept = b"".join(path.read_bytes() for path in seized.folder.rglob("*") if path.is_file())
    for moment in seized.moments:
        clock = time.strftime("%H:%M", time.gmtime(moment)).encode()
        for form in (str(moment).encode(), str(moment // 60).encode(), moment.to_bytes(8, "big")):
            assert form not in kept
        assert time.strftime("%Y-%m-%dT%H:%M", time.gmtime(moment)).encode() not in kept
        assert time.strftime("%Y-%m-%d ", time.gmtime(moment)).encode() + clock not in kept
    files = list((seized.folder / "files").iterdir())
    assert files
    for path in [*files, seized.folder / "feedback.json"]:
        assert path.stat().st_mtime % DAY == 0, path.name


def _lengths_are_told_in_steps_only(seized: Seized) -> None:
    lengths = {
        len(value)
        for table, column, value in _rows(seized.folder)
        if (table, column) == ("part", "sealed") and isinstance(value, bytes)
    }
    overhead = 1 + 12 + 16
    inner = {length - overhead for length in lengths}
    assert all(padded_length(length) == length for length in inner)
    for path in (seized.folder / "files").iterdir():
        assert (path.stat().st_size - 17) % (64 * 1024 + 16) == 0
