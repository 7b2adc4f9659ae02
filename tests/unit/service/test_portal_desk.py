"""What a portal process may have done by the gateway, and what not, whoever runs in it."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from portal.fakes import World, settings
from veildesk.core.errors import ConfigInvalid, LimitExceeded, SpoolUnavailable
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.portal_receipts import LodgedFile, LodgedMessage
from veildesk.core.submission import Channel, PortalEntry
from veildesk.link import requests as asked
from veildesk.link.remote import read_news
from veildesk.link.server import TooBusy
from veildesk.service.portal_desk import ANSWERED_SECONDS, PortalDesk, uid_of

NUMBERING = {"key": "AAAA", "seen": {}}
ENTRY = PortalEntry("hello", topic="security", numbering=NUMBERING)
WORDS = "one two three four five six seven eight"


class Signing(World):
    """Notes what was signed."""

    signed: tuple[str, ...] = ()

    async def sign(self, text: str) -> str:
        self.signed = (*self.signed, text)
        return await super().sign(text)


@pytest.fixture
def world() -> Signing:
    return Signing(settings(queues={"security": "response"}))


@pytest.fixture
def desk(world: Signing) -> PortalDesk:
    return PortalDesk(world.ports, world.settings, b"offer")


async def accept(
    world: World, entry: PortalEntry = ENTRY, words: str = WORDS, dedup: int = 1
) -> asked.Accept:
    keys = await world.cipher.derive(words)
    return asked.Accept(bytes([dedup]) * 32, keys.lookup_id, keys.public_key, b"sealed", (), entry)


async def test_queue_and_payload_are_the_gateways_own(desk: PortalDesk, world: Signing) -> None:
    assert await desk(await accept(world)) == (b"\1",)
    assert await desk(await accept(world)) == (b"\0",)
    kept = world.spool.only
    assert (kept.queue, kept.channel, kept.message_id) == ("response", Channel.PORTAL, "")
    assert decode_portal_entry(kept.payload) == ENTRY


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "notices"},
        {"language": "xx"},
        {"text": "x" * 200_000},
        {"own_words": ("word",) * 51},
        {"attachments": (("a", "b", b"x" * (10 * 1024 * 1024 + 1)),)},
        {"attachments": (("a", "b", b"x" * (9 * 1024 * 1024)),) * 3},
        {"attachments": (("a", "b", b"x"),) * 6},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_what_no_form_of_the_portal_lets_through_is_refused(
    desk: PortalDesk, world: Signing, changes: dict[str, object]
) -> None:
    with pytest.raises(LimitExceeded):
        await desk(await accept(world, dataclasses.replace(ENTRY, **changes)))  # type: ignore[arg-type]
    assert world.spool.attempts == 0


async def test_a_key_to_which_no_answer_could_be_sealed_is_refused(desk: PortalDesk, world: Signing) -> None:
    request = dataclasses.replace(await accept(world), public_key=b"no key")
    with pytest.raises(LimitExceeded):
        await desk(request)
    with pytest.raises(LimitExceeded):
        await desk(asked.Reword(b"x" * 32, b"y" * 32, b"no key", (), ()))
    assert world.spool.attempts == 0


async def test_a_closed_portal_takes_further_messages_only(world: Signing) -> None:
    await PortalDesk(world.ports, world.settings, b"")(await accept(world))
    closed = PortalDesk(world.ports, dataclasses.replace(world.settings, open=False), b"")
    assert await closed(await accept(world, dedup=2)) == (b"\1",)
    with pytest.raises(LimitExceeded):
        await closed(await accept(world, words=WORDS.replace("one", "nine"), dedup=3))


async def test_a_thread_cannot_be_grown_until_it_can_be_read_no_more(
    desk: PortalDesk, world: Signing
) -> None:
    big = dataclasses.replace(await accept(world), thread_entry=b"x" * (1024 * 1024))
    with pytest.raises(LimitExceeded):
        await desk(dataclasses.replace(big, thread_entry=big.thread_entry + b"x"))
    for number in range(16):
        await desk(dataclasses.replace(big, dedup=bytes([number]) * 32))
    with pytest.raises(LimitExceeded):
        await desk(dataclasses.replace(big, dedup=b"n" * 32))
    assert await desk(await accept(world, words=WORDS.replace("one", "nine"), dedup=99)) == (b"\1",)


async def test_a_flood_is_stopped_and_ends_by_itself(desk: PortalDesk, world: Signing) -> None:
    erase = asked.Erase(b"x" * 32)

    async def flood() -> None:
        for _ in range(10_000):
            await desk(erase)

    with pytest.raises(TooBusy):
        await flood()
    done = len(world.spool.erased)
    assert 80 <= done <= 400
    with pytest.raises(TooBusy):
        await desk(erase)
    await desk(asked.FindThread(b"x" * 32))
    world.clock.advance(1)
    await desk(erase)
    assert len(world.spool.erased) == done + 1


async def test_no_id_of_a_ticket_or_message_leaves_the_gateway(desk: PortalDesk, world: Signing) -> None:
    request = await accept(world)
    told = [*await desk(request), *await desk(asked.FindThread(request.lookup_id))]
    assert b"sealed" in told
    assert not {b"t1", b"m1"} & set(told)
    assert await desk(asked.FindThread(b"x" * 32)) == ()


def today(world: World, shift: int = 0) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(world.clock.now() + shift * 86400, datetime.UTC).strftime(
        "%Y-%m-%d"
    )


async def test_a_receipt_of_lodging_holds_days_lengths_and_hashes_alone(
    desk: PortalDesk, world: Signing
) -> None:
    lookup = (await accept(world)).lookup_id
    await desk(await accept(world))
    message = LodgedMessage(today(world), b"h" * 32, (LodgedFile(7, b"f" * 32),))
    (signed,) = await desk(asked.LodgingReceipt(lookup, (message,)))
    assert b"Receipt of lodging" in signed
    (text,) = world.signed
    assert [line for line in text.splitlines()[5:] if line] == [
        f"Message 1, {today(world)} (UTC)",
        f"SHA-256 {(b'h' * 32).hex()}",
        f"File, 7 bytes, SHA-256 {(b'f' * 32).hex()}",
    ]
    for wrong in (
        asked.LodgingReceipt(b"x" * 32, (message,)),
        asked.LodgingReceipt(lookup, ()),
        asked.LodgingReceipt(lookup, (message, message)),
        asked.LodgingReceipt(lookup, (dataclasses.replace(message, day=today(world, 1)),)),
        asked.LodgingReceipt(lookup, (dataclasses.replace(message, day=today(world, -4000)),)),
        asked.LodgingReceipt(lookup, (dataclasses.replace(message, day="2026-02-31"),)),
        asked.LodgingReceipt(lookup, (dataclasses.replace(message, sha256=b"short"),)),
        asked.LodgingReceipt(
            lookup, (dataclasses.replace(message, files=(LodgedFile(1 << 62, b"f" * 32),)),)
        ),
    ):
        with pytest.raises(SpoolUnavailable):
            await desk(wrong)
    assert await desk(asked.DeletionReceipt("unknown")) == ()
    assert len(world.signed) == 1


async def test_news_come_whole_once_and_say_when_the_series_cannot_be_read(
    desk: PortalDesk, world: Signing
) -> None:
    first = await desk(asked.News())
    parking, offered, digest, board = read_news(first)
    assert (parking, offered, board) == (False, hashlib.sha256(b"offer").digest(), world.notices.board())
    world.parked = True
    assert read_news(await desk(asked.News(digest))) == (True, offered, digest, None)
    world.notices.broken = True
    assert read_news(await desk(asked.News(digest))) == (True, offered, b"", None)


async def test_a_portal_process_that_asks_for_nothing_is_away(desk: PortalDesk, world: Signing) -> None:
    assert not desk.answered
    await desk(asked.Settings())
    assert desk.answered
    world.clock.advance(int(ANSWERED_SECONDS) + 1)
    assert not desk.answered


def test_users_are_named_or_numbered() -> None:
    assert uid_of("0") == uid_of("root") == 0
    with pytest.raises(ConfigInvalid):
        uid_of("no-such-user-here")
