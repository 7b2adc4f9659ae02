"""The way in, on the real store and real gpg."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from testbed.house import SUPPORT, USER, House, mail, open_house, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.contact import decode_contact
from veildesk.core.errors import (
    LimitExceeded,
    NotEncrypted,
    NothingOpened,
    NotSigned,
    SpoolUnavailable,
    Undecryptable,
    Unparsable,
    VeildeskError,
)
from veildesk.core.limits import Limits
from veildesk.core.message import Disposition
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.submission import Channel, PortalAnchor, PortalEntry, Submission
from veildesk.core.work import Reason, State
from veildesk.redact.rules import rule_set
from veildesk.service.config import QueueConfig
from veildesk.service.disposition import dispose
from veildesk.service.known_keys import KnownKeys, MemoryContacts
from veildesk.service.reading import read_mail


async def test_plain_mail_becomes_a_marked_clean_ticket(house: House) -> None:
    (entry,) = await house.deliver(mail("Write to me at rosa@example.org or someone@else.example.\n"))
    assert entry.subject == "Help"
    assert entry.protection == "Mail: not encrypted; not signed"
    assert "rosa@example.org" not in entry.text
    assert "[email-1]" in entry.text
    assert "[email-2]" in entry.text
    assert entry.removed["EMAIL"] == 2


async def test_encrypted_and_signed_mail_is_opened_and_its_subject_taken_from_inside(house: House) -> None:
    (entry,) = await house.deliver(pgp_mail(house.lab, "The app stops.\n"))
    assert entry.text.strip() == "The app stops."
    assert entry.subject == "Secret help"
    assert entry.protection == "Mail: encrypted; signed; first message with this key"


async def test_contact_and_payload_lie_nowhere_in_the_clear(house: House) -> None:
    await house.deliver(pgp_mail(house.lab, "Canary-in-the-text rosa@example.org\n"))
    for path in house.state_dir.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Canary-in-the-text" not in data
            assert USER.encode() not in data
            assert b"Secret help" not in data


async def test_payload_is_gone_after_delivery(house: House) -> None:
    accepted = await house.take(mail())
    await house.work()
    assert await house.spool.part(accepted.message_id, "raw") is None
    assert await house.spool.part(accepted.message_id, "entry") is None
    assert [w.state for w in await house.rows()] == [State.DELIVERED]


async def test_follow_up_with_the_same_key_joins_its_ticket(house: House) -> None:
    first = pgp_mail(house.lab, "One: a@b.example\n", Message_ID="<first@user.test>")
    second = pgp_mail(house.lab, "Two: a@b.example and c@d.example\n", In_Reply_To="<first@user.test>")
    await house.deliver(first)
    entries = await house.deliver(second)
    assert len({e.thread for e in entries}) == 1
    assert entries[1].protection.endswith("signed by the same key as before")
    assert "[email-1] and [email-2]" in entries[1].text


async def test_naming_a_message_id_is_not_enough_to_join(house: House) -> None:
    await house.deliver(pgp_mail(house.lab, "One\n", Message_ID="<first@user.test>"))
    entries = await house.deliver(mail("Let me in.\n", In_Reply_To="<first@user.test>"))
    assert len({e.thread for e in entries}) == 2


async def test_pinned_certificate_is_not_replaced_by_a_later_one(house: House) -> None:
    accepted = await house.take(pgp_mail(house.lab, "One\n", Message_ID="<first@user.test>"))
    await house.work()
    before = await house.spool.ticket_part(accepted.ticket_id, "contact")
    assert before is not None
    pinned = decode_contact(before)
    assert pinned.fingerprint == house.lab.fingerprints["user"]
    await house.deliver(pgp_mail(house.lab, "Two\n", with_key=False, In_Reply_To="<first@user.test>"))
    after = await house.spool.ticket_part(accepted.ticket_id, "contact")
    assert after is not None
    assert decode_contact(after).certificate == pinned.certificate


async def test_mail_for_another_key_is_quarantined_and_kept(house: House, lab: Lab) -> None:
    sealed = lab.encrypt(b"Subject: x\r\n\r\nnot for you", "--armor", to=("stranger",))
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = USER, SUPPORT, "..."
    message.set_content(sealed.decode())
    accepted = await house.take(message.as_bytes())
    await house.work()
    (row,) = await house.rows()
    assert (row.state, row.reason) == (State.QUARANTINED, Reason.UNDECRYPTABLE)
    assert await house.spool.part(accepted.message_id, "raw") is not None
    (entry,) = house.entries()
    assert "none of our keys opens" in entry.text
    assert isinstance(await house.inbound.judge(message.as_bytes(), "support"), Undecryptable)


async def test_a_mail_of_which_nothing_is_opened_is_refused_with_what_to_do(house: House) -> None:
    head = f"From: {USER}\r\nTo: {SUPPORT}\r\nContent-Type: multipart/encrypted; boundary=b\r\n\r\n"
    part = "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b--\r\n"
    raw = (head + part).encode()
    error = await house.inbound.judge(raw, "support")
    assert isinstance(error, NothingOpened)
    assert "Encrypt the whole mail" in error.hint
    assert dispose(await read_mail(raw, house.engine, (), Limits()))[0] is Disposition.REFUSE
    await house.take(raw)
    await house.work()
    assert not house.entries()
    assert [row.reason for row in await house.rows()] == [Reason.UNPARSABLE]


@pytest.mark.parametrize(
    "raw", [b"", b"\0" * 50, b"no header at all", b"From: x\r\n" + b"A: b\r\n" * 3000 + b"\r\n"]
)
async def test_strange_bytes_never_end_the_worker(house: House, raw: bytes) -> None:
    await house.take(raw)
    await house.work()
    (row,) = await house.rows()
    assert row.state in (State.DELIVERED, State.QUARANTINED)
    (entry,) = (await house.deliver(mail("still alive\n")))[-1:]
    assert "still alive" in entry.text


async def test_automatic_mail_opens_no_ticket_and_is_kept(house: House) -> None:
    await house.deliver(mail("I am on holiday.\n", Auto_Submitted="auto-replied"))
    (row,) = await house.rows()
    assert (row.state, row.reason) == (State.QUARANTINED, Reason.AUTOMATIC)
    assert not house.entries()


async def test_a_list_with_our_address_and_who_encrypted_to_us_are_no_newsletter(house: House) -> None:
    head = f"List-Post: <mailto:{SUPPORT}>\r\nPrecedence: list\r\nSubject:".encode()
    ours = mail().replace(b"Subject:", head)
    sealed = pgp_mail(house.lab, "Through a list.\n")
    sealed = sealed.replace(
        b"MIME-Version:", b"List-Id: <x.example.org>\r\nPrecedence: list\r\nMIME-Version:", 1
    )
    assert len(await house.deliver(ours)) == 1
    assert "Through a list." in (await house.deliver(sealed))[-1].text
    other = mail("Buy this.\n").replace(b"Subject:", b"List-Post: <mailto:news@example.net>\r\nSubject:")
    before = len(await house.rows())
    await house.deliver(other)
    put_aside = (await house.rows())[before:]
    assert [(work.state, work.reason) for work in put_aside] == [(State.QUARANTINED, Reason.LIST)]
    support = dataclasses.replace(house.inbound.queues["support"], addresses=(SUPPORT, "news@example.net"))
    house.worker.inbound = dataclasses.replace(house.inbound, queues={"support": support})
    await house.spool.retry(put_aside[0].message_id)
    await house.work()
    assert "Buy this." in house.entries()[-1].text


@pytest.mark.parametrize(
    ("head", "body", "protection", "notice"),
    [
        (
            b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            b"\x30\x82\x00",
            "Mail: encrypted with S/MIME, not opened; not signed",
            "Ask the person to use OpenPGP.",
        ),
        (b"Content-Type: text/plain", b"", "Mail: not encrypted; not signed", "This mail has no text."),
        (
            b"Content-Type: text/plain",
            b"see\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nwf8AAAEMAw==\r\n-----END PGP MESSAGE-----",
            "Mail: only a part of it encrypted; not signed",
            "Ask the person to encrypt the whole mail",
        ),
    ],
    ids=["smime", "empty", "part"],
)
async def test_agents_are_told_what_they_do_not_see_and_what_to_do(
    house: House, head: bytes, body: bytes, protection: str, notice: str
) -> None:
    raw = b"From: Rosa <%s>\r\nTo: support@example.org\r\nSubject: x\r\n%s\r\n\r\n%s\r\n" % (
        USER.encode(),
        head,
        body,
    )
    (entry,) = await house.deliver(raw)
    assert entry.protection == protection
    assert any(notice in one for one in entry.notices)


@pytest.mark.parametrize("error", [NotEncrypted, NotSigned, Undecryptable, LimitExceeded, Unparsable])
def test_a_refusal_tells_its_sender_what_to_do_next(error: type[VeildeskError]) -> None:
    reply = error("x").smtp_reply
    assert reply.endswith(f" {error.public} {error.hint}")
    assert reply.isascii()
    assert len(reply) < 300
    assert SpoolUnavailable("x").smtp_reply.endswith("please try again later.")


async def test_null_sender_counts_as_automatic(house: House) -> None:
    await house.take(mail("Delivery failed.\n"), null_sender=True)
    await house.work()
    (row,) = await house.rows()
    assert row.reason is Reason.AUTOMATIC


async def test_own_header_of_a_stranger_changes_nothing(house: House) -> None:
    (entry,) = await house.deliver(mail("Hello\n", X_Veildesk_Envelope="null-sender"))
    assert "Hello" in entry.text


async def test_queue_can_require_encryption_or_a_signature(tmp_path: Path, lab: Lab) -> None:
    queues = {
        "support": QueueConfig(backend="desk"),
        "sealed": QueueConfig(require="encryption", backend="desk"),
        "signed": QueueConfig(require="signature", backend="desk"),
    }
    async with open_house(tmp_path, lab, queues) as house:
        for queue, reason in (("sealed", Reason.NOT_ENCRYPTED), ("signed", Reason.NOT_SIGNED)):
            await house.take(mail(f"to {queue}\n"), queue=queue)
            await house.work()
            assert [w.reason for w in await house.rows(State.QUARANTINED)].count(reason) == 1
        assert isinstance(await house.inbound.judge(mail(), "sealed"), NotEncrypted)
        assert isinstance(await house.inbound.judge(mail(), "signed"), NotSigned)
        unsigned = pgp_mail(lab, "x\n", sign=False)
        assert await house.inbound.judge(unsigned, "sealed") is None
        assert isinstance(await house.inbound.judge(unsigned, "signed"), NotSigned)
        assert await house.inbound.judge(pgp_mail(lab, "x\n"), "signed") is None


async def test_signed_by_a_key_that_does_not_name_the_sender(house: House, lab: Lab) -> None:
    keys = KnownKeys(MemoryContacts([lab.certificate("user")]))
    house.worker.inbound = dataclasses.replace(house.inbound, keys=keys)
    raw = pgp_mail(lab, "Hi\n", with_key=False)
    raw = raw.replace(b"A User <rosa@example.org>", b"Other <other@example.org>")
    (entry,) = await house.deliver(raw)
    assert entry.protection == "Mail: encrypted; signed by a key that does not name the sender"


async def test_signed_mail_with_several_authors_is_quarantined(house: House, lab: Lab) -> None:
    raw = pgp_mail(lab, "Hi\n").replace(
        b"A User <rosa@example.org>", b"A <rosa@example.org>, B <other@example.org>", 1
    )
    await house.deliver(raw)
    (row,) = await house.rows()
    assert (row.state, row.reason) == (State.QUARANTINED, Reason.SENDER)


async def test_archives_come_through_with_redacted_members(house: House) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.log", "user a@b.example from 93.184.216.34\n")
        archive.writestr("run.exe", b"MZ\x90\0" + bytes(200))
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = USER, SUPPORT, "Logs"
    message.set_content("See the archive.\n")
    message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="logs.zip")
    (entry,) = await house.deliver(message.as_bytes())
    (file,) = entry.files
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"a@b.example" not in content
    assert b"93.184.216.34" not in content
    assert b"[email-1]" in content


async def test_attachments_are_cleaned_redacted_or_refused_with_a_reason(house: House) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = USER, SUPPORT, "Log"
    message.set_content("See the log.\n")
    message.add_attachment("ip 93.184.216.34 user a@b.example\n", filename="a@b.example.log")
    message.add_attachment(
        b"MZ\x90\0" + bytes(200), maintype="application", subtype="exe", filename="run.exe"
    )
    (entry,) = await house.deliver(message.as_bytes())
    (file,) = entry.files
    assert b"93.184.216.34" not in file.content
    assert b"a@b.example" not in file.content
    assert "a@b.example" not in file.name
    assert any(line.startswith("Attachment run.exe not passed on: ") for line in entry.notices)


async def test_whole_ciphertext_in_a_broken_structure_is_not_lost_as_an_empty_ticket(house: House) -> None:
    raw = pgp_mail(house.lab, "Hello\n").replace(
        b"\r\n\r\n--b\r\n", b"\r\n\r\n--b\r\n\r\n--b--\r\n\r\n--b\r\n", 1
    )
    await house.take(raw)
    await house.work()
    (row,) = await house.rows()
    assert (row.state, row.reason) == (State.QUARANTINED, Reason.UNPARSABLE)


async def test_retry_brings_a_quarantined_message_back(house: House) -> None:
    accepted = await house.take(mail("holiday\n", Auto_Submitted="auto-replied"))
    await house.work()
    again = await house.spool.retry(accepted.message_id)
    assert again.state is State.ACCEPTED


async def test_the_words_a_visitor_wants_hidden_are_hidden_in_files_too(house: House) -> None:
    payload = encode_portal_entry(
        PortalEntry(
            "The project [own-1] fails.",
            own_words=("Bluebird",),
            attachments=(("Bluebird.log", "text/plain", b"Bluebird stopped\n"),),
        )
    )
    anchor = PortalAnchor(b"l" * 32, b"p" * 32)
    await house.spool.accept(
        Submission(Channel.PORTAL, b"d" * 32, payload, anchor=anchor, thread_entry=b"sealed")
    )
    await house.work()
    (entry,) = house.entries()
    (file,) = entry.files
    assert b"Bluebird" not in file.content
    assert "Bluebird" not in file.name


async def test_a_queue_can_have_types_unmasked_and_an_operator_rules_of_their_own(
    tmp_path: Path, lab: Lab
) -> None:
    own = {"type": "CUSTOMER", "pattern": "CU-[0-9]{6}", "finds": ["CU-123456"], "leaves": ["CU-12"]}
    queues = {
        "support": QueueConfig(backend="desk"),
        "wallets": QueueConfig(backend="desk", unmasked=("TXID", "EMAIL")),
    }
    txid = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    text = f"I am CU-123456, txid {txid}\nmy password: Xk29!abcd\n"
    async with open_house(tmp_path, lab, queues, rule_set({"rule": [own]})) as house:
        for queue in queues:
            await house.take(mail(text + f"queue {queue}\n"), queue=queue)
        await house.work()
        plain, wallets = sorted(house.entries(), key=lambda entry: entry.queue)
    assert "[x-customer-1], txid [txid-1]" in plain.text
    assert f"[x-customer-1], txid {txid}" in wallets.text
    assert "Xk29" not in plain.text + wallets.text


async def test_a_secret_is_shown_only_if_its_owner_said_so_twice(house: House) -> None:
    for number, confirmed in enumerate([(), ("E4x!7782",)]):
        payload = encode_portal_entry(
            PortalEntry("password: E4x!7782 in the log", kept=("E4x!7782",), confirmed=confirmed)
        )
        anchor = PortalAnchor(bytes([number]) * 32, bytes([number + 9]) * 32)
        await house.spool.accept(
            Submission(Channel.PORTAL, bytes([number]) * 32, payload, anchor=anchor, thread_entry=b"sealed")
        )
    await house.work()
    assert sorted(entry.text for entry in house.entries()) == [
        "password: E4x!7782 in the log",
        "password: [password-1] in the log",
    ]
