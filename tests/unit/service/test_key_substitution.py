"""Somebody who can write to us, or change a mail on its way, wants answers encrypted to a key of his own."""

from __future__ import annotations

import base64
import dataclasses
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from testbed.house import USER, House, mail, pgp_mail
from testbed.openpgp_lab import Lab, packet
from unit.openpgp.test_hostile_certificates import ENCRYPT, maker
from unit.service.test_trust import ANSWER, answer_to, contact_of, encrypted_with_key, with_keys
from veildesk.core.contact import KnownKey, Provenance
from veildesk.openpgp.key_index import index_of
from veildesk.openpgp.packets import PUBLIC_SUBKEY, split_packets
from veildesk.service import trust
from veildesk.service.known_keys import KnownKeys, MemoryContacts

MALLORY = "mallory@example.net"


@pytest.fixture
def evil_key(lab: Lab) -> str:
    """A key of Mallory's that says to be Rosa's."""
    if "evil" not in lab.fingerprints:
        lab.make("evil", f"Rosa Example <{USER}>")
    return "evil"


def with_autocrypt(raw: bytes, certificate: bytes, address: str = USER) -> bytes:
    """The mail with a key in its header, as anybody on the way can put it there."""
    data = base64.b64encode(certificate)
    folded = b"\r\n ".join(data[at : at + 70] for at in range(0, len(data), 70))
    return b"Autocrypt: addr=" + address.encode() + b"; keydata=\r\n " + folded + b"\r\n" + raw


def claiming(lab: Lab, who: str, stolen: str) -> bytes:
    """A certificate with another's key beside its own ones, as if that were a subkey of it."""
    primary = next(split_packets(lab.certificate(stolen)))
    return lab.certificate(who) + packet(PUBLIC_SUBKEY, primary.body)


async def test_a_header_outside_the_signature_changes_no_key(house: House, lab: Lab, evil_key: str) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    reference, _ = await answer_to(house, entry.thread)
    raw = encrypted_with_key(lab, "user", None, reference)
    last = (await house.deliver(with_autocrypt(raw, lab.certificate(evil_key))))[-1]
    assert last.thread == entry.thread
    assert "signed by the same key" in last.protection
    assert trust.CHANGED not in last.notices
    assert trust.OTHER_KEY in last.notices
    contact = await contact_of(house, entry.thread)
    assert contact.fingerprint == contact.signer == lab.fingerprints["user"]
    # Nor does it keep the owner from changing it.
    new = lab.make("rosa-next", f"Rosa Example <{USER}>")
    raw = encrypted_with_key(lab, "user", lab.certificate("rosa-next"), reference)
    last = (await house.deliver(with_autocrypt(raw, lab.certificate(evil_key))))[-1]
    assert trust.CHANGED in last.notices
    assert (await contact_of(house, entry.thread)).fingerprint == new


async def test_a_stolen_public_key_in_a_certificate_draws_no_answers(
    house: House, lab: Lab, evil_key: str
) -> None:
    trap = claiming(lab, evil_key, "user")
    raw = encrypted_with_key(lab, "user", lab.certificate("user"), "<none@example.org>")
    (entry,) = await house.deliver(with_autocrypt(raw, trap))
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]


async def test_a_stolen_public_key_is_no_name_in_the_contact_store(
    house: House, lab: Lab, evil_key: str
) -> None:
    trap = claiming(lab, evil_key, "user")
    first = encrypted_with_key(lab, evil_key, trap, "<none@example.org>")
    await house.deliver(first)
    assert await house.inbound.keys.by_key(lab.fingerprints["user"]) is None
    raw = encrypted_with_key(lab, "user", lab.certificate("user"), "<none@example.org>")
    entry = (await house.deliver(raw))[-1]
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]


