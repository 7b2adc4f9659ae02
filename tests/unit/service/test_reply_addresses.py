"""An answer leads back to its ticket by its reply address; knowing one is never enough to get in."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from testbed.house import SUPPORT, USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.work import Reason, State

ANSWER = "Please update to 4.2.18.\n"


def reply_address(wire: bytes) -> str:
    return str(message_from_bytes(wire)["Reply-To"])


def token_of(address: str) -> str:
    match = re.fullmatch(r"support\+([a-z2-7]{26})@desk\.example", address)
    assert match is not None
    return match[1]


async def answered(house: House, raw: bytes) -> tuple[str, str]:
    """The thread of a mail and the reply address of the answer to it."""
    before = len(house.sent())
    entry = (await house.deliver(raw))[-1]
    await house.answer(entry.thread, ANSWER)
    return entry.thread, reply_address(house.sent()[before])


async def test_each_answer_has_an_address_of_its_own(house: House, lab: Lab) -> None:
    thread, first = await answered(house, pgp_mail(lab, "Help\n"))
    await house.answer(thread, "One more thing.\n")
    second = reply_address(house.sent()[1])
    assert token_of(first) != token_of(second)
    # A bounce goes to where an answer would go.
    assert [one.sender for sent in house.mailer.sent.values() for one in sent] == [first, second]


async def test_a_mail_to_it_joins_without_any_reference(house: House, lab: Lab) -> None:
    thread, address = await answered(house, pgp_mail(lab, "Help\n"))
    raw = pgp_mail(lab, "Thanks\n", with_key=False).replace(SUPPORT.encode(), address.encode(), 1)
    assert [e.thread for e in await house.deliver(raw)] == [thread] * 2


async def test_the_envelope_is_enough(house: House) -> None:
    thread, address = await answered(house, mail("Help\n"))
    await house.take(mail("Thanks\n"), extension=token_of(address))
    await house.work()
    assert [e.thread for e in house.entries()] == [thread] * 2


async def test_knowing_an_address_does_not_let_others_in(house: House, lab: Lab) -> None:
    thread, address = await answered(house, pgp_mail(lab, "Help\n"))
    others = [
        mail("I am Rosa, too\n").replace(SUPPORT.encode(), address.encode(), 1),
        mail("It is me\n")
        .replace(USER.encode(), b"eve@example.net")
        .replace(SUPPORT.encode(), address.encode(), 1),
    ]
    for raw in others:
        entry = (await house.deliver(raw))[-1]
        assert entry.thread != thread
        assert any("answers an earlier ticket" in notice for notice in entry.notices)


async def test_a_bounce_is_linked_by_its_envelope_alone(house: House) -> None:
    thread, address = await answered(house, mail("Help\n"))
    report = EmailMessage(policy=SMTP)
    report["From"], report["To"], report["Subject"] = "postmaster@mx.example.org", address, "Undelivered"
    report.set_content("It could not be delivered.\n")
    await house.take(report.as_bytes(), null_sender=True, extension=token_of(address))
    await house.work()
    assert [e.thread for e in house.entries()] == [thread] * 2
    assert "This is an automatic message, not an answer of the person." in house.entries()[-1].notices
    # It did not become the correspondent.
    await house.answer(thread, ANSWER)
    assert message_from_bytes(house.sent()[-1])["To"] == USER


async def test_an_erased_ticket_cannot_be_reached_any_more(house: House) -> None:
    thread, address = await answered(house, mail("Help\n"))
    await house.spool.erase(thread)
    entries = await house.deliver(mail("Thanks\n").replace(SUPPORT.encode(), address.encode(), 1))
    assert entries[-1].thread != thread


async def test_a_revoked_address_leads_nowhere_and_new_ones_work(house: House) -> None:
    thread, address = await answered(house, mail("Help\n"))
    assert await house.spool.forget_markers(thread) >= 1
    entries = await house.deliver(mail("Thanks\n").replace(SUPPORT.encode(), address.encode(), 1))
    assert entries[-1].thread != thread
    await house.answer(thread, ANSWER)
    fresh = reply_address(house.sent()[-1])
    assert fresh != address
    entries = await house.deliver(mail("Thanks again\n").replace(SUPPORT.encode(), fresh.encode(), 1))
    assert [e.thread for e in entries].count(thread) == 2


async def test_no_token_lies_in_the_store_or_reaches_the_helpdesk(house: House) -> None:
    thread, address = await answered(house, mail("Help\n"))
    token = token_of(address)
    text = f"Thanks!\n\nOn Monday Desk <{address}> wrote:\n> answer to {address}\n> {ANSWER}"
    entries = await house.deliver(
        mail(f"see {address}\n\n{text}").replace(SUPPORT.encode(), address.encode(), 1)
    )
    assert entries[-1].thread == thread
    assert token not in repr(house.backend.tickets)
    assert "> " not in entries[-1].text
    assert any("Quoted text" in notice for notice in entries[-1].notices)
    for path in house.state_dir.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()
    await house.answer(thread, f"As I wrote from {address}: update.\n")
    assert token.encode() not in house.sent()[-1]


async def test_mail_that_claims_to_be_ours_is_put_aside(house: House) -> None:
    await house.take(mail("loop\n").replace(USER.encode(), SUPPORT.encode()))
    await house.work()
    assert not house.entries()
    (row,) = await house.rows(State.QUARANTINED)
    assert row.reason is Reason.AUTOMATIC
