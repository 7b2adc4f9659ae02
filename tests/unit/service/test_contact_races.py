"""A mail comes while an answer to the same person is being written: what it taught is not undone."""

from __future__ import annotations

import dataclasses
from email import message_from_bytes

from testbed.house import House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from unit.service.test_trust import ANSWER, contact_of
from veildesk.core.contact import Contact
from veildesk.core.work import State
from veildesk.service.trust import Trust


@dataclasses.dataclass(frozen=True, slots=True)
class Overtaken(Trust):
    """Asks mail domains for a key, which takes so long that a mail is delivered meanwhile."""

    house: House = dataclasses.field(kw_only=True)
    waiting: list[bytes] = dataclasses.field(kw_only=True)

    async def look_up(self, contact: Contact) -> Contact:
        while self.waiting:
            await self.house.take(self.waiting.pop())
            for work in await self.house.spool.claim((State.ACCEPTED,)):
                await self.house.worker.step(work)
        return contact


def overtaking(house: House, *mails: bytes) -> None:
    inbound = house.inbound
    slow = Overtaken(
        house.engine, inbound.keys, inbound.replies, house.clock, house=house, waiting=list(mails)
    )
    house.worker.outbound = dataclasses.replace(house.outbound, trust=slow)


async def test_who_has_written_encrypted_meanwhile_is_not_answered_in_the_clear(
    house: House, lab: Lab
) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, "Which version?\n")
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    overtaking(house, pgp_mail(lab, "Version 4.\n", In_Reply_To=reference))
    await house.answer(entry.thread, ANSWER)
    contact = await contact_of(house, entry.thread)
    assert contact.wrote_encrypted
    assert contact.fingerprint == lab.fingerprints["user"]
    assert len(house.sent()) == 2
    assert b"4.2.18" not in house.sent()[1]
    assert b"multipart/encrypted" in house.sent()[1]


async def test_without_a_key_such_an_answer_is_held(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, "Which version?\n")
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    overtaking(house, pgp_mail(lab, "Version 4.\n", sign=False, with_key=False, In_Reply_To=reference))
    await house.answer(entry.thread, ANSWER)
    assert (await contact_of(house, entry.thread)).wrote_encrypted
    assert all(b"4.2.18" not in wire for wire in house.sent())