async def test_a_key_is_remembered_for_the_address_that_wrote_and_for_no_other(
    house: House, lab: Lab
) -> None:
    if "several" not in lab.fingerprints:
        name = lab.make("several", f"Mallory <{MALLORY}>")
        lab.gpg("several", "--passphrase=", "--quick-add-uid", "--", name, f"Rosa <{USER}>")
    raw = encrypted_with_key(lab, "several", lab.certificate("several"), "<none@example.org>")
    await house.deliver(raw.replace(f"A User <{USER}>".encode(), MALLORY.encode()))
    assert [one.fingerprint for one in await house.inbound.keys.by_address(MALLORY)] == [
        lab.fingerprints["several"]
    ]
    assert await house.inbound.keys.by_address(USER) == ()
    last = (await house.deliver(with_keys(mail("Help\n"), lab.certificate("user"))))[-1]
    assert (await contact_of(house, last.thread)).fingerprint == lab.fingerprints["user"]


async def test_who_signs_does_not_take_the_place_of_who_signed_first(
    house: House, lab: Lab, evil_key: str
) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    await house.answer(entry.thread, ANSWER)
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    forged = encrypted_with_key(lab, evil_key, lab.certificate(evil_key), reference)
    last = (await house.deliver(forged))[-1]
    assert trust.NOT_EXPECTED in last.notices
    assert (await contact_of(house, entry.thread)).certificate is None
    # Nor a certificate that only claims the key that signed.
    trap = claiming(lab, evil_key, "user")
    await house.deliver(encrypted_with_key(lab, evil_key, trap, reference))
    await house.deliver(with_keys(mail("Mine\n", In_Reply_To=reference), trap))
    assert (await contact_of(house, entry.thread)).certificate is None
    assert len(house.sent()) == 1
    true = encrypted_with_key(lab, "user", lab.certificate("user"), reference)
    assert trust.FIRST_KEY in (await house.deliver(true))[-1].notices
    assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]


async def test_an_older_copy_brings_nothing_back_that_was_revoked(house: House, lab: Lab) -> None:
    name = lab.make("leaver", f"Rosa Example <{USER}>", expires="30d")
    (entry,) = await house.deliver(with_keys(mail("Help\n"), lab.certificate("leaver")))
    reference, _ = await answer_to(house, entry.thread)
    # Who stole the secret key can make it last longer, and does not know or hides that it was revoked.
    lab.gpg("leaver", "--passphrase=", "--quick-set-expire", "--", name, "90d")
    longer = lab.certificate("leaver")
    lab.gpg("leaver", "--passphrase=", "--quick-set-expire", "--", name, "30d")
    revocation = (
        (lab.home("leaver") / "openpgp-revocs.d" / f"{name}.rev").read_text().replace(":-----", "-----")
    )
    lab.gpg("leaver", "--import", stdin=revocation.encode())
    revoked = with_keys(mail("lost it\n", In_Reply_To=reference), lab.certificate("leaver"))
    assert trust.WITHDRAWN in (await house.deliver(revoked))[-1].notices
    await house.deliver(with_keys(mail("still mine\n", In_Reply_To=reference), longer))
    count = len(house.sent())
    await house.answer(entry.thread, ANSWER)
    assert all(b"multipart/encrypted" not in wire for wire in house.sent()[count:])
    contact = await contact_of(house, entry.thread)
    assert contact.certificate is not None
    assert (await house.engine.certificate_status(contact.certificate)).revoked


async def test_an_address_to_answer_to_is_no_author(house: House, lab: Lab) -> None:
    """Mail servers check who is named in From; Reply-To can be anybody's."""
    (entry,) = await house.deliver(mail("Help\n"))
    await house.answer(entry.thread, ANSWER)
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    forged = mail("It is me.\n", In_Reply_To=reference, Reply_To=USER)
    forged = with_keys(forged.replace(f"A User <{USER}>".encode(), MALLORY.encode()), lab.certificate("user"))
    last = (await house.deliver(forged))[-1]
    assert last.thread != entry.thread
    assert (await contact_of(house, entry.thread)).certificate is None


async def test_who_asks_for_answers_elsewhere_goes_on_in_the_same_ticket(house: House, lab: Lab) -> None:
    elsewhere = "rosa@home.example"
    (entry,) = await house.deliver(mail("Help\n", Reply_To=elsewhere))
    await house.answer(entry.thread, ANSWER)
    reference = str(message_from_bytes(house.sent()[0])["Message-ID"])
    again = (await house.deliver(mail("More\n", In_Reply_To=reference, Reply_To=elsewhere)))[-1]
    assert again.thread == entry.thread
    there = mail("And more\n", In_Reply_To=reference).replace(USER.encode(), elsewhere.encode())
    assert (await house.deliver(there))[-1].thread == entry.thread


