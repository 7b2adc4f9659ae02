"""Trust on first use, ticket by ticket: what a mail may teach about its correspondent, and what not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from testbed.house import SUPPORT, USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.core.contact import Contact, KnownKey, Provenance, decode_contact
from veildesk.core.message import OpenedMessage, Scope, Signature, Verdict
from veildesk.core.ports import CertificateStatus
from veildesk.openpgp.key_index import index_of
from veildesk.service import trust
from veildesk.service.known_keys import KnownKeys, MemoryContacts
from veildesk.service.trust import Candidate, choose

ANSWER = "Please update to 4.2.18.\n"


def candidate(
    name: str,
    *,
    carried: bool = True,
    address: str = USER,
    usable: bool = True,
    keys: Sequence[str] = (),
    claimed: Sequence[str] = (),
) -> Candidate:
    key = KnownKey(b"", name, (name, *claimed), (address,), Provenance.ATTACHED)
    status = CertificateStatus(name, (address,), usable, True, False, False, signing=(name, *keys))
    return Candidate(key, status, carried)


A, B = candidate("A" * 40), candidate("B" * 40)
KNOWN, OTHER_KNOWN = candidate("C" * 40, carried=False), candidate("D" * 40, carried=False)
GIVEN = candidate("E" * 40, carried=False)
GIVEN = dataclasses.replace(GIVEN, key=dataclasses.replace(GIVEN.key, provenance=Provenance.CONFIGURED))


@pytest.mark.parametrize(
    ("candidates", "signer", "expected", "chosen", "notices"),
    [
        ([A], None, None, "A", ()),
        ([A, A], None, None, "A", ()),
        ([A, B], None, None, None, (trust.SEVERAL_KEYS,)),
        ([KNOWN, A], None, None, "C", (trust.OTHER_KEY,)),
        ([KNOWN, candidate("C" * 40)], None, None, "C", ()),
        ([KNOWN, OTHER_KNOWN], None, None, None, (trust.SEVERAL_KNOWN,)),
        ([KNOWN, OTHER_KNOWN, A], None, None, None, (trust.SEVERAL_KNOWN,)),
        ([KNOWN, OTHER_KNOWN, candidate("D" * 40)], None, None, "D", ()),
        ([GIVEN, OTHER_KNOWN], None, None, "E", ()),
        # Who signed gets answers to the key that signed, whatever else is attached.
        ([A, B], "B" * 40, None, "B", ()),
        ([A], "B" * 40, None, None, ()),
        ([KNOWN, A], "A" * 40, None, "A", ()),
        # A key that could not be checked at first is the only one that is taken later.
        ([A], None, "B" * 40, None, (trust.NOT_EXPECTED,)),
        ([candidate("A" * 40, keys=["D" * 40])], None, "D" * 40, "A", ()),
        # A key that a certificate only holds need not belong to it.
        ([candidate("A" * 40, claimed=["D" * 40])], None, "D" * 40, None, (trust.NOT_EXPECTED,)),
        ([candidate("A" * 40, claimed=["B" * 40]), B], "B" * 40, None, "B", ()),
        ([candidate("A" * 40, keys=["B" * 40]), B], "B" * 40, None, "B", ()),
        ([candidate("A" * 40, address="x@y.example")], None, None, None, ()),
        ([candidate("A" * 40, usable=False)], None, None, None, (trust.UNUSABLE,)),
        ([candidate("A" * 40, usable=False), B], None, None, "B", ()),
        ([candidate("A" * 40, usable=False)], "A" * 40, None, None, (trust.UNUSABLE,)),
        ([candidate("A" * 40, usable=False, carried=False)], None, None, None, ()),
        ([], None, None, None, ()),
    ],
)
def test_first_use(
    candidates: list[Candidate],
    signer: str | None,
    expected: str | None,
    chosen: str | None,
    notices: tuple[str, ...],
) -> None:
    found, told = choose(candidates, USER, signer, expected)
    assert (found.key.fingerprint[0] if found else None) == chosen
    assert told == notices


async def contact_of(house: House, thread: str) -> Contact:
    stored = await house.spool.ticket_part(thread, "contact")
    assert stored is not None
    return decode_contact(stored)


async def answer_to(house: House, thread: str) -> tuple[str, str]:
    """Let an agent answer; the id to refer to and whose key it was encrypted to."""
    before = len(house.sent())
    await house.answer(thread, ANSWER)
    message = message_from_bytes(house.sent()[before])
    return str(message["Message-ID"]), str(message["Reply-To"])


def with_keys(raw: bytes, *certificates: bytes) -> bytes:
    """A plain mail with keys attached."""
    message = message_from_bytes(raw, policy=SMTP)
    for number, data in enumerate(certificates):
        message.add_attachment(data, maintype="application", subtype="pgp-keys", filename=f"{number}.pgp")
    return message.as_bytes()


def encrypted_with_key(lab: Lab, by: str, attached: bytes | None, reference: str) -> bytes:
    """A mail from the user, signed by the key of `by`, with a key attached inside."""
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "My new key"
    inner.set_content("Please use it from now on.\n")
    if attached is not None:
        inner.add_attachment(attached, maintype="application", subtype="pgp-keys", filename="new.pgp")
    sealed = lab.gpg(
        by,
        "--armor",
        "--sign",
        "--recipient-file",
        lab.certificate_file("desk"),
        "--encrypt",
        stdin=inner.as_bytes(),
    )
    head = mail(Subject="...", In_Reply_To=reference).partition(b"\r\n\r\n")[0].split(b"\r\n")
    kept = [line for line in head if not line.lower().startswith((b"content-", b"mime-"))]
    return (
        b"\r\n".join(kept)
        + b'\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary="b"; '
        + b'protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted'
        + b"\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + sealed.replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )


@pytest.fixture
def second_key(lab: Lab) -> str:
    if "rosa-new" not in lab.fingerprints:
        lab.make("rosa-new", f"Rosa Example <{USER}>")
    return "rosa-new"


async def test_a_change_signed_by_the_old_key_is_taken_and_told(
    house: House, lab: Lab, second_key: str
) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    reference, _ = await answer_to(house, entry.thread)
    entries = await house.deliver(encrypted_with_key(lab, "user", lab.certificate(second_key), reference))
    assert [e.thread for e in entries] == [entry.thread] * 2
    assert trust.CHANGED in entries[-1].notices
    contact = await contact_of(house, entry.thread)
    assert contact.fingerprint == contact.signer == lab.fingerprints[second_key]
    assert contact.provenance is Provenance.SUCCESSOR
    assert contact.earlier == (lab.fingerprints["user"],)
    assert [event.word for event in contact.history] == ["pinned", "replaced-by"]
    # From now on the new key speaks and is answered; the old one still belongs to the ticket.
    reference, _ = await answer_to(house, entry.thread)
    sealed = house.sent()[-1].partition(b"octet-stream\r\n\r\n")[2]
    assert b"4.2.18" in lab.gpg(second_key, "--skip-verify", "--decrypt", stdin=sealed)
    for by, told in ((second_key, "signed by the same key"), ("user", "signed by an earlier key")):
        last = (await house.deliver(encrypted_with_key(lab, by, None, reference)))[-1]
        assert last.thread == entry.thread
        assert told in last.protection


async def test_a_change_not_signed_by_the_old_key_is_refused_and_told(
    house: House, lab: Lab, second_key: str
) -> None:
    (entry,) = await house.deliver(with_keys(mail("Help\n"), lab.certificate("user")))
    reference, _ = await answer_to(house, entry.thread)
    forged = with_keys(mail("Use this\n", In_Reply_To=reference), lab.certificate(second_key))
    last = (await house.deliver(forged))[-1]
    assert last.thread == entry.thread
    assert trust.OTHER_KEY in last.notices
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]
    signed = encrypted_with_key(lab, second_key, lab.certificate(second_key), reference)
    assert trust.OTHER_KEY in (await house.deliver(signed))[-1].notices
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]


async def test_a_foreign_key_in_a_signed_mail_is_no_change(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    reference, _ = await answer_to(house, entry.thread)
    raw = encrypted_with_key(lab, "user", lab.certificate("stranger"), reference)
    last = (await house.deliver(raw))[-1]
    assert last.thread == entry.thread
    assert trust.CHANGED not in last.notices
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]


async def test_only_the_key_that_signed_is_taken_afterwards(house: House, lab: Lab, second_key: str) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    assert "not known" in entry.protection
    await house.answer(entry.thread, ANSWER)
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    forged = with_keys(mail("My key\n", In_Reply_To=reference), lab.certificate(second_key))
    assert trust.NOT_EXPECTED in (await house.deliver(forged))[-1].notices
    assert (await contact_of(house, entry.thread)).certificate is None
    assert len(house.sent()) == 1
    true = with_keys(mail("My key\n", In_Reply_To=reference), lab.certificate("user"))
    assert trust.FIRST_KEY in (await house.deliver(true))[-1].notices
    assert len(house.sent()) == 2
    assert b"multipart/encrypted" in house.sent()[1]


async def test_a_newer_copy_extends_and_a_revocation_stops(house: House, lab: Lab) -> None:
    name = lab.make("short", "Rosa Example <rosa@example.org>", expires="30d")
    (entry,) = await house.deliver(with_keys(mail("Help\n"), lab.certificate("short")))
    reference, _ = await answer_to(house, entry.thread)
    lab.gpg("short", "--passphrase=", "--quick-set-expire", "--", name, "90d")
    before = (await contact_of(house, entry.thread)).expires
    await house.deliver(with_keys(mail("newer\n", In_Reply_To=reference), lab.certificate("short")))
    after = (await contact_of(house, entry.thread)).expires
    assert before is not None
    assert after is not None
    assert after > before
    revocation = (
        (lab.home("short") / "openpgp-revocs.d" / f"{name}.rev").read_text().replace(":-----", "-----")
    )
    lab.gpg("short", "--import", stdin=revocation.encode())
    last = (
        await house.deliver(with_keys(mail("lost it\n", In_Reply_To=reference), lab.certificate("short")))
    )[-1]
    assert trust.WITHDRAWN in last.notices
    count = len(house.sent())
    await house.answer(entry.thread, ANSWER)
    assert b"4.2.18" not in b"".join(house.sent()[count:])


async def test_a_key_with_our_own_address_is_never_taken(house: House, lab: Lab) -> None:
    lab.make("colliding", f"Rosa <{USER}>")
    lab.gpg(
        "colliding",
        "--passphrase=",
        "--quick-add-uid",
        "--",
        lab.fingerprints["colliding"],
        f"Us <{SUPPORT}>",
    )
    (entry,) = await house.deliver(with_keys(mail("Help\n"), lab.certificate("colliding")))
    assert (await contact_of(house, entry.thread)).certificate is None


async def test_a_known_key_goes_before_one_that_anybody_could_attach(
    house: House, lab: Lab, second_key: str
) -> None:
    keys = KnownKeys(MemoryContacts([lab.certificate("user")]))
    house.worker.inbound = dataclasses.replace(house.inbound, keys=keys)
    (entry,) = await house.deliver(with_keys(mail("Help\n"), lab.certificate(second_key)))
    assert trust.OTHER_KEY in entry.notices
    contact = await contact_of(house, entry.thread)
    assert contact.fingerprint == lab.fingerprints["user"]
    assert contact.provenance is Provenance.CONFIGURED
    signed = (await house.deliver(pgp_mail(lab, "Hi\n", with_key=False)))[-1]
    assert "one that this gateway was given" in signed.protection


async def test_who_wrote_signed_is_known_in_the_next_ticket(house: House, lab: Lab, second_key: str) -> None:
    await house.deliver(pgp_mail(lab, "Help\n"))
    second = (await house.deliver(pgp_mail(lab, "Another thing\n", with_key=False)))[-1]
    assert "the key is known from earlier tickets" in second.protection
    assert (await contact_of(house, second.thread)).fingerprint == lab.fingerprints["user"]
    # An unsigned mail with a stranger's key under this address gets the known key.
    third = (await house.deliver(with_keys(mail("Help\n"), lab.certificate(second_key))))[-1]
    assert (await contact_of(house, third.thread)).fingerprint == lab.fingerprints["user"]
    # A signed one is a ticket of its own hand, and the agents see that the key is another.
    fourth = (
        await house.deliver(encrypted_with_key(lab, second_key, lab.certificate(second_key), "<x@y.example>"))
    )[-1]
    assert trust.NEW_FOR_ADDRESS in fourth.notices
    assert (await contact_of(house, fourth.thread)).fingerprint == lab.fingerprints[second_key]


async def test_unsigned_keys_are_not_remembered_for_other_tickets(house: House, lab: Lab) -> None:
    await house.deliver(with_keys(mail("Help\n"), lab.certificate("user")))
    second = (await house.deliver(mail("Another thing\n")))[-1]
    assert (await contact_of(house, second.thread)).certificate is None


class Directory:
    """A `KeyLookup` that knows some keys."""

    def __init__(self, *certificates: bytes) -> None:
        self.keys = [index_of(certificate) for certificate in certificates]
        self.asked: list[str] = []

    async def find(self, address: str) -> tuple[KnownKey, ...]:
        self.asked.append(address)
        return tuple(
            KnownKey(key.certificate, key.fingerprint, key.keys, key.addresses, Provenance.WKD)
            for key in self.keys
            if address in key.addresses
        )


def with_directory(house: House, directory: Directory) -> None:
    keys = KnownKeys(contacts=house.spool.contacts, lookup=directory)
    house.worker.inbound = dataclasses.replace(house.inbound, keys=keys)
    judge = trust.Trust(house.engine, keys, house.inbound.replies, house.clock)
    house.worker.outbound = dataclasses.replace(house.outbound, trust=judge)


async def test_an_answer_is_encrypted_to_the_key_that_the_domain_publishes(house: House, lab: Lab) -> None:
    directory = Directory(lab.certificate("user"))
    with_directory(house, directory)
    (entry,) = await house.deliver(mail("Help\n"))
    assert directory.asked == []
    await house.answer(entry.thread, ANSWER)
    assert directory.asked == [USER]
    assert b"multipart/encrypted" in house.sent()[0]
    contact = await contact_of(house, entry.thread)
    assert (contact.fingerprint, contact.provenance) == (lab.fingerprints["user"], Provenance.WKD)
    await house.answer(entry.thread, ANSWER)
    assert directory.asked == [USER]


async def test_a_published_key_settles_a_signature_and_is_pinned(house: House, lab: Lab) -> None:
    with_directory(house, Directory(lab.certificate("user")))
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    assert "mail domain publishes" in entry.protection
    await house.answer(entry.thread, ANSWER)
    assert b"4.2.18" not in house.sent()[0]


async def test_a_published_key_that_did_not_sign_is_not_taken_for_who_signed(
    house: House, lab: Lab, second_key: str
) -> None:
    with_directory(house, Directory(lab.certificate(second_key)))
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    assert "not known" in entry.protection
    await house.answer(entry.thread, ANSWER)
    assert (await contact_of(house, entry.thread)).certificate is None
    assert b"auto-replied" in house.sent()[0]


@pytest.mark.parametrize("signed", [True, False])
async def test_an_answer_in_the_clear_goes_where_a_signature_vouches_for(house: House, signed: bool) -> None:
    """Whoever carries a signed mail may write another Reply-To into its header, which is not signed."""
    made = Signature(Verdict.VALID, "A" * 40, "A" * 40, Scope.WHOLE, True)
    message = OpenedMessage(
        from_address=USER, reply_address="mallory@example.net", signatures=(made,) if signed else ()
    )
    learned = await trust.Trust(house.engine, KnownKeys(), house.inbound.replies, house.clock).learn(
        message, None
    )
    assert learned.contact is not None
    assert learned.contact.address == (USER if signed else "mallory@example.net")
