"""Our key as an Autocrypt header: five packets, and read again as any program reads it."""

from __future__ import annotations

from testbed.openpgp_lab import Lab
from veildesk.mail.parse import parse_mail
from veildesk.mail.wire import field_line
from veildesk.openpgp.autocrypt import autocrypt_value
from veildesk.openpgp.candidates import autocrypt_certificate
from veildesk.openpgp.packets import split_packets

SUPPORT = "support@desk.example"


def read_back(value: str) -> bytes:
    header = field_line("Autocrypt", value)
    assert all(len(line) <= 78 for line in header.split(b"\r\n"))
    found = autocrypt_certificate(parse_mail(f"From: {SUPPORT}\r\n".encode() + header + b"\r\nx\r\n"))
    assert found is not None
    return found


async def test_it_is_exactly_five_packets_and_can_be_used(lab: Lab) -> None:
    value = autocrypt_value(lab.certificate("desk"), SUPPORT)
    assert value is not None
    data = read_back(value)
    assert [one.tag for one in split_packets(data)] == [6, 13, 2, 14, 2]
    engine = lab.engine("user")
    await engine.start()
    status = await engine.certificate_status(data)
    assert (status.fingerprint, status.can_encrypt) == (lab.fingerprints["desk"], True)
    assert status.addresses == (SUPPORT,)
    await engine.close()


async def test_of_several_names_and_subkeys_the_fitting_newest_are_taken(lab: Lab) -> None:
    name = lab.make("rich", f"Desk <{SUPPORT}>")
    lab.gpg("rich", "--passphrase=", "--quick-add-uid", "--", name, "Other <other@desk.example>")
    lab.gpg("rich", "--passphrase=", "--quick-set-expire", "--", name, "1y")
    lab.gpg("rich", "--passphrase=", "--quick-add-key", "--", name, "ed25519", "sign", "1y")
    lab.gpg("rich", "--passphrase=", "--quick-add-key", "--", name, "cv25519", "encr", "1y")
    value = autocrypt_value(lab.certificate("rich"), SUPPORT)
    assert value is not None
    data = read_back(value)
    assert [one.tag for one in split_packets(data)] == [6, 13, 2, 14, 2]
    assert b"other@desk.example" not in data
    engine = lab.engine("user")
    await engine.start()
    status = await engine.certificate_status(data)
    assert status.can_encrypt
    assert status.expires is not None
    await engine.close()


def test_what_does_not_fit_is_not_sent(lab: Lab) -> None:
    assert autocrypt_value(lab.certificate("desk"), "other@desk.example") is None
    assert autocrypt_value(b"no key", SUPPORT) is None
    lab.make("sign-only", f"Desk <{SUPPORT}>")
    bare = [one for one in split_packets(lab.certificate("sign-only")) if one.tag in (6, 13, 2)][:3]
    assert autocrypt_value(b"".join(one.raw for one in bare), SUPPORT) is None