async def test_an_operators_folder_knows_each_certificate_by_its_own_key(lab: Lab, evil_key: str) -> None:
    trap = claiming(lab, evil_key, "user")
    for order in ((trap, lab.certificate("user")), (lab.certificate("user"), trap)):
        found = await KnownKeys(MemoryContacts(order)).by_key(lab.fingerprints["user"])
        assert found is not None
        assert found.fingerprint == lab.fingerprints["user"]


class Publishing:
    """A `KeyLookup` of a domain that claims somebody else's key."""

    def __init__(self, certificate: bytes) -> None:
        self.key = index_of(certificate)

    async def find(self, address: str) -> tuple[KnownKey, ...]:
        key = self.key
        return (KnownKey(key.certificate, key.fingerprint, key.keys, key.addresses, Provenance.WKD),)


async def test_a_domain_names_no_keys_but_its_own(house: House, lab: Lab, evil_key: str) -> None:
    keys = KnownKeys(contacts=house.spool.contacts, lookup=Publishing(claiming(lab, evil_key, "user")))
    house.worker.inbound = dataclasses.replace(house.inbound, keys=keys)
    await house.deliver(pgp_mail(lab, "Help\n", with_key=False))
    assert await keys.by_key(lab.fingerprints["user"]) is None


async def test_a_later_key_under_her_address_does_not_take_the_place_of_hers(
    house: House, lab: Lab, evil_key: str
) -> None:
    await house.deliver(encrypted_with_key(lab, "user", lab.certificate("user"), "<none@example.org>"))
    forged = encrypted_with_key(lab, evil_key, lab.certificate(evil_key), "<none@example.org>")
    await house.deliver(forged)
    unsigned = (await house.deliver(pgp_mail(lab, "Help\n", sign=False, with_key=False)))[-1]
    assert trust.SEVERAL_KNOWN in unsigned.notices
    assert (await contact_of(house, unsigned.thread)).certificate is None
    await house.answer(unsigned.thread, ANSWER)
    assert b"4.2.18" not in b"".join(house.sent())
    with_hers = (await house.deliver(pgp_mail(lab, "Help\n", sign=False)))[-1]
    assert (await contact_of(house, with_hers.thread)).fingerprint == lab.fingerprints["user"]


def revoked(lab: Lab, who: str) -> bytes:
    """A copy that the owner has revoked."""
    name = lab.fingerprints[who]
    text = (lab.home(who) / "openpgp-revocs.d" / f"{name}.rev").read_text().replace(":-----", "-----")
    lab.gpg(who, "--import", stdin=text.encode())
    return lab.certificate(who)


def signed_by(lab: Lab, who: str, attached: bytes | None) -> bytes:
    return encrypted_with_key(lab, who, attached, "<none@example.org>")


async def test_a_withdrawn_subkey_is_not_encrypted_to_any_more(house: House, lab: Lab) -> None:
    lab.make("partly", f"Rosa Example <{USER}>")
    (entry,) = await house.deliver(signed_by(lab, "partly", lab.certificate("partly")))
    reference, _ = await answer_to(house, entry.thread)
    script = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
    words = ["--no-batch", "--passphrase=", "--command-fd=0", "--edit-key", lab.fingerprints["partly"]]
    lab.gpg("partly", *words, stdin=script)
    last = await house.deliver(with_keys(mail("so\n", In_Reply_To=reference), lab.certificate("partly")))
    stray = await house.deliver(encrypted_with_key(lab, "partly", lab.certificate("partly"), reference))
    assert trust.ENDED in [notice for one in stray for notice in one.notices]
    count = len(house.sent())
    await house.answer(entry.thread, ANSWER)
    assert b"4.2.18" not in b"".join(house.sent()[count:])
    assert all(b"octet-stream" not in wire for wire in house.sent()[count:])
    assert last


