"""What leaves: signed, encrypted with integrity protection, uncompressed, and named truly."""

from __future__ import annotations

import pytest

from testbed.openpgp_lab import Lab
from veildesk.core.errors import KeyUnusable
from veildesk.core.message import Integrity
from veildesk.openpgp.armor import single_block
from veildesk.openpgp.packets import Kind, classify, signature_packets, split_packets

MAIL = b"Content-Type: text/plain\r\n\r\nAnswer\r\n"
SHA512 = 10


async def test_sealed_mail_is_built_as_promised(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    sealed = await engine.seal(MAIL, [lab.certificate("user")], lab.fingerprints["desk"])
    lines = sealed.splitlines()
    assert lines[0] == b"-----BEGIN PGP MESSAGE-----"
    assert lines[1] == b""
    assert lines[-2].startswith(b"=")
    assert len(lines[-2]) == 5
    block = single_block(sealed)
    assert block is not None
    shape = classify(block.data)
    assert (shape.kind, shape.integrity) == (Kind.ENCRYPTED, Integrity.MDC)
    assert len(shape.recipients) == 1
    assert shape.recipients[0] != "0" * 16
    inner = lab.gpg("user", "--unwrap", "--decrypt", stdin=sealed)
    one_pass, literal, signature = split_packets(inner)
    assert [one_pass.tag, literal.tag, signature.tag] == [4, 11, 2]
    assert literal.body[1] == 0
    assert one_pass.body[2] == SHA512


async def test_stock_gpg_opens_and_verifies(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    sealed = await engine.seal(MAIL, [lab.certificate("user")], lab.fingerprints["desk"])
    lab.gpg("user", "--import", stdin=lab.certificate("desk"))
    assert lab.gpg("user", "--decrypt", stdin=sealed) == MAIL
    made = await engine.sign_detached(MAIL, lab.fingerprints["desk"])
    (found,) = signature_packets(made.armored.encode())
    assert found.body[3] == SHA512
    assert made.hash_name == "sha512"
    (lab.root / "made.asc").write_text(made.armored)
    lab.gpg("user", "--verify", "--", str(lab.root / "made.asc"), "-", stdin=MAIL)
    notice = await engine.clearsign("- dashes\r\nFrom here\n trailing  \n", lab.fingerprints["desk"])
    assert lab.gpg("user", "--decrypt", stdin=notice.encode()).startswith(b"- dashes\nFrom here\n")


@pytest.mark.parametrize(
    "signer", ["", "DEADBEEF", "support@desk.example", "a" * 40, "--output", "A" * 39 + "!"]
)
async def test_signers_are_named_in_full(lab: Lab, signer: str) -> None:
    engine = lab.engine()
    await engine.start()
    with pytest.raises(KeyUnusable):
        await engine.seal(MAIL, [lab.certificate("user")], signer)
    with pytest.raises(KeyUnusable):
        await engine.export(signer)


async def test_all_recipients_must_be_usable(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    sealed = await engine.seal(
        MAIL, [lab.certificate("user"), lab.certificate("desk")], lab.fingerprints["desk"]
    )
    block = single_block(sealed)
    assert block is not None
    assert len(classify(block.data).recipients) == 2
    with pytest.raises(KeyUnusable):
        await engine.seal(MAIL, [lab.certificate("user"), b""], lab.fingerprints["desk"])


async def test_large_data_goes_through(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    data = bytes(range(256)) * 8192
    sealed = await engine.seal(data, [lab.certificate("desk")], lab.fingerprints["desk"])
    assert (await engine.open(sealed, [])).data == data
