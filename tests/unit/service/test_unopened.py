"""A mail that no key opens: kept, told to the agents once, and delivered should it open later."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from testbed.house import SUPPORT, USER, House, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.work import Reason, State


def for_somebody_else(lab: Lab, **headers: str) -> bytes:
    """Encrypted to a stranger, as a body of one block."""
    sealed = lab.encrypt(b"My account is 4711.\n", "--armor", to=("stranger",))
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = f"Rosa <{USER}>", SUPPORT, "Account 4711"
    message["Message-ID"] = "<first@user.test>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(sealed.decode())
    return message.as_bytes()


async def test_agents_learn_that_it_came_and_nothing_else(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(for_somebody_else(lab))
    assert "none of our keys opens" in entry.text
    assert "4711" not in entry.subject + entry.text
    assert USER not in repr(entry)
    assert not entry.files
    assert not house.sent()
    (row,) = await house.rows(State.QUARANTINED)
    assert row.reason is Reason.UNDECRYPTABLE


async def test_they_are_told_once_whatever_happens(house: House, lab: Lab) -> None:
    # The helpdesk takes it, but its answer is lost.
    house.backend.outage = "lost"
    await house.take(for_somebody_else(lab))
    await house.work()
    house.backend.outage = ""
    assert len(await house.rows(State.ACCEPTED)) == 1
    house.clock.seconds += 3600
    await house.work()
    assert len(house.entries()) == 1
    (row,) = await house.rows(State.QUARANTINED)
    for _ in range(2):
        await house.spool.retry(row.message_id)
        await house.work()
    assert len(house.entries()) == 1
    assert len(await house.rows(State.QUARANTINED)) == 1


async def test_an_answer_asks_for_a_key_and_goes_out_once_it_came(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(for_somebody_else(lab))
    await house.answer(entry.thread, "Please encrypt to our current key.\n")
    (note,) = house.sent()
    assert b"current key" not in note
    assert message_from_bytes(note)["Auto-Submitted"] == "auto-replied"
    address = str(message_from_bytes(note)["Reply-To"])
    raw = pgp_mail(lab, "Again, with the right key.\n").replace(SUPPORT.encode(), address.encode(), 1)
    assert [one.thread for one in await house.deliver(raw)] == [entry.thread] * 2
    assert b"multipart/encrypted" in house.sent()[-1]


async def test_automatic_and_unclear_mail_is_not_told(house: House, lab: Lab) -> None:
    await house.deliver(for_somebody_else(lab, Auto_Submitted="auto-replied"))
    raw = for_somebody_else(lab, X_Number="2")
    await house.deliver(raw.replace(f"Rosa <{USER}>".encode(), b"a@b.example, c@d.example"))
    assert not house.entries()
    assert len(await house.rows(State.QUARANTINED)) == 2
