"""Somebody who captured a mail to us sends it again as his own: no answer may carry its plaintext to him.

The ciphertext is opened, for we hold the key; it is told to agents as what it is; but a quotation of it
leaves only when the one who gets it has signed it inside the encryption.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.house import SUPPORT, USER, House, open_house, pgp_mail
from testbed.openpgp_lab import Lab, new_lab
from veildesk.core.limits import Limits
from veildesk.core.message import Scope
from veildesk.openpgp.opening import open_mail

MALLORY = "mallory@example.net"
SECRET = "My account is 4711."
QUOTING = f"Done.\n\nOn Monday somebody wrote:\n> {SECRET}\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.make("mallory", f"Mallory <{MALLORY}>")
        yield made


@pytest_asyncio.fixture
async def house(tmp_path: Path, lab: Lab) -> AsyncIterator[House]:
    async with open_house(tmp_path, lab) as opened:
        yield opened


def captured(lab: Lab, *, sign: bool) -> bytes:
    """The multipart/encrypted entity of a mail from Rosa, from its Content-Type on."""
    raw = pgp_mail(lab, f"{SECRET}\n", sign=sign)
    return raw[raw.index(b"Content-Type: multipart/encrypted") :]


def head(lab: Lab) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = MALLORY, SUPPORT, "Question"
    message["Message-ID"] = "<stolen@example.net>"
    return message.as_bytes().rstrip(b"\r\n") + b"\r\nMIME-Version: 1.0\r\n"


def again(lab: Lab, entity: bytes) -> bytes:
    """As it is, under another name."""
    return head(lab) + entity


def signed_around(lab: Lab, entity: bytes) -> bytes:
    """In a multipart/signed by Mallory, which his key is sound for."""
    (lab.root / "entity").write_bytes(entity.removesuffix(b"\r\n"))
    made = lab.gpg("mallory", "--armor", "--detach-sign", "--output", "-", str(lab.root / "entity"))
    return (
        head(lab)
        + b'Content-Type: multipart/signed; micalg=pgp-sha512; boundary="s"; '
        + b'protocol="application/pgp-signature"\r\n\r\n--s\r\n'
        + entity.removesuffix(b"\r\n")
        + b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + made.replace(b"\n", b"\r\n")
        + b"--s--\r\n"
    )


def encrypted_around(lab: Lab, entity: bytes) -> bytes:
    """Signed by Mallory and encrypted once more."""
    sealed = lab.encrypt(entity, "--armor", by="mallory", sign=True)
    return (
        head(lab)
        + b'Content-Type: multipart/encrypted; boundary="o"; protocol="application/pgp-encrypted"\r\n\r\n'
        + b"--o\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
        + b"--o\r\nContent-Type: application/octet-stream\r\n\r\n"
        + sealed.replace(b"\n", b"\r\n")
        + b"\r\n--o--\r\n"
    )


def own(lab: Lab, text: str, *, to: str = SUPPORT) -> bytes:
    """An honest mail of Mallory's, with his key, signed and encrypted."""
    inner = EmailMessage(policy=SMTP)
    inner.set_content(text)
    inner.add_attachment(
        lab.certificate("mallory"), maintype="application", subtype="pgp-keys", filename="key.pgp"
    )
    mail = encrypted_around(lab, inner.as_bytes())
    return mail.replace(b"To: " + SUPPORT.encode(), b"To: " + to.encode()).replace(b"stolen@", b"own@")


WAYS = {"again": again, "signed-around": signed_around, "encrypted-around": encrypted_around}


async def plaintext_for(lab: Lab, wire: bytes) -> bytes:
    """Everything that Mallory can make of a mail."""
    opened = await open_mail(wire, lab.engine("mallory"), [lab.certificate("desk")])
    return wire + opened.payload


