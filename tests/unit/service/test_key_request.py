"""No usable key for who wrote encrypted: nothing of the answer leaves, one signed note says what to do."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from testbed.house import USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.limits import Limits
from veildesk.core.message import Scope, Verdict
from veildesk.core.work import Reason, State
from veildesk.service.reading import read_mail

ANSWER = "Please update to 4.2.18.\n"


def only_note(house: House) -> bytes:
    (wire,) = house.sent()
    return wire


async def test_the_note_is_signed_and_holds_nothing_of_answer_question_or_subject(
    house: House, lab: Lab
) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False, Subject="Deep secret"))
    await house.answer(entry.thread, ANSWER)
    wire = only_note(house)
    assert b"4.2.18" not in wire
    assert b"secret" not in wire
    outer = message_from_bytes(wire)
    assert outer["To"] == USER
    assert outer["Auto-Submitted"] == "auto-replied"
    assert outer["Content-Type"].startswith("multipart/signed")
    (sent,) = next(iter(house.mailer.sent.values()))
    assert sent.sender == ""
    message = await read_mail(wire, lab.engine("user"), [lab.certificate("desk")], Limits())
    (signature,) = message.signatures
    assert (signature.verdict, signature.scope) == (Verdict.VALID, Scope.WHOLE)
    assert "attach your public OpenPGP key" in message.text
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.NO_KEY


async def test_it_is_sent_once_whatever_happens(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False))
    for _ in range(3):
        await house.answer(entry.thread, ANSWER)
    for row in await house.rows(State.HELD):
        await house.spool.retry(row.message_id)
    await house.work()
    only_note(house)
    assert len(await house.rows(State.HELD)) == 3


async def test_who_wrote_in_the_clear_gets_the_answer_and_no_note(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    assert b"auto-replied" not in only_note(house)
    assert not await house.rows(State.HELD)


async def test_the_answer_leaves_by_itself_once_the_key_has_come(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False))
    await house.answer(entry.thread, ANSWER)
    address = str(message_from_bytes(only_note(house))["Reply-To"])
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = USER, address, "My key"
    message.set_content("Here it is.\n")
    message.add_attachment(
        lab.certificate("user"), maintype="application", subtype="pgp-keys", filename="key.pgp"
    )
    entries = await house.deliver(message.as_bytes())
    assert [e.thread for e in entries] == [entry.thread] * 2
    assert not await house.rows(State.HELD)
    wire = house.sent()[-1]
    assert b"4.2.18" not in wire
    opened = await read_mail(wire, lab.engine("user"), [lab.certificate("desk")], Limits())
    assert "4.2.18" in opened.text
    assert opened.encryption.scope is Scope.WHOLE


async def test_a_pinned_key_that_expired_is_never_replaced_by_the_clear(house: House, lab: Lab) -> None:
    lab.make("fading", "Rosa Example <rosa@example.org>", expires="seconds=4")
    raw = mail("Help\n")
    certificate = lab.certificate("fading")
    message = message_from_bytes(raw, policy=SMTP)
    message.add_attachment(certificate, maintype="application", subtype="pgp-keys", filename="key.pgp")
    (entry,) = await house.deliver(message.as_bytes())
    expired = lab.fingerprints["fading"]
    while b"pub:e:" not in lab.gpg("fading", "--with-colons", "--list-keys", "--", expired):
        pass
    await house.answer(entry.thread, ANSWER)
    wire = only_note(house)
    assert b"4.2.18" not in wire
    assert b"auto-replied" in wire
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.NO_KEY


async def test_quotes_of_agents_go_back_only_under_the_key_they_came_with(house: House, lab: Lab) -> None:
    text = "Done.\n\nOn Monday Rosa wrote:\n> My account is 4711.\n"
    (entry,) = await house.deliver(mail("My account is 4711.\n"))
    await house.answer(entry.thread, text)
    assert b"4711" not in house.sent()[0]
    assert b"Done." in house.sent()[0]
    encrypted = (await house.deliver(pgp_mail(lab, "My account is 4711.\n")))[-1]
    await house.answer(encrypted.thread, text)
    opened = await read_mail(house.sent()[1], lab.engine("user"), [lab.certificate("desk")], Limits())
    assert "> My account is 4711." in opened.text


async def test_an_answer_of_nothing_but_quotes_is_held(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, "On Monday Rosa wrote:\n> Help\n")
    assert not house.sent()
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.EMPTY


async def test_nobody_gets_a_note_before_an_agent_answers(house: House, lab: Lab) -> None:
    await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False))
    assert not house.sent()
