"""Others' tickets: nobody gets into one, speaks for its author, or has its mails removed by naming them."""

from __future__ import annotations

import base64
import os
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from testbed.house import SUPPORT, USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from unit.service.test_trust import ANSWER, contact_of
from veildesk.core.contact import decode_contact
from veildesk.core.message import Encryption, OpenedMessage, Scope, Signature, Verdict
from veildesk.core.work import Reason, State
from veildesk.service.eraser import Eraser
from veildesk.service.protection import protection_line

MALLORY = "mallory@example.net"


async def answered(house: House, raw: bytes) -> tuple[str, str]:
    """The thread of a mail and the Message-ID of the answer to it."""
    before = len(house.sent())
    entry = (await house.deliver(raw))[-1]
    await house.answer(entry.thread, ANSWER)
    return entry.thread, str(message_from_bytes(house.sent()[before])["Message-ID"])


def from_mallory(raw: bytes) -> bytes:
    return raw.replace(f"A User <{USER}>".encode(), MALLORY.encode())


async def test_what_calls_itself_automatic_gets_in_by_what_we_sent_only(house: House) -> None:
    thread, ours = await answered(house, mail("Help\n", Message_ID="<rosas@user.test>"))
    forged = mail("Pay here from now on.\n", In_Reply_To="<rosas@user.test>", Auto_Submitted="auto-replied")
    await house.deliver(from_mallory(forged))
    assert len(house.entries()) == 1
    (kept,) = await house.rows(State.QUARANTINED)
    assert kept.reason is Reason.AUTOMATIC
    vacation = mail("I am away.\n", In_Reply_To=ours, Auto_Submitted="auto-replied")
    assert [entry.thread for entry in await house.deliver(vacation)] == [thread] * 2


async def test_an_author_named_inside_an_encryption_is_not_the_one_who_sent_it(
    house: House, lab: Lab
) -> None:
    """Anybody can encrypt a header to us; a mail server sees and vouches for the outer one alone."""
    thread, ours = await answered(house, mail("Help\n"))
    inner = EmailMessage(policy=SMTP)
    inner["From"], inner["To"], inner["Subject"] = USER, SUPPORT, "Re: Help"
    inner["In-Reply-To"] = ours
    inner.set_content("It is me.\n")
    inner.set_param("hp", "cipher")
    sealed = lab.encrypt(inner.as_bytes(), "--armor")
    raw = from_mallory(pgp_mail(lab, sign=False, with_key=False, In_Reply_To=ours))
    start, end = raw.index(b"-----BEGIN PGP"), raw.index(b"\r\n--b--")
    forged = raw[:start] + sealed.replace(b"\n", b"\r\n") + raw[end:]
    last = (await house.deliver(forged))[-1]
    assert "It is me." in last.text
    assert last.thread != thread
    await house.deliver(forged.replace(MALLORY.encode(), USER.encode()))
    assert [entry.thread for entry in house.entries()] == [thread, thread, last.thread]


def signature(name: str, scope: Scope, *, bound: bool, verdict: Verdict = Verdict.VALID) -> Signature:
    return Signature(verdict, name * 40, name * 40, scope, bound)


@pytest.mark.parametrize("scope", [Scope.WHOLE, Scope.PART])
async def test_anothers_signed_text_enclosed_in_a_signed_mail_does_not_speak_for_it(scope: Scope) -> None:
    wrapped = (signature("B", Scope.WHOLE, bound=False), signature("A", Scope.PART, bound=True))
    message = OpenedMessage(encryption=Encryption(Scope.WHOLE), signatures=wrapped)
    assert protection_line(message, None) == "Mail: encrypted; signed by a key that does not name the sender"
    alone = OpenedMessage(signatures=(signature("A", scope, bound=True),))
    told = protection_line(alone, None)
    assert told.endswith("first message with this key" if scope is Scope.WHOLE else "a part of it signed")


async def test_enclosed_signed_text_of_hers_is_not_shown_as_her_mail(house: House, lab: Lab) -> None:
    if "mallory" not in lab.fingerprints:
        lab.make("mallory", f"Mallory <{MALLORY}>")
    await house.deliver(pgp_mail(lab, "Help\n"))
    text = b"Content-Type: text/plain\r\n\r\nI agree.\r\n"
    hers = signed(lab, "user", text, b"inner")
    around = (
        b'Content-Type: multipart/mixed; boundary="mixed"\r\n\r\n--mixed\r\n'
        b"Content-Type: text/plain\r\n\r\nSend everything to the bearer.\r\n--mixed\r\n"
        + hers
        + b"\r\n--mixed\r\nContent-Type: application/pgp-keys\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(lab.certificate("mallory"))
        + b"\r\n--mixed--\r\n"
    )
    whole = signed(lab, "mallory", around, b"outer")
    outer = EmailMessage(policy=SMTP)
    outer["From"], outer["To"], outer["Subject"] = USER, SUPPORT, "Agreed"
    outer["Message-ID"] = "<wrapped@example.net>"
    head = outer.as_bytes().rstrip(b"\r\n") + b"\r\nMIME-Version: 1.0\r\n"
    last = (await house.deliver(head + whole))[-1]
    assert "bearer" in last.text
    for word in ("signed;", "same key", "earlier tickets", "first message"):
        assert word not in last.protection, last.protection