async def test_a_revocation_holds_for_all_tickets_whoever_brings_it(house: House, lab: Lab) -> None:
    lab.make("lost", f"Rosa Example <{USER}>")
    before = lab.certificate("lost")
    (entry,) = await house.deliver(signed_by(lab, "lost", before))
    stolen = signed_by(lab, "lost", before)
    # Anybody may bring it: it speaks for itself.
    brought = with_keys(mail("she lost it\n"), revoked(lab, "lost"))
    assert (await house.deliver(brought))[-1].thread != entry.thread
    last = (await house.deliver(stolen))[-1]
    assert "revoked key" in last.protection
    assert (await contact_of(house, last.thread)).certificate is None


async def test_who_brings_a_known_key_and_its_revocation_is_not_answered_to_it(
    house: House, lab: Lab
) -> None:
    lab.make("gone", f"Rosa Example <{USER}>")
    await house.deliver(signed_by(lab, "gone", lab.certificate("gone")))
    last = (await house.deliver(with_keys(mail("lost it\n"), revoked(lab, "gone"))))[-1]
    assert (await contact_of(house, last.thread)).certificate is None


async def test_a_key_that_claims_hers_spoils_no_signature_of_hers(
    house: House, lab: Lab, evil_key: str
) -> None:
    """Bound as a subkey, as anybody can do, her key would be looked for in the wrong certificate."""
    stolen = next(split_packets(lab.certificate("user")))
    taken = packet(PUBLIC_SUBKEY, stolen.body)
    trap = lab.certificate(evil_key) + taken + maker(lab, evil_key).binding(stolen, ENCRYPT)
    await house.deliver(encrypted_with_key(lab, evil_key, trap, "<none@example.org>"))
    last = (await house.deliver(signed_by(lab, "user", lab.certificate("user"))))[-1]
    assert "signed; first message with this key" in last.protection
    assert (await contact_of(house, last.thread)).fingerprint == lab.fingerprints["user"]
    # On the way as well as in the store.
    later = with_autocrypt(signed_by(lab, "user", None), trap)
    assert "from earlier tickets" in (await house.deliver(later))[-1].protection
    # Without her own key at hand, nothing is encrypted to what only claims it.
    await house.spool.contacts.forget_before(10**6)
    await house.deliver(encrypted_with_key(lab, evil_key, trap, "<none@example.org>"))
    alone = (await house.deliver(signed_by(lab, "user", None)))[-1]
    assert (await contact_of(house, alone.thread)).certificate is None


async def test_a_key_in_a_forwarded_or_quoted_text_is_no_change(
    house: House, lab: Lab, evil_key: str
) -> None:
    """She may be asked to pass on a mail in which such a key stands."""
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    reference, _ = await answer_to(house, entry.thread)
    block = lab.gpg(evil_key, "--armor", "--export", lab.fingerprints[evil_key])
    pasted = EmailMessage(policy=SMTP)
    pasted["Subject"] = "What does this mean?"
    pasted.set_content("Look at this:\n\n" + block.decode())
    forwarded = EmailMessage(policy=SMTP)
    forwarded["Subject"] = "Fwd"
    forwarded.set_content("Look at this:\n")
    forwarded.add_attachment(message_from_bytes(with_keys(mail(block.decode()), block), policy=SMTP))
    for inner in (pasted, forwarded):
        sealed = lab.gpg(
            "user",
            *("--armor", "--sign", "--recipient-file", lab.certificate_file("desk"), "--encrypt"),
            stdin=inner.as_bytes(),
        )
        raw = encrypted_with_key(lab, "user", None, reference)
        start, end = raw.index(b"-----BEGIN PGP"), raw.index(b"\r\n--b--")
        raw = raw[:start] + sealed.replace(b"\n", b"\r\n") + raw[end:]
        last = (await house.deliver(raw))[-1]
        assert last.thread == entry.thread
        assert "signed by the same key" in last.protection
        assert trust.CHANGED not in last.notices
        assert (await contact_of(house, entry.thread)).fingerprint == lab.fingerprints["user"]
