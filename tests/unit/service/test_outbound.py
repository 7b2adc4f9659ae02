"""The way back: every answer signed, nothing in the clear to who wrote encrypted, each sent once."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path

from testbed.house import SUPPORT, USER, House, mail, open_house, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.errors import SendFailed
from veildesk.core.limits import Limits
from veildesk.core.message import Scope, Verdict
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.submission import Channel, PortalAnchor, PortalEntry, Submission
from veildesk.core.thread_entry import decode_thread_entry
from veildesk.core.work import Reason, State
from veildesk.replies.collect import collect_replies
from veildesk.service.erasure import place_in
from veildesk.service.reading import read_mail

ANSWER = "Please update to 4.2.18.\n"


async def test_who_wrote_encrypted_gets_an_encrypted_signed_answer(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    assert b"4.2.18" not in wire
    assert b"Secret help" not in wire
    outer = message_from_bytes(wire, policy=policy.default)
    assert outer["Subject"] == "[...]"
    assert outer["To"] == USER
    _, cipher = outer.iter_parts()
    opened = await lab.engine("user").open(cipher.get_content(), [lab.certificate("desk")])
    assert [s.fingerprint for s in opened.signatures] == [lab.fingerprints["desk"]]
    assert [s.verdict.value for s in opened.signatures] == ["valid"]
    inner = message_from_bytes(opened.data, policy=policy.default)
    assert inner["Subject"] == "Re: Secret help"
    assert "4.2.18" in inner.get_body(("plain",)).get_content()


async def test_plain_mail_gets_a_signed_answer(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    (wire,) = house.sent()
    assert message_from_bytes(wire)["Content-Type"].startswith("multipart/signed")
    message = await read_mail(wire, lab.engine("user"), [lab.certificate("desk")], Limits())
    (signature,) = message.signatures
    assert signature.verdict is Verdict.VALID
    assert signature.scope is Scope.WHOLE
    assert signature.bound_to_from
    assert signature.fingerprint == lab.fingerprints["desk"]
    assert "4.2.18" in message.text


async def test_no_usable_key_for_who_wrote_encrypted_holds_the_answer(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    await house.answer(entry.thread, ANSWER)
    assert b"4.2.18" not in b"".join(house.sent())
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.NO_KEY


async def test_an_answer_with_a_secret_is_held(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, "Use this: password: Tr0ub4dor&3x!\n")
    assert not house.sent()
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.GUARD


async def test_a_failed_sending_is_repeated_with_the_same_bytes(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    house.mailer.next_errors.append(SendFailed("smtp-connection-lost"))
    await house.answer(entry.thread, ANSWER)
    assert not house.sent()
    (waiting,) = await house.rows(State.SENDING)
    stored = await house.spool.part(waiting.message_id, "wire")
    house.clock.seconds += 3600
    await house.work()
    (wire,) = house.sent()
    assert stored is not None
    assert (await house.rows(State.SENT))[0].message_id == waiting.message_id
    assert await house.spool.part(waiting.message_id, "wire") is None
    import base64
    import json

    assert base64.b64decode(json.loads(stored)["wire"]) == wire


async def test_an_answer_seen_twice_is_sent_once(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    await house.spool.set_cursor("desk", "0")

    assert await collect_replies(house.backend, house.spool, b"s" * 32, place_in, Limits()) == 0
    await house.work()
    assert len(house.sent()) == 1


async def test_the_users_reply_to_our_answer_joins_the_ticket(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    await house.answer(entry.thread, ANSWER)
    own_id = message_from_bytes(house.sent()[0])["Message-ID"]
    entries = await house.deliver(pgp_mail(lab, "Thanks\n", with_key=False, In_Reply_To=own_id))
    assert [e.thread for e in entries] == [entry.thread] * 2


async def test_outgoing_ids_and_dates_tell_nothing(house: House) -> None:
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    outer = message_from_bytes(house.sent()[0])
    assert outer.keys() == [
        "From",
        "Reply-To",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Autocrypt",
        "MIME-Version",
        "Content-Type",
    ]
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:[03]0:00 \+0000", outer["Date"])
    assert outer["From"].endswith(f"<{SUPPORT}>")


async def test_portal_answer_is_signed_and_only_the_words_open_it(tmp_path: Path, lab: Lab) -> None:
    async with open_house(tmp_path, lab) as house:
        cipher = house.outbound.cipher
        keys = await cipher.derive("eight words that only the visitor knows well")
        payload = encode_portal_entry(PortalEntry("My wallet stops.", topic="function"))
        accepted = await house.spool.accept(
            Submission(
                Channel.PORTAL,
                b"d" * 32,
                payload,
                anchor=PortalAnchor(keys.lookup_id, keys.public_key),
                thread_entry=b"sealed",
            )
        )
        await house.work()
        (entry,) = house.entries()
        assert entry.topic == "function"
        await house.answer(entry.thread, ANSWER)
        assert not house.sent()
        view = await house.spool.thread(keys.lookup_id)
        assert view is not None
        assert view.entries[0] == b"sealed"
        answer = decode_thread_entry(cipher.unseal(keys, view.entries[1]))
        assert answer.author == "support"
        assert answer.signed is not None
        opened = await lab.engine("user").open(answer.signed.encode(), [lab.certificate("desk")])
        assert not opened.encrypted
        assert [s.verdict.value for s in opened.signatures] == ["valid"]
        assert b"4.2.18" in opened.data
        for path in house.state_dir.rglob("*"):
            assert not path.is_file() or b"4.2.18" not in path.read_bytes()
        await house.spool.erase(accepted.ticket_id)
        assert await house.spool.thread(keys.lookup_id) is None