def signed(lab: Lab, who: str, entity: bytes, boundary: bytes) -> bytes:
    """A multipart/signed entity (RFC 3156 § 5)."""
    body = entity.removesuffix(b"\r\n")
    (lab.root / "entity").write_bytes(body)
    made = lab.gpg(who, "--armor", "--detach-sign", "--output", "-", str(lab.root / "entity"))
    return (
        b'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary="'
        + boundary
        + b'"\r\n\r\n--'
        + boundary
        + b"\r\n"
        + body
        + b"\r\n--"
        + boundary
        + b"\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + made.replace(b"\n", b"\r\n")
        + b"--"
        + boundary
        + b"--\r\n"
    )


async def test_a_deletion_removes_no_mail_that_was_only_referred_to(house: House, lab: Lab) -> None:
    raw = mail(
        "Help\n", Message_ID="<own@user.test>", References="<victims@other.test> <victims2@other.test>"
    )
    thread, ours = await answered(house, raw)
    await house.deliver(mail("More\n", Message_ID="<own2@user.test>", In_Reply_To=ours))
    away = mail("Away\n", Message_ID="<own3@user.test>", In_Reply_To=ours, Auto_Submitted="auto-replied")
    await house.deliver(away)
    removed: list[str] = []

    async def expunge(mails: object) -> None:
        removed.extend(mails)  # type: ignore[call-overload]

    eraser = Eraser(
        spool=house.spool,
        backends={"desk": house.backend},
        jobs=house.spool.erase_jobs,
        holds=house.spool.holds,
        clock=house.clock,
        random_bytes=os.urandom,
        expunge=expunge,
    )
    await eraser.erase(thread)
    assert removed == ["own@user.test", "own2@user.test", "own3@user.test"]


async def test_the_mailbox_is_asked_for_the_id_that_it_knows(house: House, lab: Lab) -> None:
    """Inside the encryption stands whatever the sender wrote there."""
    inner = EmailMessage(policy=SMTP)
    inner["From"], inner["To"], inner["Subject"] = USER, SUPPORT, "Help"
    inner["Message-ID"] = "<victims@other.test>"
    inner.set_content("Help\n")
    inner.set_param("hp", "cipher")
    raw = pgp_mail(lab, sign=False, with_key=False, Message_ID="<outer@user.test>")
    start, end = raw.index(b"-----BEGIN PGP"), raw.index(b"\r\n--b--")
    sealed = lab.encrypt(inner.as_bytes(), "--armor").replace(b"\n", b"\r\n")
    entry = (await house.deliver(raw[:start] + sealed + raw[end:]))[-1]
    assert (await contact_of(house, entry.thread)).received == ("outer@user.test",)


@pytest.mark.parametrize("written", ["<no-at-sign>", "<ä@user.test>"])
async def test_who_writes_odd_message_ids_is_answered_all_the_same(house: House, written: str) -> None:
    raw = mail("Help\n").replace(b"Message-ID: <", b"X-Kept: <")
    (entry,) = await house.deliver(b"Message-ID: " + written.encode() + b"\r\n" + raw)
    await house.answer(entry.thread, ANSWER)
    assert len(house.sent()) == 1


def test_contacts_of_an_earlier_version_are_read() -> None:
    old = (
        b'{"v": 1, "address": "a@b.example", "subject": "", "encrypted": false, "certificate": null, '
        b'"fingerprint": null, "signer": null, "references": ["x@y"], "provenance": null, "expires": null, '
        b'"expected": null, "earlier": [], "history": []}'
    )
    assert decode_contact(old).received == ("x@y",)


async def test_a_signed_mail_that_comes_weeks_later_is_told_to_be_old(house: House, lab: Lab) -> None:
    raw = pgp_mail(lab, "I agree.\n")
    # The signature was made at some moment before this one.
    house.clock.seconds = int(time.time()) + 6 * 86400 + 3600
    (entry,) = await house.deliver(raw)
    assert not any("days ago" in notice for notice in entry.notices)
    house.clock.seconds += 20 * 86400
    again = (await house.deliver(raw.replace(b"Message-ID: <", b"Message-ID: <again-")))[-1]
    assert any("26 days ago" in notice for notice in again.notices)