@pytest.mark.parametrize("sign", [True, False], ids=["signed-by-rosa", "unsigned"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_quotation_reaches_who_only_captured_it(
    house: House, lab: Lab, way: str, sign: bool
) -> None:
    # Mallory's key is known from an honest ticket, so that his signatures and his key count.
    await house.deliver(own(lab, "Hello.\n"))
    entry = (await house.deliver(WAYS[way](lab, captured(lab, sign=sign))))[-1]
    assert SECRET in entry.text
    await house.answer(entry.thread, QUOTING)
    for wire in house.sent():
        assert b"4711" not in await plaintext_for(lab, wire)


@pytest.mark.parametrize("way", WAYS)
async def test_nor_does_the_subject_that_was_inside(house: House, lab: Lab, way: str) -> None:
    raw = WAYS[way](lab, captured(lab, sign=False)).replace(b"Subject: Question", b"Subject: ...")
    await house.deliver(own(lab, "Hello.\n"))
    entry = (await house.deliver(raw))[-1]
    assert entry.subject == "Secret help"
    await house.answer(entry.thread, "Done.\n")
    (wire,) = house.sent()
    plain = await plaintext_for(lab, wire)
    assert b"Done." in plain
    assert b"Secret help" not in plain


@pytest.mark.parametrize("way", WAYS)
async def test_nor_does_it_in_a_ticket_that_he_began_himself(house: House, lab: Lab, way: str) -> None:
    # One that no signature has bound to a key yet: others do not even join it.
    begun = EmailMessage(policy=SMTP)
    begun["From"], begun["To"], begun["Subject"] = MALLORY, SUPPORT, "Hello"
    begun.set_content("Hello.\n")
    key = lab.certificate("mallory")
    begun.add_attachment(key, maintype="application", subtype="pgp-keys", filename="key.pgp")
    (first,) = await house.deliver(begun.as_bytes())
    await house.answer(first.thread, "Tell us more.\n")
    opened = await open_mail(house.sent()[0], lab.engine("mallory"), [lab.certificate("desk")])
    address = next(
        line.split()[-1].strip(b"<>").decode()
        for line in opened.outer_headers.split(b"\r\n")
        if line.startswith(b"Reply-To")
    )
    raw = WAYS[way](lab, captured(lab, sign=False)).replace(SUPPORT.encode(), address.encode(), 1)
    entry = (await house.deliver(raw))[-1]
    assert entry.thread == first.thread
    await house.answer(entry.thread, QUOTING)
    # A later honest mail does not make the earlier one his.
    await house.deliver(own(lab, "And?\n", to=address))
    await house.answer(entry.thread, QUOTING)
    assert len(house.sent()) == 3
    for wire in house.sent():
        assert b"4711" not in await plaintext_for(lab, wire)


@pytest.mark.parametrize("way", ["signed-around", "encrypted-around"])
async def test_a_signature_around_ciphertext_does_not_cover_what_is_inside(lab: Lab, way: str) -> None:
    raw = WAYS[way](lab, captured(lab, sign=True))
    certificates = [lab.certificate("mallory"), lab.certificate("user")]
    opened = await open_mail(raw, lab.engine(), certificates, Limits())
    scopes = {one.fingerprint: one.scope for one in opened.signatures}
    assert scopes == {lab.fingerprints["mallory"]: Scope.PART, lab.fingerprints["user"]: Scope.WHOLE}
    # Rosa's signature covers it, and the sender is not Rosa.
    assert not any(one.bound_to_from and one.scope is Scope.WHOLE for one in opened.signatures)


async def test_who_signs_inside_is_quoted_to_as_before(house: House, lab: Lab) -> None:
    (entry,) = await house.deliver(pgp_mail(lab, f"{SECRET}\n"))
    await house.answer(entry.thread, QUOTING)
    (wire,) = house.sent()
    opened = await open_mail(wire, lab.engine("user"), [lab.certificate("desk")])
    assert b"4711" in opened.payload
    assert USER.encode() in wire
